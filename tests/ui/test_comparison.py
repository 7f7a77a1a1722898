"""A press of Run without a browser: panels in turn, one budget, one line, every end of a run."""

import itertools
import json
import math
import threading
from functools import partial

import pytest

import lab
from lab.run import limits
from lab.run.frames import frames
from lab.ui import comparison, panel_frames, slot
from lab.ui.comparison import PAUSE, Run
from lab.ui.run_inputs import RunInputs, run_inputs
from lab.ui.settings_form import PanelSettings
from tests.kit.pressing import CAPITALS, FOUR, kinds, press, recorder


def test_four_panels_leave_what_lab_run_gives():
    run, last = press(CAPITALS, FOUR)
    assert kinds(last) == ["done"] * 4 and last.over
    for settings, trajectory in zip(FOUR, run.comparison.trajectories, strict=True):
        (alone,) = lab.run(settings.sampler, "capitals", "The capital of", seed=3)
        assert trajectory.same_tokens(alone)


def test_panels_advance_in_turn():
    run, order = Run(CAPITALS, FOUR[:2]), []
    for number, panel in enumerate(run.panels):
        take = panel.take
        panel.take = lambda step, take=take, number=number: order.append(number) or take(step)
    list(run.updates())
    assert order[:6] == [0, 1] * 3


def test_every_step_is_pushed_once_and_in_order():
    run, steps = Run(CAPITALS, FOUR[2:3]), []
    for update in run.updates():
        (value,) = update.values
        part = json.loads(value["steps"])
        if value["start"] == len(steps):
            steps += part
        assert value["count"] == len(steps) == value["start"] + len(part)
    assert len(steps) == len(run.comparison.runs[0].predicted) > 0


def test_slow_page_misses_no_step():
    run, steps, calls, updates = Run(CAPITALS, FOUR[2:3]), [], [], 0
    for update in run.updates(lambda: calls.append(1) or len(calls) % 40 == 0):
        updates += 1
        (value,) = update.values
        assert value["start"] == len(steps)
        steps += json.loads(value["steps"])
    assert updates <= len(calls) // 40 + 1
    assert len(steps) == len(run.comparison.runs[0].predicted)


def test_pushed_bytes_grow_with_steps_alone(monkeypatch):
    # A clock that counts looks at it: how many updates there are is no matter of the machine.
    monkeypatch.setattr(comparison, "monotonic", partial(next, itertools.count(0, PAUSE / 8)))
    sizes = {}
    for steps in (200, 400, 800):
        run = Run(CAPITALS, [PanelSettings("hybrid", None, {"steps": steps})])
        updates = list(run.updates())
        assert len(updates) > steps / 20
        sizes[steps] = sum(len(json.dumps(update.values)) for update in updates)
    early, late = (sizes[400] - sizes[200]) / 200, (sizes[800] - sizes[400]) / 400
    assert late < 1.1 * early
    assert late < 400


def test_first_step_is_pushed_at_once():
    updates = Run(CAPITALS, FOUR[:2]).updates()
    assert [value["count"] for value in next(updates).values[:2]] == [0, 0]
    assert [value["count"] for value in next(updates).values[:2]] == [1, 0]
    updates.close()


def test_updates_are_fewer_than_steps():
    run = Run(CAPITALS, FOUR[2:3])
    count = sum(1 for _ in run.updates())
    assert count < len(run.comparison.runs[0].predicted) / 2


def test_stop_ends_every_panel_within_one_step():
    run, counts = Run(CAPITALS, FOUR), []
    for last in run.updates():
        if not run.stop.is_set() and last.values[2]["count"]:
            run.stop.set()
            counts = [len(panel.record.film.steps) for panel in run.panels]
    assert "stopped" in kinds(last) and "running" not in kinds(last)
    assert last.values[2]["message"] == "stopped"
    for panel, count in zip(run.panels, counts, strict=True):
        assert panel.record.trajectory is not None
        assert len(panel.record.film.steps) <= count + 1


def test_run_ends_at_its_most_seconds(monkeypatch):
    monkeypatch.setattr(slot, "SECONDS", 0)
    _, last = press(CAPITALS, FOUR[2:3])
    assert kinds(last) == ["stopped"] and "0 s" in last.values[0]["message"]


def test_closed_run_leaves_line():
    updates = Run(CAPITALS, FOUR).updates()
    next(updates)
    assert len(slot.LINE) == 1
    updates.close()
    assert not len(slot.LINE)


