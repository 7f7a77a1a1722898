"""The app without a browser: handlers as plain generators, the panel's JSON, the files it gives."""

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import lab
from lab.record import files
from lab.run import limits
from lab.ui import build, slot
from lab.ui.comparison import press
from lab.ui.page import asked_for, chosen_from
from lab.ui.panel import edges, strip
from lab.ui.panel_run import Lane, Request, explain, fits, notes
from lab.ui.round_robin import race
from lab.ui.safe_text import visible
from lab.ui.settings_form import Choice, catalog, choices, for_task, start_value
from lab.ui.snippet import snippet
from samplers import SAMPLERS
from tests.kit.laws import start

FOUR = [Choice(name) for name in ("llada2", "mdlm", "hybrid", "bd3lm")]
ASKED = Request("capitals", "The capital of", seed=3)


def finished(request: Request, chosen: list[Choice | None]) -> list:
    return list(press(request, chosen, threading.Event()))


def test_four_panels_run_to_their_end_and_leave_one_trajectory_each():
    told = finished(ASKED, FOUR)
    assert [value["kind"] for value in told[-1].values] == ["done"] * 4
    for choice, trajectory in zip(FOUR, told[-1].result.trajectories, strict=True):
        alone = lab.run(choice.sampler, "capitals", "The capital of", seed=3)[0]
        assert trajectory.same_tokens(alone)


def test_the_files_hold_what_lab_run_gives():
    told = press(ASKED, FOUR[:2], threading.Event())
    for last in told:
        if last.result:
            paths = [Path(last.result.csv), Path(last.result.json)]
            assert [path.name for path in paths] == [
                "trajectories-capitals-seed3.csv",
                "trajectories-capitals-seed3.json",
            ]
            for read in map(files.read, paths):
                for choice, trajectory in zip(FOUR[:2], read, strict=True):
                    alone = lab.run(choice.sampler, "capitals", "The capital of", seed=3)[0]
                    assert trajectory.same_tokens(alone)
    assert not paths[0].exists()


def test_panels_advance_in_turn():
    lanes = [Lane(ASKED, choice) for choice in FOUR[:2]]
    steps = []
    for lane in lanes:
        real = lane.advance
        lane.advance = lambda real=real, name=lane.name: steps.append(name) or real()
    list(race(lanes, threading.Event()))
    first, second = lanes[0].name, lanes[1].name
    assert steps[:6] == [first, second] * 3


def test_the_stream_only_appends_and_ends_with_the_last_state():
    lanes = [Lane(ASKED, FOUR[2])]
    seen: list[list[str]] = []
    for (value,) in race(lanes, threading.Event()):
        if seen:
            assert value["steps"][: len(seen[-1])] == seen[-1]
        seen.append(value["steps"])
    assert len(seen[-1]) == len(lanes[0].trajectory().predicted) > len(seen[0])


def test_pushes_are_few():
    pushes = sum(1 for _ in race([Lane(ASKED, FOUR[2])], threading.Event()))
    steps = len(lab.run("hybrid", "capitals", "The capital of")[0].predicted)
    assert pushes < steps / 2


def test_stop_ends_every_panel_within_one_step_and_keeps_what_was_recorded():
    stop, told = threading.Event(), None
    lanes = []
    for told in press(ASKED, FOUR, stop):
        if not stop.is_set() and told.values[2]["steps"]:
            stop.set()
            lanes = [len(value["steps"]) for value in told.values]
    kinds = [value["kind"] for value in told.values]
    assert "stopped" in kinds and "running" not in kinds
    assert told.values[2]["message"] == "stopped"
    assert len(told.values[2]["steps"]) <= lanes[2] + 1
    assert all(trajectory is not None for trajectory in told.result.trajectories)
    assert Path(told.result.csv).name.endswith(".csv")


def test_a_run_that_takes_too_long_is_stopped_and_says_so():
    values = list(race([Lane(ASKED, FOUR[2])], threading.Event(), seconds=0))[-1]
    assert values[0]["kind"] == "stopped" and "0 s" in values[0]["message"]


def test_a_closed_run_gives_the_lock_back():
    told = press(ASKED, FOUR, threading.Event())
    next(told)
    assert slot.LOCK.locked()
    told.close()
    assert not slot.LOCK.locked()


def test_a_second_run_waits_for_the_first_and_may_give_up():
    stop = threading.Event()
    with slot.LOCK:
        told = press(ASKED, FOUR[:1], stop)
        assert "waiting" in next(told).status
        stop.set()
        assert [value["kind"] for value in list(told)[-1].values] == ["stopped"]
    assert not slot.LOCK.locked()


