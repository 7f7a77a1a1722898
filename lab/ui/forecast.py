"""What a press of Run would do, before it is pressed: each panel's model, guarantee and calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict

from lab.tasks.task import PROMPT
from lab.ui import slot
from lab.ui.error_text import explain
from lab.ui.panel_run import job
from lab.ui.run_inputs import RunInputs, check_kind, run_inputs
from lab.ui.safe_text import visible
from lab.ui.settings_form import PanelSettings, check_form, panel_settings
from lab.ui.tasks import check_task

GUARANTEES = {
    "exact": "exact: its texts follow the model",
    "O(1/N)": "O(1/N): its error falls with the steps N",
    "O(N^-1/2)": "O(N^-1/2): its error falls slowly with the steps N",
    "floor": "floor: some error stays however many steps",
    "biased": "biased: prefers what is likely",
    "deterministic": "deterministic: always the same text",
}
MASK_IN_PROMPT = (
    "In a prompt [MASK] is text like any other; choose Fill in a template to have it filled in."
)
OTHER_MODELS = "The panels run on models that were trained differently"


class PanelForecast(TypedDict):
    """model, guarantee: in words, "" where unknown; calls: at most, 0 where unknown; problem: why
    it cannot run."""

    model: str
    guarantee: str
    calls: int
    problem: str


class Forecast(TypedDict):
    """panels: one each, None for an empty one; note: what is the same for all, or worth saying."""

    panels: list[PanelForecast | None]
    note: str


def forecast(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, settings: Any, rows: Any = 1,
    draft: Any = "",
) -> Forecast | None:  # fmt: skip
    """The forecast for the page's inputs; None while a run computes, beside which no model may be
    loaded, and while the settings are still another task's.

    ValueError for inputs that the page would not send.
    """
    form = check_form(settings)
    if form["task"] != task:
        return None
    panels = panel_settings(form)
    inputs = run_inputs(check_task(task), check_kind(kind), text, gen_length, seed, rows, draft)
    try:
        with slot.LINE.ticket() as ticket:
            if ticket.wait(0):
                return None
            each = [_panel(inputs, one) if one else None for one in panels]
    except slot.NoPlace:
        return None
    return {"panels": each, "note": _note([one for one in each if one], kind, text)}


def _note(each: list[PanelForecast], kind: str, text: str) -> str:
    if each and all(one["problem"] for one in each):
        return f"✕ {each[0]['problem']}"
    if kind == PROMPT and "[MASK]" in text:
        return MASK_IN_PROMPT
    models = list(dict.fromkeys(one["model"] for one in each if one["model"]))
    if len(models) > 1:
        return f"{OTHER_MODELS}: {', '.join(models)}."
    return ""


def _panel(inputs: RunInputs, settings: PanelSettings) -> PanelForecast:
    try:
        planned = job(inputs, settings).plan
    except Exception as error:
        return {"model": "", "guarantee": "", "calls": 0, "problem": visible(explain(error))}
    guarantee = planned.sampler.guarantee
    return {
        "model": visible(planned.model.card.name),
        "guarantee": GUARANTEES.get(guarantee, guarantee),
        "calls": planned.calls,
        "problem": "",
    }


def steps_for(
    calls: int, inputs: RunInputs, panels: Sequence[PanelSettings | None]
) -> list[int | None]:
    """The most steps with which each panel makes at most `calls` calls; None where it has no
    steps to set, cannot run, or makes more with one step."""
    return [_steps_for(calls, inputs, one) if one else None for one in panels]


def _steps_for(calls: int, inputs: RunInputs, settings: PanelSettings) -> int | None:
    def calls_of(steps: int) -> int:
        params = {**settings.params, "steps": steps}
        return job(inputs, replace(settings, params=params)).plan.calls

    try:
        if calls_of(1) > calls:
            return None
        few, many = 1, calls + 1  # a step is at least one call
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (middle, many) if calls_of(middle) <= calls else (few, middle)
    except ValueError:
        return None
    return few
