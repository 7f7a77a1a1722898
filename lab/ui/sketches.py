"""The figures of a run that goes on, drawn in the browser from the films that its panels hold.

A figure made here and sent every half second would cost the run more than its steps do; the final
ones, which can be zoomed and read, take the sketches' place.
"""

from typing import Any, Literal

import gradio as gr

from lab.ui import page_runs
from lab.ui.assets import asset
from lab.ui.panel import page_query

SCRIPTS = ("canvas.js", "readings.js", "sketch.js")
Kind = Literal["confidence", "order", "progress", "uncertainty"]


class Sketches(gr.HTML):
    """One kind of figure, a canvas a panel; kind: also the begin of its final figures' elem_id."""

    def __init__(self, kind: Kind):
        super().__init__(
            None,
            html_template=asset("figures", "sketch.html"),
            js_on_load="\n".join(asset("figures", script) for script in SCRIPTS),
            server_functions=[entropies],
            elem_id=f"sketch-{kind}",
            elem_classes="lab-sketches-block",
            padding=False,
            kind=kind,
        )


def entropies(query: Any) -> dict[str, Any]:
    """Asked while the figures of uncertainty are looked at: {run, start} gives the steps from
    `start` on, a line each: where its window begins, hundredths of nats and most likely ids over
    it, -1 where there are none.
    """
    run, numbers = page_query(query, "start")
    record = page_runs.record_of(run) if run else None
    if record is None:
        return {"missing": True}
    return {"start": numbers[0], "rows": record.uncertainty(*numbers)}
