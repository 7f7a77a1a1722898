"""What a run would do, said before it: at most its calls, the reason where it cannot run."""

import pytest

import lab
from lab.ui import slot
from lab.ui.forecast import MASK_IN_PROMPT, OTHER_MODELS, forecast, steps_for
from lab.ui.run_inputs import run_inputs
from lab.ui.settings_form import PanelSettings, panel_settings, start_value
from lab.ui.strip import _equal_calls, _forecast
from lab.ui.tasks import misfits
from samplers import SAMPLERS

BOARD = "1 [MASK]*15"


def form(task, *names, **shared):
    panels = [{"sampler": name, "preset": None, "params": {}} if name else None for name in names]
    panels += [None] * (4 - len(panels))
    return {**start_value(task, misfits(task)), "panels": panels, "shared": shared}


class Event:
    def __init__(self, data):
        self._data = data


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if not misfits("sudoku4")[name]])
def test_run_makes_no_more_calls_than_said(sampler):
    (said, *_) = forecast("sudoku4", "template", BOARD, 0, 3, form("sudoku4", sampler))["panels"]
    (run,) = lab.run(sampler, "sudoku4", template=BOARD, seed=3)
    assert said["model"] == run.card["name"] and not said["problem"]
    assert 0 < run.calls[-1] <= said["calls"]


def test_panel_that_cannot_run_says_why_and_empty_one_nothing():
    settings = form("sudoku4", "mdlm", "", "remdm")
    settings["panels"][2]["params"]["steps"] = 0
    said = forecast("sudoku4", "template", BOARD, 0, 0, settings)
    mdlm, empty, remdm, _ = said["panels"]
    assert mdlm["calls"] and empty is None
    assert "steps must be a whole number from 1" in remdm["problem"] and remdm["calls"] == 0
    assert said["note"] == ""


def test_what_stops_every_panel_is_said_once():
    said = forecast("stories", "prompt", "Once", 256, 0, start_value("stories", {}))
    assert said["note"].startswith("✕ prompt + gen_length must be at most 256")


def test_mask_in_prompt_and_different_models_are_pointed_out():
    start = start_value("stories", misfits("stories"))
    said = forecast("stories", "prompt", "Once [MASK]", 0, 0, start)
    assert said["note"] == MASK_IN_PROMPT
    said = forecast("stories", "prompt", "Once", 0, 0, start)
    assert said["note"] == (
        f"{OTHER_MODELS}: stories-edit, stories-mdlm, stories-hybrid, stories-block."
    )


def test_no_model_is_loaded_beside_run():
    with slot.LINE.ticket() as ticket:
        assert ticket.wait(0) == 0
        assert forecast("sudoku4", "template", BOARD, 0, 0, form("sudoku4", "mdlm")) is None


def test_settings_of_another_task_have_no_forecast():
    assert forecast("capitals", "template", BOARD, 0, 0, form("sudoku4", "mdlm")) is None


def test_steps_are_most_that_make_no_more_calls():
    inputs = run_inputs("stories", "prompt", "Once upon a time", 0, 0)
    panels = panel_settings(form("stories", "llada2", "mdlm", "hybrid", "threshold"))
    steps = steps_for(16, inputs, panels)
    assert steps[1:] == [16, 16, None]
    for settings, own in zip(panels[:3], steps[:3], strict=True):
        (run,) = lab.run(settings.sampler, "stories", "Once upon a time", steps=own)
        assert run.calls[-1] <= 16
    assert steps_for(1, inputs, panels)[0] is None, "a block is at least one call"


def test_equal_calls_set_steps_of_panels_that_have_some():
    start = form("sudoku4", "mdlm", "threshold")
    event = Event({"calls": 8})
    settings, status = _equal_calls("sudoku4", "template", BOARD, 0, 0, start, 1, "", event)
    assert settings["panels"][0]["params"] == {"steps": 8}
    assert settings["panels"][1] == start["panels"][1]
    assert status == (
        "Steps set for at most 8 calls a panel; as they were: 2 (threshold), whose calls no steps "
        "set"
    )


@pytest.mark.parametrize("calls", [0, -1, 10**9, None, "8", 2.5, True])
def test_equal_calls_that_are_none_are_refused(calls):
    _, status = _equal_calls(
        "sudoku4", "template", BOARD, 0, 0, form("sudoku4", "mdlm"), 1, "", Event({"calls": calls})
    )
    assert status.startswith("✕ equal calls must be a whole number from 1 to 5000")


def test_what_page_would_not_send_is_one_sentence():
    said = _forecast("sudoku4", "template", None, 0, 0, form("sudoku4", "mdlm"))
    assert said["note"] == "✕ text must be text, got NoneType"


def test_panel_settings_of_forecast_are_those_of_run():
    shared = form("sudoku4", "mdlm", steps=3)
    (said, *_) = forecast("sudoku4", "template", BOARD, 0, 0, shared)["panels"]
    assert said["calls"] == 3
    assert panel_settings(shared)[0] == PanelSettings("mdlm", None, {"steps": 3})
