"""lab.study: from a spec to rows, a summary, pairs and a frontier, in one call."""

import pytest

import lab
from lab.study import runner
from lab.study.results import finished_cells

SPEC = {
    "name": "orders",
    "task": "sudoku4",
    "cases": ["6", "4"],
    "instances": 20,
    "samplers": {"mdlm": {"steps": [2, 8]}, "margin": {"temperature": [0]}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def outcome(folder):
    return lab.study(SPEC, folder)


def test_rows_hold_every_instance_of_every_setting(outcome):
    rows = outcome.rows()
    assert len(rows) == 3 * 2 * 20 and repr(outcome) == "Study(120 rows of 6 settings)"
    assert rows.groupby(["case", "setting"])["instance"].nunique().eq(20).all()
    rows["score"] = 7  # a copy: the study stays as it is
    assert outcome.rows()["score"].max() == 1


def test_summary_names_settings_with_intervals(outcome):
    summary = outcome.summary()
    assert set(summary["name"]) == {"mdlm (steps=2)", "mdlm (steps=8)", "margin (temperature=0)"}
    assert (summary["score_low"] <= summary["score"]).all()
    assert not {"scores", "hashes", "nats_rows"} & set(summary.columns)


def test_pairs_are_compared_case_by_case(outcome):
    table = outcome.compare("margin (temperature=0)", "mdlm (steps=2)")
    assert set(table["case"]) == {"6", "4"}
    assert (table["difference"] > 0).all() and (table["low"] < table["difference"]).all()
    assert table["adjusted_p"].max() <= min(1, 2 * table["p_value"].max())
    assert (table["adjusted_p"] >= table["p_value"]).all()
    with pytest.raises(ValueError, match=r"no setting 'mdlm'.*there are .*mdlm \(steps=2\)"):
        outcome.compare("mdlm", "margin (temperature=0)")


def test_frontier_is_of_named_axes(outcome):
    lines = outcome.frontier(x="columns_fed", y="score")
    for _, group in lines.groupby("case"):
        assert group["columns_fed"].is_monotonic_increasing
        assert group["score"].is_monotonic_increasing
    with pytest.raises(ValueError, match="x must be one of calls, columns_fed, model_seconds"):
        outcome.frontier(x="score")
    with pytest.raises(
        ValueError, match="nothing in this study has nats; there are score, entropy"
    ):
        outcome.frontier(y="nats")


def test_same_call_runs_nothing_again(folder, outcome, monkeypatch):
    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(runner, "measure", fail)
    again = lab.study(SPEC, folder)
    assert again.rows().equals(outcome.rows())


def test_folder_of_several_studies_gives_cells_of_this_one(folder, outcome):
    wider = {**SPEC, "cases": ["6"], "samplers": {"mdlm": {"steps": [4]}}}
    assert len(lab.study(wider, folder).rows()) == 20
    assert len(finished_cells(folder)) == 7


def test_without_folder_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reports = []
    small = {**SPEC, "cases": ["6"], "instances": 2}
    assert len(lab.study(small, report=reports.append).rows()) == 6
    assert reports[-1].done == 3 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "sudoku5"}, "no task 'sudoku5'; there are"),
        ({"cases": ["3"]}, "sudoku4 has no case '3'; it has 6, 4"),
        ({"samplers": {"mdml": {}}}, "mdml"),
        ({"samplers": {"mdlm": {"step": [2]}}}, "step"),
        ({"samplers": {"mdlm": {"steps": [0]}}}, "steps must be"),
        ({"samplers": {"mdlm": {"steps": []}}}, "steps has no values"),
        ({"samplers": {}}, "a spec needs 'samplers'"),
        ({"instances": 0}, "instances must be a whole number"),
        ({"seeds": []}, "the grid is empty"),
        ({"models": ["nothing"]}, "no model 'nothing'"),
    ],
)
def test_bad_spec_is_refused_before_any_call(tmp_path, monkeypatch, change, message):
    def fail(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(runner, "measure", fail)
    with pytest.raises(ValueError, match=message):
        lab.study({**SPEC, **change}, tmp_path / "out")
