"""The token panel: one run's film, drawn, played and scrubbed in the browser."""

import json
from typing import Any

import gradio as gr

from lab.ui import page_runs
from lab.ui.assets import asset
from lab.ui.many_rows import row_part
from lab.ui.panel_value import PanelValue

PANEL_SCRIPTS = ("film.js", "grid.js", "branch.js", "difference.js", "inspect.js", "rows.js",
                 "panel.js")  # fmt: skip


def panel_script() -> str:
    """What runs in a panel, on the page and in a file that plays without it."""
    return "\n".join([asset("listen.js"), *(asset("panel", name) for name in PANEL_SCRIPTS)])


class TokenPanel(gr.HTML):
    """One run's tokens. The template is static and token text only ever meets `textContent`:
    gr.HTML evaluates whatever a template interpolates as JavaScript.
    """

    def __init__(self, value: PanelValue | None = None, number: int = 1, **layout: Any):
        super().__init__(
            value,
            html_template=asset("panel", "panel.html"),
            js_on_load=panel_script(),
            server_functions=[film, alternatives, row],
            number=number,
            **layout,
        )

    def postprocess(self, value: PanelValue | None) -> str | None:
        """The value as one text, which the browser has whole or not at all.

        Of an object Gradio sends what differs and changes the one that the browser may not have
        read yet: parts of two pushes would mix.
        """
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def film(query: Any) -> dict[str, Any]:
    """Asked by a panel that missed a push: {run, start} gives the steps from `start` on."""
    run, numbers = page_query(query, "start")
    part = page_runs.film(run, *numbers) if run else None
    return {"missing": True} if part is None else dict(part)


def alternatives(query: Any) -> dict[str, Any]:
    """Asked when a token is looked at: {run, step, position} gives what the model thought of it."""
    run, numbers = page_query(query, "step", "position")
    answer = page_runs.alternatives_of(run, *numbers) if run else None
    return {"missing": True} if answer is None else dict(answer)


def row(query: Any) -> dict[str, Any]:
    """Asked where a row is chosen: {run, row} gives its film, verdict and text."""
    run, numbers = page_query(query, "row")
    panel = page_runs.panel_of(run) if run else None
    part = row_part(panel, *numbers) if panel else None
    return {"missing": True} if part is None else part


def page_query(query: Any, *names: str) -> tuple[str, list[int]]:
    """A run's name and some whole numbers from 0; "" for anything that the page would not ask."""
    if not isinstance(query, dict) or not isinstance(run := query.get("run"), str):
        return "", []
    values = [query.get(name) for name in names]
    numbers = [value for value in values if type(value) is int and 0 <= value < 2**31]
    return (run, numbers) if len(numbers) == len(names) else ("", [])
