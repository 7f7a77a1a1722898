"""The page's handlers without a browser, and what is public of it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

import lab
from lab.ui import build, page
from lab.ui.error_text import explain
from lab.ui.input_events import _change_task, run_request
from lab.ui.layout import sidebar, stage
from lab.ui.panel_run import notes
from lab.ui.safe_text import visible
from lab.ui.settings_form import PanelSettings, start_value
from lab.ui.snippet import snippet
from tests.kit.pressing import CAPITALS, press, recorder

ROOT = Path(__file__).parents[2]
FORM = start_value("capitals", {})


def test_four_actions_are_public():
    calls = build().get_config_file()["dependencies"]
    public = {one["api_name"] for one in calls if one["api_visibility"] == "public"}
    assert public == {"compare", "samplers", "look_up", "load"}


@pytest.mark.parametrize("form", [None, {}, {**FORM, "initial": {}}, {**FORM, "panels": [1]}])
def test_malformed_form_is_one_sentence(form):
    for handler in (lambda: run_request("capitals", "prompt", "x", 0, 0, form),
                    lambda: _change_task("stories", form)):  # fmt: skip
        with pytest.raises(gr.Error, match="settings"):
            handler()


@pytest.mark.parametrize("task", [None, "/etc", {"a": 1}, math.nan])
def test_task_that_is_none_is_one_sentence(task):
    for handler in (lambda: run_request(task, "prompt", "x", 0, 0, FORM),
                    lambda: _change_task(task, FORM)):  # fmt: skip
        with pytest.raises(gr.Error, match="task must be one of"):
            handler()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"kind": None}, "kind must be one of"), ({"kind": ["prompt"]}, "kind must be one of"),
     ({"text": None}, "text must be text"), ({"text": [1, 2]}, "text must be text"),
     ({"draft": 3}, "draft must be text"),
     ({"rows": "x"}, "rows must be a whole number")],
)  # fmt: skip
def test_field_of_wrong_type_is_named(changes, words):
    values = {"task": "capitals", "kind": "prompt", "text": "x", "gen_length": 0, "seed": 0,
              "settings": FORM, **changes}  # fmt: skip
    with pytest.raises(gr.Error, match=words):
        run_request(**values)


def test_page_rounds_and_converts_nothing():
    """What is sent reaches the one check of a run, whose sentence names the field."""
    with gr.Blocks():
        inputs = sidebar()
        outputs = stage(inputs)
    sent = (inputs.task, inputs.kind, inputs.text, inputs.gen_length, outputs.seed, inputs.rows,
            inputs.draft)  # fmt: skip
    for one in (*sent, inputs.other.text, inputs.other.dtype):
        for value in (5.7, True, None, "7", [1], {"a": 1}, -1):
            assert one.preprocess(value) is value


@pytest.mark.parametrize("number", [None, True, -1, 10**6, 0.5, "x", [], {"a": 1}])
def test_example_that_is_none_is_one_sentence(number):
    with gr.Blocks():
        examples = sidebar().examples
    with pytest.raises(gr.Error, match="example must be a whole number from 0"):
        examples.preprocess(number)
    assert examples.preprocess(0) == examples.raw_samples[0][0]


def test_out_of_memory_says_what_to_lower(caplog):
    assert "lower gen_length" in explain(MemoryError())


def test_librarys_error_shows_its_kind_alone(caplog):
    try:
        int("/secret/path")
    except ValueError as error:
        assert explain(error) == "this failed (ValueError); the log of the app says where" or (
            "/secret" not in explain(error)
        )
    try:
        Path("/secret/path/no").read_text()
    except OSError as error:
        assert "/secret" not in explain(error)


@pytest.mark.parametrize(
    ("attention", "length", "noted"),
    [("block_causal", 4, True), ("block_causal", 8, False), ("causal", 8, True),
     ("full", 4, False), ("any", 4, False)],
)  # fmt: skip
def test_panel_notes_where_later_text_is_not_seen(attention, length, noted):
    template = "The capital of [MASK] is Paris."
    run = recorder("llada2", "capitals", template=template, params={"block_length": length})
    assert bool(notes(run.plan.canvas, attention)) is noted


def test_invisible_characters_are_written_out():
    assert visible("the cat\n") == "the cat\n"
    assert visible("é 猫 🙂 ${1+1} </script> \\u00") == "é 猫 🙂 ${1+1} </script> \\u00"
    assert visible("\0\x1b") == "␀␛"
    assert visible("a\u202eb") == "a⟨U+202E⟩b"
    assert visible("\u200b\ud800\u00a0") == "⟨U+200B⟩⟨U+D800⟩⟨U+00A0⟩"
    visible("".join(map(chr, range(0x3000)))).encode("utf-8")


def test_python_of_run_repeats_it(tmp_path):
    settings = [PanelSettings("llada2", "llada2.1_speed", {"steps": 4}),
                PanelSettings("mdlm", None, {"steps": 3})]  # fmt: skip
    run, _ = press(CAPITALS, settings)
    source = snippet(CAPITALS, settings).python
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", source], cwd=tmp_path, env=env, check=True)
    for mine, theirs in zip(
        run.comparison.runs, lab.read(tmp_path / "trajectories.csv"), strict=True
    ):
        assert mine.same_tokens(theirs)


def test_figures_of_run_before_are_dropped(monkeypatch):
    monkeypatch.setattr(page.result_tabs, "fill", lambda outputs, tab, runs: {tab: runs})
    for seen, change in (([1, 1], {"Order": 1}), ([1, 2], {})):
        shows = iter(seen)  # another run may begin while the figures are made
        monkeypatch.setattr(page.page_runs, "of_session", lambda session: next(shows))  # noqa: B023
        assert page._filled(None, "Order", "s") == change
