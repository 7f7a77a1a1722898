"""A spec is read to the last name before any call, and every refusal says where it stands."""

import pytest

from lab.study.spec import Setting, read_spec

CASES = {"sudoku9": ("40", "32", "26"), "capitals": ("free",)}
WHOLE = """\
name: orders
task: sudoku9
cases: [32, 26]
instances: 500
seeds: [0, 1]
samplers:
  margin:
    temperature: [0, 1]
  llada2:
    - {preset: [llada2.1_speed, llada2.1_quality]}
    - {threshold: 0.9, editing_threshold: null}
  mdlm: {steps: [4, 8]}
"""


def read(tmp_path, text):
    file = tmp_path / "spec.yaml"
    file.write_text(text, encoding="utf-8")
    return read_spec(file, CASES)


def test_lists_span_grid(tmp_path):
    spec = read(tmp_path, WHOLE)
    assert (spec.name, spec.tasks, spec.instances, spec.seeds) == (
        "orders",
        ("sudoku9",),
        500,
        (0, 1),
    )
    assert spec.cases == {"sudoku9": ("32", "26")}
    assert [(each.sampler, each.label) for each in spec.settings] == [
        ("margin", "temperature=0"),
        ("margin", "temperature=1"),
        ("llada2", "llada2.1_speed"),
        ("llada2", "llada2.1_quality"),
        ("llada2", "threshold=0.9, editing_threshold=off"),
        ("mdlm", "steps=4"),
        ("mdlm", "steps=8"),
    ]


def test_dict_reads_as_file_does(tmp_path):
    content = {"name": "n", "task": "capitals", "samplers": {"mdlm": {"steps": [4]}}}
    spec = read_spec(content, CASES)
    assert spec.settings == (Setting("mdlm", None, {"steps": 4}),)
    assert spec.cases == {"capitals": ("free",)} and spec.instances == 100


def test_preset_comes_before_values_beside_it():
    values = Setting("llada2", "llada2.1_speed", {"threshold": 0.6}).bind()
    assert (values["threshold"], values["editing_threshold"]) == (0.6, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("task: sudoku9", "task: sudoku8"),
            "line 2: no task 'sudoku8'; there are sudoku9, capitals",
        ),
        (("[32, 26]", "[32, 27]"), "line 3: sudoku9 has no case '27'; it has 40, 32, 26"),
        (("instances: 500", "instances: 0"), "line 4: instances must be a whole number from 1"),
        (("seeds: [0, 1]", "seeds: [0, true]"), "line 5: seeds must be a whole number from 0"),
        (("  mdlm:", "  mdml:"), "line 12: no sampler 'mdml'"),
        (("[0, 1]\n  llada2", "[0, 3]\n  llada2"), "line 8: margin: temperature must be a number"),
        (("temperature:", "temprature:"), "line 8: margin has no parameter 'temprature'"),
        (("llada2.1_speed,", "llada2_speed,"), "line 10: llada2 has no preset 'llada2_speed'"),
        (("steps: [4, 8]", "steps: []"), "line 12: steps has no values"),
        (("instances:", "instance:"), "line 4: no field 'instance'"),
        (("seeds: [0, 1]", "seeds: []"), "the grid is empty"),
        (("name: orders", "other: 1"), "line 1: no field 'other'"),
        (("name: orders\n", ""), "a spec needs 'name'"),
        (("seeds: [0, 1]", "seeds: [0, 1"), "is not YAML at line"),
        (("seeds:", "name: again\nseeds:"), "at line 5: 'name' stands twice"),
        (("mdlm: {steps: [4, 8]}", "mdlm: 4"), "line 12: settings of mdlm must be a mapping"),
        (
            ("steps: [4, 8]", f"steps: {list(range(1, 2100))}"),
            "line 6: a study has at most 2000 settings, got 2104",
        ),
    ],
)
def test_refusal_says_line_rule_and_way_out(tmp_path, change, message):
    with pytest.raises(ValueError, match=r"^spec\.yaml|^line") as error:
        read(tmp_path, WHOLE.replace(*change))
    assert message in str(error.value)


def test_missing_file_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read \(No such file"):
        read_spec(tmp_path / "none.yaml", CASES)


def test_tags_of_yaml_build_no_objects(tmp_path):
    with pytest.raises(ValueError, match="is not YAML"):
        read(tmp_path, "name: !!python/object/apply:os.system ['true']\n")


def test_aliases_do_not_multiply_without_end(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(ValueError, match="too many entries"):
        read(tmp_path, "\n".join(lines))