def test_stop_finds_the_run_of_its_own_session_only():
    with slot.stoppable("mine") as stop:
        assert not slot.stop("yours") and not stop.is_set()
        assert slot.stop("mine") and stop.is_set()
    assert not slot.stop("mine")


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
def test_a_bad_setting_is_told_in_its_own_panel(params, words):
    told = finished(ASKED, [FOUR[0], Choice("mdlm", None, params)])[-1]
    assert [value["kind"] for value in told.values] == ["done", "error"]
    assert words in told.values[1]["message"]


def test_an_error_half_way_stays_in_its_panel_and_keeps_its_steps(caplog):
    lanes = [Lane(ASKED, choice) for choice in FOUR[:2]]
    broken = lanes[0]
    opened = broken.open

    def open_and_break(budget: int) -> int:
        left = opened(budget)
        frames = broken.frames

        def fail():
            yield next(frames)
            yield next(frames)
            raise RuntimeError("/secret/path of the machine")

        broken.frames = fail()
        return left

    broken.open = open_and_break
    values = list(race(lanes, threading.Event()))[-1]
    assert [value["kind"] for value in values] == ["error", "done"]
    assert len(values[0]["steps"]) == 1
    assert "RuntimeError" in values[0]["message"] and "/secret" not in values[0]["message"]


def test_running_out_of_memory_says_what_to_lower(caplog):
    assert "lower gen_length" in explain(MemoryError())


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
        ({"text": 7}, "must be text"),
        ({"text": "${1+1} </script>"}, "words this model knows"),
        ({"kind": "template", "text": "The capital"}, "needs a masked position"),
        ({"text": "x" * 30_000}, "at most"),
    ],
)
def test_bad_input_names_the_field_and_the_rule(changes, words):
    given = {"task": "capitals", "kind": "prompt", "text": "The capital of", "gen_length": 0,
             "seed": 0, **changes}  # fmt: skip
    told = finished(asked_for(**given), FOUR[:1])[-1]
    assert told.values[0]["kind"] == "error"
    assert words in told.values[0]["message"]


def test_the_panels_share_one_budget_of_work(monkeypatch):
    alone = start("mdlm", "capitals", "The capital of").plan.work
    monkeypatch.setattr(limits, "APP_WORK", 2 * alone - 1)
    told = finished(ASKED, [FOUR[1], FOUR[1]])[-1]
    assert [value["kind"] for value in told.values] == ["done", "error"]
    assert f"at most {2 * alone - 1:,}" in told.values[1]["message"]


@pytest.mark.parametrize(
    "form",
    [None, 7, {}, {"panels": 3}, {"panels": [3]}, {"panels": [{"sampler": "no", "params": {}}]},
     {"panels": [None] * 9}, {"panels": [{"sampler": ["mdlm"], "params": {}}]},
     {"panels": [{"sampler": "mdlm"}]}, {"panels": [], "shared": [1]}],
)  # fmt: skip
def test_a_malformed_form_is_one_error(form):
    with pytest.raises(ValueError):
        choices(form)


def test_own_settings_override_shared_ones_and_shared_ones_skip_who_ignores_them():
    form = start_value({}) | {"shared": {"steps": 4, "threshold": 0.5, "top_k": 3}}
    form["panels"][1]["params"] = {"steps": 7}
    llada2, mdlm, *_ = chosen_from(form)
    assert llada2.params == {"steps": 4, "threshold": 0.5}
    assert mdlm.params == {"steps": 7}


def test_the_form_describes_every_parameter_of_every_sampler():
    drawn = catalog()["samplers"]
    assert set(drawn) == set(SAMPLERS)
    for name, sampler in SAMPLERS.items():
        assert [p["name"] for p in drawn[name]["params"]] == [p.name for p in sampler.params]
        for param in drawn[name]["params"]:
            assert param["help"]
            if param["kind"] in ("int", "float"):
                assert param["low"] < param["usual"] <= param["high"]
                assert param["low"] <= param["suggested"] <= param["high"]
    json.dumps(drawn, allow_nan=False)


def test_a_sampler_that_does_not_fit_is_named_with_its_reason():
    for task in lab.tasks():
        for sampler, reason in fits(task).items():
            assert (reason is None) == (sampler in lab.tasks()[task])


def rebuilt(value: dict, name: str, first: list) -> list[list]:
    """Undo the changes as film.js does."""
    lines = [first]
    for step in map(json.loads, value["steps"]):
        line, pairs = list(lines[-1]), step[name]
        for position, new in zip(pairs[::2], pairs[1::2], strict=True):
            line[position] = new
        lines.append(line)
    return lines


