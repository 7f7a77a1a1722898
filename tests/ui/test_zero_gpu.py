"""A run on a GPU that a Space lends: in another process, and what it leaves is the same as here."""

import multiprocessing
import os
import pickle
import sys
import threading

import pytest
import torch
from gradio_client import Client

import lab
from lab.models.hub import connection
from lab.ui import loaded_models, panel_frames, slot, zero_gpu
from lab.ui.comparison import Run
from lab.ui.panel_run import job
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings
from lab.ui.shelf import Shelf
from tests.kit import fake_hub, tiny
from tests.kit.far_device import FAR, FarDevice
from tests.kit.lent import spaces
from tests.kit.pressing import CAPITALS, FOUR, kinds, press
from tests.kit.project import ROOT
from tests.reliability.ends import free_port, serve

LONG = [PanelSettings("hybrid", None, {"steps": 3000})]
STORIES = RunInputs("stories", "Once upon a time", gen_length=16, seed=3)


@pytest.fixture
def lent(monkeypatch):
    """A Space that lends a GPU, which is this machine's CPU in a process of its own."""
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    monkeypatch.setattr(spaces, "seconds", [])
    monkeypatch.setattr(zero_gpu, "gpu", lambda: torch.device("cpu"))
    monkeypatch.setattr(panel_frames, "START", 600.0)  # this machine is slower than a GPU
    monkeypatch.setattr(panel_frames, "MOST", 700.0)
    function = zero_gpu.lend(panel_frames._in_turn, panel_frames._duration)
    assert function is not panel_frames._in_turn
    monkeypatch.setattr(panel_frames, "LENT", function)
    return spaces


@pytest.mark.parametrize("inputs", [CAPITALS, STORIES], ids=["capitals", "stories"])
def test_lent_gpu_leaves_what_lab_run_gives(lent, inputs):
    run, last = press(inputs, FOUR)
    assert kinds(last) == ["done"] * 4 and len(lent.seconds) == 1
    for settings, trajectory in zip(FOUR, run.comparison.trajectories, strict=True):
        arguments = {"gen_length": inputs.gen_length, "seed": 3}
        (alone,) = lab.run(settings.sampler, inputs.task, inputs.prompt, **arguments)
        assert trajectory.same_tokens(alone) and trajectory.text == alone.text
    assert not multiprocessing.active_children()


def test_models_move_to_gpu_in_its_process_alone(lent, monkeypatch):
    monkeypatch.setattr(zero_gpu, "gpu", lambda: FAR)
    # A parameter cannot change its device by itself: .to makes a new one.
    monkeypatch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    alone = [  # before: transformers loads by way of the device that FAR stands on
        lab.run(one.sampler, "stories", STORIES.prompt, gen_length=16, seed=3)[0]
        for one in FOUR[:2]
    ]
    frames = panel_frames.frames

    def there(plan):
        assert plan.model.device == FAR
        yield from frames(plan)

    monkeypatch.setattr(panel_frames, "frames", there)
    with FarDevice():
        run, last = press(STORIES, FOUR[:2])
    assert kinds(last) == ["done"] * 2
    for mine, theirs in zip(run.comparison.trajectories, alone, strict=True):
        assert mine.same_tokens(theirs)
        assert lab.load(mine.model).device == torch.device("cpu")


def test_plain_values_alone_go_in():
    one = job(STORIES, FOUR[0])
    assert one.plan is one.plan
    there = pickle.loads(sent := pickle.dumps({0: one}))[0]
    assert len(sent) < 1000 and there == one and "plan" not in vars(there)


def test_duration_follows_from_settings(lent):
    seconds = {}
    for steps in (4, 8, 5000):
        jobs = {0: job(CAPITALS, PanelSettings("hybrid", None, {"steps": steps}))}
        seconds[steps] = panel_frames._duration(jobs, panel_frames.gpu_seconds(jobs))
    more = 4 * panel_frames.CALL
    assert seconds[8] - seconds[4] == pytest.approx(more, abs=1)
    assert seconds[4] >= panel_frames.START + more + panel_frames.SPARE
    assert seconds[5000] == panel_frames.MOST + panel_frames.SPARE
    press(CAPITALS, [PanelSettings("hybrid", None, {"steps": 8})])
    assert lent.seconds == [seconds[8]]


def test_stop_ends_process_that_was_lent(lent):
    run = Run(CAPITALS, LONG)
    for last in run.updates():
        if last.values[0]["count"]:
            run.stop.set()
    assert kinds(last) == ["stopped"] and run.comparison.runs
    assert not multiprocessing.active_children() and not len(slot.LINE)


def test_run_that_waits_for_gpu_says_so(lent):
    run, said = Run(CAPITALS, LONG), []
    for update in run.updates():
        said.append(update.status)
        if update.values[0]["count"]:
            run.stop.set()
    assert said[0] == "Waiting for a GPU" and "1 running" in said[1]


