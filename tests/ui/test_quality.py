"""Quality beside cost: nats under the truth or the judge, and which panel is best in what."""

import math

import pytest

import lab
from lab.models.judge import judge
from lab.tasks import TASKS
from lab.ui.quality import NATS, best, costs, nats_of, quality_lines
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings
from tests.kit.pressing import press


def test_stories_are_judged():
    runs = lab.run("mdlm", "stories", "Once", gen_length=8, rows=2)
    assert nats_of(runs) == judge(lab.load("stories-ar"), runs)
    ((name, value, meaning),) = quality_lines(runs, nats_of(runs))
    assert name == NATS and "stories-ar" in meaning
    assert float(value.split()[0]) == pytest.approx(sum(nats_of(runs)) / 2, rel=0.01)


def test_tasks_whose_truth_is_known_need_no_judge():
    (run,) = lab.run("first_hitting", "chain", seed=3)
    words = [run.piece(i) for i in run.tokens[-1].tolist()]
    assert nats_of([run]) == [-TASKS["chain"].log_prob(words) / len(words)]


def test_nothing_is_said_where_nothing_is_known():
    (run,) = lab.run("mdlm", "capitals", "The capital of")
    assert all(map(math.isnan, nats_of([run]))) and quality_lines([run], nats_of([run])) == []
    assert costs([run], [], nats_of([run])) == {"Calls": run.calls[-1]}


def test_best_is_best_and_not_alike():
    panels = [{"Calls": 4, NATS: 2.0}, {"Calls": 4, NATS: 1.5}, {}, {"Calls": 9, "Solved": -0.5}]
    assert best(panels) == [["Calls"], ["Calls", NATS], [], []]
    assert best([{"Calls": 3}, {"Calls": 3}]) == [[], []]
    assert best([{"Calls": 3}, {}]) == [[], []]


def test_panels_say_in_what_they_are_best():
    panels = [PanelSettings("mdlm", params={"steps": n}) for n in (2, 16)] + [None, None]
    _, last = press(RunInputs("sudoku4", template="[MASK]*16", rows=8), panels)
    few, many, *_ = last.values
    assert "Calls" in few["best"] and "Calls" not in many["best"]
    assert "Solved" in many["best"] and "Solved" not in few["best"]
    _, last = press(RunInputs("sudoku4", template="[MASK]*16"), panels[:1])
    assert last.values[0]["best"] == []
