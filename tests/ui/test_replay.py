"""A file that the app wrote, opened again in the page, with no model behind it."""

import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

import lab
from lab.ui import build, exports
from lab.ui.replay import open_file
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings
from lab.ui.snippet import reading
from tests.kit.pressing import kinds, press
from tests.kit.trajectories import make

SETTINGS = [PanelSettings("llada2"), PanelSettings("mdlm"), None, PanelSettings("hybrid")]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_export_shows_panels_that_wrote_it(tmp_path, suffix):
    inputs = RunInputs("sudoku4", template="1 1[MASK]*14")  # no such grid
    run, last = press(inputs, SETTINGS)
    path = exports.write(run.comparison, suffix, tmp_path)
    before = [panel for panel in run.comparison.panels if panel]
    replay = open_file(path)
    assert replay.status == f"Opened {path.name}: 3 runs"
    assert [value["kind"] for value in replay.values] == ["done"] * 3 + ["empty"]
    assert [one.sampler for one in replay.comparison.runs] == ["llada2", "mdlm", "hybrid"]
    assert kinds(last).count("done") == 3
    for one, value in zip(before, replay.values, strict=False):
        for name in ("title", "verdict", "metrics"):
            assert value[name] == one.head[name], name
        assert value["verdict"]["ok"] is False
        assert value["film"] == one.film.first and value["film"]["board"] == [4, 2, 2]
        assert value["edges"] == one.film.edges
        assert json.loads(value["steps"])[:-1] == [json.loads(s) for s in one.film.steps][:-1]


def test_four_of_many_runs_are_shown(tmp_path):
    lab.save(lab.run("mdlm", "capitals", rows=9, steps=2), tmp_path / "many.csv")
    replay = open_file(tmp_path / "many.csv")
    assert replay.status == "Opened many.csv: the first 4 of 9 runs"
    assert [run.row for run in replay.comparison.runs] == [0, 1, 2, 3]
    assert len({value["run"] for value in replay.values}) == 4


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("notes.csv", "a,b\n1,2\n", "notes.csv: "),
        ("half.json", '{"schema": 1, "runs": [', "it must be whole JSON"),
        ("none.json", '{"schema": 2, "runs": []}', "it holds no run"),
        ("next.json", '{"schema": 99, "runs": []}', "another version"),
        ("run.txt", "", "must end in .csv or .json"),
    ],
)  # fmt: skip
def test_any_other_file_is_one_sentence(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        open_file(tmp_path / name)


def test_file_from_elsewhere_is_only_text_and_numbers(tmp_path):
    run = make(["___", "a__", "ab_"], pieces={0: "<img src=x>", 1: "\u202e"})
    entropy = np.full_like(run.entropy, np.inf)
    strange = replace(run, sampler="\u202e<b>", model="\x00<i>", task="no/such", entropy=entropy)
    lab.save([strange], tmp_path / "strange.json")
    value = open_file(tmp_path / "strange.json").values[0]
    assert value["title"] == "⟨U+202E⟩<b>" and "␀<i>" in value["subtitle"]
    assert value["film"]["board"] == [] and value["verdict"] is None
    json.dumps(value, allow_nan=False)


def test_python_of_opened_file_reads_it(tmp_path):
    path = tmp_path / "it's.json"
    lab.save(lab.run("mdlm", "capitals", steps=2), path)
    source = reading(str(path)).python
    assert source.count(repr(str(path))) == 1
    compile(source, "snippet", "exec")


@pytest.mark.parametrize("path", [None, ["a.csv"]])
def test_upload_without_file_is_one_sentence(path, caplog):
    (handler,) = (each.fn for each in build().fns.values() if each.name == "open_upload")
    (status,) = handler(path, "Tokens", gr.Request(session_hash="none")).values()
    assert status.endswith("Open takes one file of runs, as CSV or JSON; none came")
    assert not caplog.records