def test_refused_gpu_is_said_as_text(lent, monkeypatch):
    monkeypatch.setattr(lent, "refusal", 'Your quota is used up. <a href="http://x">Log in</a>')
    _, last = press(CAPITALS, FOUR[:2])
    assert last.status == "✕ Your quota is used up. Log in"
    assert kinds(last) == ["stopped"] * 2 and not len(slot.LINE)


def test_run_ends_before_its_gpu_is_taken_back(lent, monkeypatch):
    monkeypatch.setattr(panel_frames, "MOST", 0.5)
    run, last = press(CAPITALS, LONG)
    assert kinds(last) == ["stopped"] and "0 s, for which the GPU was lent" in run.panels[0].message
    assert "1 stopped" in last.status
    assert len(run.comparison.runs[0].predicted) > 0


def test_killed_process_leaves_steps_so_far(lent, monkeypatch):
    monkeypatch.setattr(panel_frames, "_duration", lambda jobs, seconds: 1)
    monkeypatch.setattr(
        panel_frames, "LENT", zero_gpu.lend(panel_frames._in_turn, panel_frames._duration)
    )
    run, last = press(CAPITALS, LONG)
    assert kinds(last) == ["stopped"] and run.panels[0].message == "GPU task aborted"
    assert len(run.comparison.runs[0].predicted) > 0


def test_error_there_is_its_panels_alone(lent, monkeypatch, capfd):
    def broken(plan):
        if plan.sampler.name == FOUR[0].sampler:
            raise RuntimeError("/secret/path of the machine")
        yield from frames(plan)

    frames = panel_frames.frames
    monkeypatch.setattr(panel_frames, "frames", broken)
    _, last = press(CAPITALS, FOUR[:2])
    assert kinds(last) == ["error", "done"]
    assert "RuntimeError" in last.values[0]["message"]
    assert "/secret" not in str(last.values)


def test_nothing_to_run_asks_for_no_gpu(lent):
    _, last = press(CAPITALS, [PanelSettings("mdlm", None, {"steps": 0})])
    assert kinds(last) == ["error"] and not lent.seconds


def test_lent_gpu_takes_no_turns(lent, monkeypatch):
    """It would go on computing while its run waits."""
    monkeypatch.setattr(slot, "TURN", 0.0)
    run = Run(CAPITALS, LONG)
    updates = run.updates()
    next(updates)
    with slot.LINE.ticket():
        statuses = [next(updates).status for _ in range(3)]
        run.stop.set()
        assert kinds(list(updates)[-1]) == ["stopped"]
    assert all(status.startswith("1 running") for status in statuses)


def test_loaded_model_crosses_by_its_name(lent, tmp_path, monkeypatch):
    monkeypatch.setattr(loaded_models, "_KNOWN", Shelf(1.0))
    with fake_hub.reached(monkeypatch, tmp_path / "cache") as hub:
        hub.add("me/mine", tiny.write(tmp_path / "mine", "block-absorbing"))
        entry = loaded_models.look_up("me/mine")
        entry = loaded_models.load(entry, lambda *now: None, threading.Event())
        run, last = press(RunInputs(entry.name, "a", gen_length=4), [PanelSettings("llada2")])
        assert kinds(last) == ["done"], last.status
        assert run.comparison.runs[0].model == "me/mine" and len(lent.seconds) == 1


def test_models_wait_on_cpu_where_gpu_is_lent(lent):
    assert loaded_models.device() == "cpu"
    os.environ.pop("SPACES_ZERO_GPU")
    assert loaded_models.device() == "auto" and not connection.on_zero_gpu()


def test_app_on_zero_gpu_answers_as_it_does_here(tmp_path):
    """`python app.py` with the stand-in installed: imported before torch, and used."""
    port, (expected,) = free_port(), lab.run("mdlm", "capitals", "The capital of", seed=3)
    process, _ = serve(
        str(tmp_path), port, SYSTEM="spaces", SPACES_ZERO_GPU="true",
        PYTHONPATH=str(ROOT / "tests/kit/lent"),
    )  # fmt: skip
    try:
        client = Client(f"http://127.0.0.1:{port}/", verbose=False)
        answer = client.predict(
            samplers="mdlm", prompt="The capital of", seed=3, api_name="/compare"
        )
    finally:
        process.terminate()
        process.wait()
    assert answer["results"][0]["text"] == expected.text
    log = (tmp_path / "spaces.log").read_text().splitlines()
    jobs = {0: job(CAPITALS, PanelSettings("mdlm"))}
    seconds = panel_frames._duration(jobs, panel_frames.gpu_seconds(jobs))
    assert log == ["imported before torch", f"asked for {seconds} s"]


def test_app_elsewhere_asks_for_no_gpu():
    assert panel_frames.LENT is panel_frames._in_turn