def test_waiting_run_says_its_place_and_may_be_stopped():
    run = Run(CAPITALS, FOUR[:1])
    with slot.LINE.ticket(), slot.LINE.ticket():
        updates = run.updates()
        assert "you are 2nd in line" in next(updates).status
        run.stop.set()
        assert kinds(list(updates)[-1]) == ["stopped"]
    assert not len(slot.LINE)


def test_run_stopped_while_it_waited_begins_nothing():
    run = Run(CAPITALS, FOUR[:1])
    with slot.LINE.ticket():
        updates = run.updates()
        next(updates)
        run.stop.set()
    assert kinds(list(updates)[-1]) == ["stopped"]
    assert run.panels[0].message == "stopped before it began" and not run.comparison.runs


def test_long_run_lets_next_one_go_first(monkeypatch):
    monkeypatch.setattr(slot, "TURN", 0.05)
    long = Run(CAPITALS, [PanelSettings("hybrid", None, {"steps": 3000})])
    short, ended = Run(CAPITALS, FOUR[1:2]), []

    def to_the_end(run, name):
        list(run.updates())
        ended.append(name)

    first = threading.Thread(target=to_the_end, args=(long, "long"))
    first.start()
    while not len(slot.LINE):
        pass
    second = threading.Thread(target=to_the_end, args=(short, "short"))
    second.start()
    second.join(60)
    long.stop.set()
    first.join(60)
    assert ended == ["short", "long"]
    assert short.comparison.runs and long.comparison.runs


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"steps": math.nan}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"temperature": True}, "temperature must be"),
        ({"tempo": 1}, "no parameter 'tempo'"),
    ],
)
def test_bad_setting_fails_its_own_panel_alone(params, words):
    _, last = press(CAPITALS, [FOUR[0], PanelSettings("mdlm", None, params)])
    assert kinds(last) == ["done", "error"]
    assert words in last.values[1]["message"]


def test_error_half_way_keeps_steps_of_its_panel(monkeypatch, caplog):
    def break_first(plan):
        for frame in frames(plan):
            yield frame
            if plan.sampler.name == FOUR[0].sampler and frame.step == 1:
                raise RuntimeError("/secret/path of the machine")

    monkeypatch.setattr(panel_frames, "frames", break_first)
    run = Run(CAPITALS, FOUR[:2])
    last = list(run.updates())[-1]
    assert kinds(last) == ["error", "done"]
    assert last.values[0]["count"] == 1
    assert "RuntimeError" in last.values[0]["message"]
    assert "/secret" not in last.values[0]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "/etc"}, "task must be one of"),
        ({"task": None}, "task must be one of"),
        ({"gen_length": math.nan}, "gen_length must be a whole number"),
        ({"gen_length": 500}, "at most"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"text": "a\ud800b"}, "surrogate"),
        ({"text": "a\0b"}, "NUL"),
        ({"seed": 5.7}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"gen_length": 5.7}, "gen_length must be a whole number"),
        ({"gen_length": False}, "gen_length must be a whole number"),
        ({"text": "${1+1} </script>"}, "words this model knows"),
        ({"kind": "template", "text": "The capital"}, "needs a masked position"),
        ({"text": "x" * 30_000}, "at most"),
    ],
)
def test_bad_input_names_field_and_rule(changes, words):
    values = {"task": "capitals", "kind": "prompt", "text": "The capital of", "gen_length": 0,
              "seed": 0, **changes}  # fmt: skip
    _, last = press(run_inputs(**values), FOUR[:1])
    assert kinds(last) == ["error"]
    assert words in last.values[0]["message"]


def test_panels_share_one_budget_of_work(monkeypatch):
    alone = recorder("mdlm", "capitals", prompts="The capital of").plan.work
    monkeypatch.setattr(limits, "APP_WORK", 2 * alone - 1)
    _, last = press(CAPITALS, [FOUR[1], FOUR[1]])
    assert kinds(last) == ["done", "error"]
    assert f"at most {2 * alone - 1:,}" in last.values[1]["message"]


def test_finished_panel_carries_its_verdict():
    _, last = press(RunInputs("capitals", "The capital of France is"), FOUR[:1])
    assert last.values[0]["verdict"]["ok"] is True
    _, last = press(RunInputs("sudoku4", template="1 1[MASK]*14"), FOUR[:1])
    verdict = last.values[0]["verdict"]
    assert verdict["ok"] is False and {0, 1} <= set(verdict["wrong"])


def test_finished_run_lets_go_of_its_model():
    run, _ = press(CAPITALS, FOUR[:1])
    assert run.panels[0]._run is None
