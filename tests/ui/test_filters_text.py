"""What acts on a draw, in words, and what a panel shows of a token before and after it."""

import numpy as np
import pytest

import lab
from lab.record.draw_cells import Draws
from lab.ui import page_runs, sketches
from lab.ui.film import alternatives, call_details, whole_film
from lab.ui.filters_text import filters_text
from lab.ui.page_runs import PageRuns, PanelRecord, keep
from lab.ui.panel_run import PanelRun
from lab.ui.settings_form import PanelSettings
from lab.ui.shelf import Shelf
from lab.ui.snippet import Code
from tests.kit.pressing import CAPITALS, press, recorder
from tests.kit.trajectories import make


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    fresh = Shelf(page_runs.CELLS, page_runs.SECONDS, lambda page: page.cells)
    monkeypatch.setattr(page_runs, "_PAGES", fresh)


@pytest.mark.parametrize(
    ("sampler", "params", "text"),
    [
        ("mdlm", {}, "temperature 1 and no filter: nothing changes them"),
        ("mdlm", {"top_p": 1.0}, "temperature 1 and no filter: nothing changes them"),
        ("llada2", {}, "temperature 0: the most likely token, nothing is drawn"),
        ("llada2", {"top_p": 0.5}, "temperature 0: the most likely token, nothing is drawn"),
        ("mdlm", {"temperature": 0.7, "top_p": 0.9}, "temperature 0.7, top_p 0.9"),
        ("mdlm", {"top_k": 20}, "temperature 1, top_k 20"),
        ("renoise", {}, "temperature 0.8, cooling 0.5"),
        ("hybrid", {"min_p": 0.1}, "before the sampler's own rules"),
        ("nobody", {}, ""),
        ("mdlm", {"temperature": "warm"}, ""),
        ("mdlm", {"heat": 1}, ""),
        ("mdlm", None, ""),
    ],
)
def test_filters_are_said(sampler, params, text):
    said = filters_text(sampler, params)
    changes = text.startswith("temperature") and ":" not in text
    assert said == (changes, text)
    assert said.line(None) == ("before " * changes) + text
    assert said.line([0.5]) == ("before and after " * changes) + text


def test_position_has_both_probabilities_where_it_was_drawn():
    top = np.arange(5) * np.ones((2, 3, 1), int)
    likely = np.full((2, 3, 5), [0.5, 0.3, 0.1, 0.002, 0.001])
    after = np.array([[0.9, 0.1, 0.0, 0.0, 0.004]], np.float32)
    draws = Draws(np.array([2], np.int32), np.array([1], np.int32), after)
    run = make(["___", "a__", "ab_"], top_ids=top, top_probabilities=likely, draws=draws)
    answer = alternatives(run, 2, 1, run.piece)
    assert [(p, i) for _, p, i in answer["tokens"]] == [(0.5, 0), (0.3, 1), (0.1, 2), (0.001, 4)]
    assert answer["after"] == [0.9, 0.1, 0.0, 0.004]
    for step, position in ((1, 1), (2, 0)):
        assert alternatives(run, step, position, run.piece)["after"] is None
    part = run.steps_since(1)
    assert alternatives(part, 1, 1, run.piece)["after"] == answer["after"]
    details, _ = call_details(run)
    assert details[0][3] == {} and details[1][3] == {1: answer["after"]}
    assert details[1][2][1] == [0, 0.5, 1, 0.3, 2, 0.1, 4, 0.001]


def test_running_and_finished_panels_answer_alike():
    settings = PanelSettings("mdlm", None, {"temperature": 0.7, "top_k": 3})
    run, _ = press(CAPITALS, [settings])
    (record,) = run.comparison.panels
    position = int(record.trajectory.draws.position[0])
    step = int(record.trajectory.draws.step[0])
    over = record.alternatives(step, position)
    assert over["filters"] == "before and after temperature 0.7, top_k 3"
    assert sum(over["after"]) == pytest.approx(1, abs=2e-3)
    assert 0 < sum(p > 0 for p in over["after"]) <= 3
    live = PanelRun(CAPITALS, settings)
    live.open(10**9)
    for frame in recorder("mdlm", "capitals", prompts="The capital of", seed=3,
                          params={"temperature": 0.7, "top_k": 3}):  # fmt: skip
        live._run.record(frame)
        live.value()
    assert live.record.trajectory is None
    assert live.record.alternatives(step, position) == over


def test_file_without_draws_says_that_filters_acted():
    run = lab.run("mdlm", "capitals", "The capital of", seed=1, temperature=0.7)[0]
    object.__setattr__(run, "draws", None)
    record = PanelRecord("a" * 32, whole_film(run), run)
    answer = record.alternatives(len(run.calls), 5)
    assert answer["after"] is None and answer["filters"] == "before temperature 0.7"


def test_uncertainty_comes_once_and_in_order():
    run = make(["___", "a__", "ab_", "abc"], start=[0, 0, 1])
    record = PanelRecord("a" * 32, whole_film(run), run)
    keep("s", PageRuns([record], Code("", "")))
    answer = sketches.entropies({"run": "a" * 32, "start": 0})
    assert answer["start"] == 0 and [len(line[1]) for line in answer["rows"]] == [3, 3, 2]
    assert answer["rows"][2] == [1, [60, 60], [1, 2]]
    assert sketches.entropies({"run": "a" * 32, "start": 2})["rows"] == answer["rows"][2:]
    assert sketches.entropies({"run": "a" * 32, "start": 9})["rows"] == []
    for query in (None, {"run": "b" * 32, "start": 0}, {"run": "a" * 32, "start": -1}):
        assert sketches.entropies(query) == {"missing": True}
    record.recent = [run.steps_since(0)._replace(**_first(run, 2)), run.steps_since(2)]
    record.trajectory = None
    assert record.uncertainty(0) == answer["rows"] and record.uncertainty(2) == answer["rows"][2:]


def _first(run, count: int) -> dict:
    """The fields of a part that holds so many steps."""
    names = ("predicted", "entropy", "start", "stop", "calls")
    return {name: getattr(run, name)[:count] for name in names}


def test_uncertainty_comes_in_parts(monkeypatch):
    run = make(["___", "a__", "ab_", "abc"])
    record = PanelRecord("a" * 32, whole_film(run), run)
    monkeypatch.setattr(page_runs, "CELLS_SENT", 5)
    assert len(record.uncertainty(0)) == 2 and len(record.uncertainty(2)) == 1
