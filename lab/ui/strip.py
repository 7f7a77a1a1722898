"""The strip above the panels: what all of them share, and what Run would do."""

from typing import Any

import gradio as gr

from lab.run import limits
from lab.ui.assets import asset
from lab.ui.error_text import explain
from lab.ui.events import NEWEST, QUICK
from lab.ui.forecast import Forecast, forecast, steps_for
from lab.ui.run_inputs import check_kind, run_inputs
from lab.ui.safe_text import visible
from lab.ui.settings_form import check_form, panel_settings
from lab.ui.tasks import check_task

MOST_CALLS = 5000


class Strip(gr.HTML):
    """value: the page's Forecast, or None before there is one.

    The controls in it belong to the settings form, whose script draws them here. The template is
    static, and text only ever meets `textContent`.
    """

    def __init__(self, value: Forecast | None = None, **layout: Any):
        super().__init__(
            value,
            html_template=asset("strip", "strip.html"),
            js_on_load=asset("strip", "strip.js"),
            **layout,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def attach(
    strip: Strip, fields: list[Any], settings: gr.HTML, status: gr.HTML, loaded: list[Any]
) -> None:
    """Wire it. fields: what says what is run, the settings form among it; loaded: the events after
    which a task's models are open."""
    gr.on([one.change for one in fields], _forecast, fields, strip, **NEWEST)
    for event in loaded:
        event.then(_forecast, fields, strip, **QUICK)
    strip.select(_equal_calls, fields, [settings, status], **QUICK)


def _forecast(*values: Any) -> Any:
    try:
        return forecast(*values) or gr.skip()
    except ValueError as error:
        return {"panels": [], "note": f"✕ {visible(explain(error))}"}


def _equal_calls(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, settings: Any, rows: Any,
    draft: Any, event: gr.EventData,
) -> list[Any]:  # fmt: skip
    """Give every panel the most steps that make no more calls than were asked for."""
    data = event._data if isinstance(event._data, dict) else {}
    try:
        calls = limits.whole("equal calls", data.get("calls"), 1, MOST_CALLS)
        form = check_form(settings)
        inputs = run_inputs(check_task(task), check_kind(kind), text, gen_length, seed, rows, draft)
        steps = steps_for(calls, inputs, panel_settings(form))
    except ValueError as error:
        return [gr.skip(), f"✕ {visible(explain(error))}"]
    if not any(steps):
        return [gr.skip(), f"No panel has steps to set for {calls} calls"]
    panels = [
        {**panel, "params": {**panel["params"], "steps": own}} if panel and own else panel
        for panel, own in zip(form["panels"], steps, strict=True)
    ]
    left = [
        f"{number} ({panel['sampler']})"
        for number, (panel, own) in enumerate(zip(form["panels"], steps, strict=True), 1)
        if panel and not own
    ]
    note = f"; as they were: {', '.join(left)}, whose calls no steps set" if left else ""
    return [{**form, "panels": panels}, f"Steps set for at most {calls} calls a panel{note}"]