@pytest.mark.parametrize("sampler", ["llada2", "mdlm", "hybrid", "bd3lm"])
def test_the_panels_json_holds_every_step_of_the_trajectory(sampler):
    trajectory = lab.run(sampler, "capitals", "The capital of", seed=1)[0]
    value = strip(trajectory, [])
    length = trajectory.tokens.shape[1]
    assert rebuilt(value, "tokens", value["start"]["tokens"]) == trajectory.tokens.tolist()
    assert rebuilt(value, "state", value["start"]["state"]) == trajectory.state.tolist()
    assert rebuilt(value, "written", [-1] * length) == trajectory.committed_step.tolist()
    sure = np.array(rebuilt(value, "confidence", [None] * length)[1:], float)
    np.testing.assert_allclose(sure, trajectory.confidence, atol=5e-4)
    assert {int(i) for i in value["pieces"]} >= set(trajectory.tokens.ravel().tolist())


def test_block_borders_are_where_windows_begin():
    trajectory = lab.run("llada2", "capitals", "The capital of", block_length=4)[0]
    assert edges(trajectory) == [4, 8]
    for sampler in ("mdlm", "autoregressive"):
        assert edges(lab.run(sampler, "capitals", "The capital of")[0]) == []


@pytest.mark.parametrize(
    ("attention", "length", "told"),
    [("block_causal", 4, True), ("block_causal", 8, False), ("causal", 8, True),
     ("full", 4, False), ("any", 4, False)],
)  # fmt: skip
def test_a_panel_says_where_later_text_is_not_seen(attention, length, told):
    template = "The capital of [MASK] is Paris."
    run = start("llada2", "capitals", template=template, block_length=length)
    assert bool(notes(run.plan.canvas, attention)) is told


def test_a_finished_panel_carries_its_verdict():
    values = finished(Request("capitals", "The capital of France is"), FOUR[:1])[-1].values
    assert values[0]["verdict"]["ok"] is True
    wrong = Request("sudoku4", template="1 1[MASK]*14")
    verdict = finished(wrong, FOUR[:1])[-1].values[0]["verdict"]
    assert verdict["ok"] is False and {0, 1} <= set(verdict["wrong"])


def test_what_would_be_invisible_is_written_out():
    assert visible("the cat\n") == "the cat\n"
    assert visible("é 猫 🙂 ${1+1} </script> \\u00") == "é 猫 🙂 ${1+1} </script> \\u00"
    assert visible("\0\x1b") == "␀␛"
    assert visible("a\u202eb") == "a⟨U+202E⟩b"
    assert visible("\u200b\ud800\u00a0") == "⟨U+200B⟩⟨U+D800⟩⟨U+00A0⟩"
    visible("".join(map(chr, range(0x3000)))).encode("utf-8")


def test_the_python_of_a_run_repeats_it(tmp_path):
    chosen = [Choice("llada2", "llada2.1_speed", {"steps": 4}), Choice("mdlm", None, {"steps": 3})]
    told = finished(ASKED, chosen)[-1]
    source = snippet(ASKED, chosen)
    assert subprocess.run([sys.executable, "-c", source], cwd=tmp_path, env=_env(), check=True)
    read = lab.read(tmp_path / "trajectories.csv")
    for mine, theirs in zip(told.result.trajectories, read, strict=True):
        assert mine.same_tokens(theirs)


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_four_actions_are_public():
    calls = build().get_config_file()["dependencies"]
    public = {one["api_name"] for one in calls if one["api_visibility"] == "public"}
    assert public == {"compare", "samplers", "look_up", "load"}


def test_another_task_brings_samplers_that_fit_and_the_way_back_their_own():
    opened = start_value(fits("stories"))
    board = for_task(opened, fits("sudoku9"))
    names = [panel["sampler"] for panel in board["panels"]]
    assert names[1] == "mdlm" and "margin" in names and len(set(names)) == 4
    assert not any(fits("sudoku9")[name] for name in names)
    assert for_task(board, fits("stories")) == opened
    mine = {**opened, "panels": [{"sampler": "mdlm", "preset": None, "params": {"steps": 3}}, None,
                                 *opened["panels"][2:]]}  # fmt: skip
    kept = for_task(mine, fits("sudoku9"))["panels"]
    assert for_task(for_task(mine, fits("sudoku9")), fits("stories")) == mine
    assert kept[0] == mine["panels"][0] and kept[1] is None and kept[2]["sampler"] != "hybrid"
