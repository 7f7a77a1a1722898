"""A comparison as one HTML file: the panels of the app, with nothing behind them."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from lab.record.trajectory import Trajectory
from lab.ui.assets import asset
from lab.ui.film import call_details
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel import panel_script
from lab.ui.safe_text import visible


def title(runs: Sequence[Trajectory]) -> str:
    """What was compared, in one line."""
    names = ", ".join(dict.fromkeys(visible(run.sampler) for run in runs))
    return f"{names} on {visible(runs[0].task or runs[0].model)}, seed {runs[0].seed}"


def save(path: Path, comparison: PageRuns) -> None:
    """Write the file.

    What models wrote stands in one JSON text, in which no tag can end; scripts and styles are ours
    alone, and the page's own policy keeps it from asking anybody for anything.
    """
    values = [_value(panel) for panel in comparison.panels if panel and panel.head]
    panel = asset("panel", "panel.html")
    page = Template(asset("standalone", "page.html")).substitute(
        title=escape(title(comparison.runs)),
        style=f"{asset('standalone', 'page.css')}\n{asset('style.css')}",
        playback=asset("playback", "playback.html"),
        panels="".join(f"<div>{panel}</div>" for _ in values),
        python=escape(comparison.code.python),
        shell=escape(comparison.code.shell),
        runs=json.dumps(values, allow_nan=False).replace("<", "\\u003c"),
        script="\n".join([
            "const mountPanel = (element, props, watch, server) => {",
            panel_script(), "};",
            "const mountPlayback = element => {", asset("playback", "playback.js"), "};",
            asset("standalone", "page.js"),
        ]),
    )  # fmt: skip
    path.write_text(page, encoding="utf-8")


def _value(panel: PanelRecord) -> dict[str, Any]:
    """A panel's value with its whole film, and what the model thought at every step."""
    value: dict[str, Any] = {**(panel.head or {}), **panel.film.part(0), "details": []}
    if panel.trajectory is not None:
        value["details"], pieces = call_details(panel.trajectory)
        value["pieces"] = {**pieces, **value["pieces"]}
        text = panel.filters_text()
        value["filters"] = [text.line(None), text.line([])]
    return value
