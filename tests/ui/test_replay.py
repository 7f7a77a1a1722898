"""A file that the app wrote, opened again in the page, with no model behind it."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lab
from lab.ui.comparison import press
from lab.ui.panel_run import RunInputs
from lab.ui.replay import open_file
from lab.ui.settings_form import PanelSettings
from lab.ui.snippet import reading
from tests.kit.trajectories import make

CHOSEN = [PanelSettings("llada2"), PanelSettings("mdlm"), None, PanelSettings("hybrid")]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_file_of_the_app_shows_the_panels_that_wrote_it(tmp_path, suffix):
    asked = RunInputs("sudoku4", template="1 1[MASK]*14")  # no such grid
    for told in press(asked, CHOSEN, threading.Event()):
        if told.result:
            written = Path(getattr(told.result, suffix))
            (tmp_path / written.name).write_bytes(written.read_bytes())
    shown = [value for value in told.values if value["kind"] == "done"]
    opened = open_file(tmp_path / written.name)
    assert opened.status == f"opened {written.name}: 3 runs"
    assert [value["kind"] for value in opened.values] == ["done"] * 3 + ["empty"]
    assert [run and run.sampler for run in opened.trajectories] == [
        "llada2", "mdlm", "hybrid", None
    ]  # fmt: skip
    for before, after in zip(shown, opened.values, strict=False):
        for name in ("title", "start", "board", "verdict", "metrics", "columns", "mask", "edges"):
            assert after[name] == before[name], name
        assert after["verdict"]["ok"] is False
        assert after["board"] == [4, 2, 2]
        for one, other in zip(before["steps"], after["steps"], strict=True):
            one, other = json.loads(one), json.loads(other)
            if suffix == "csv":  # it keeps no alternatives
                one["top"] = other["top"] = []
            assert one == other


def test_four_of_many_runs_are_shown(tmp_path):
    lab.save(lab.run("mdlm", "capitals", rows=9, steps=2), tmp_path / "many.csv")
    opened = open_file(tmp_path / "many.csv")
    assert opened.status == "opened many.csv: the first 4 of 9 runs"
    assert [run.row for run in opened.trajectories] == [0, 1, 2, 3]
    assert len({value["run"] for value in opened.values}) == 4


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


def test_what_a_strangers_file_says_is_only_text_and_numbers(tmp_path):
    run = make(["___", "a__", "ab_"], pieces={0: "<img src=x>", 1: "\u202e"})
    entropy = np.full_like(run.entropy, np.inf)
    strange = replace(run, sampler="\u202e<b>", model="\x00<i>", task="no/such", entropy=entropy)
    lab.save([strange], tmp_path / "strange.json")
    value = open_file(tmp_path / "strange.json").values[0]
    assert value["title"] == "⟨U+202E⟩<b>" and "␀<i>" in value["subtitle"]
    assert value["board"] == [] and value["verdict"] is None
    json.dumps(value, allow_nan=False)


def test_the_python_of_an_opened_file_reads_it(tmp_path):
    path = tmp_path / "it's.json"
    lab.save(lab.run("mdlm", "capitals", steps=2), path)
    source = reading(str(path))
    assert source.count(repr(str(path))) == 1
    compile(source, "snippet", "exec")
