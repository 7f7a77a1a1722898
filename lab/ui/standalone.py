"""A comparison as one HTML file: the panels of the app, with nothing behind them."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from lab.ui.panel import ASSETS, PANEL_SCRIPTS


def save(path: Path, title: str, values: Sequence[dict[str, Any]], source: str) -> None:
    """Write the file. values: the panels' JSON, empty ones left out; source: Python for the same.

    What models wrote stands in one JSON text, in which no tag can end; scripts and styles are ours
    alone, and the page's own policy keeps it from asking anybody for anything.
    """
    shown = [value for value in values if value["kind"] != "empty"]
    panel = _asset("panel", "panel.html")
    page = Template(_asset("standalone", "page.html")).substitute(
        title=escape(title),
        style=f"{_asset('standalone', 'page.css')}\n{_asset('style.css')}",
        playback=_asset("playback", "playback.html"),
        panels="".join(f"<div>{panel}</div>" for _ in shown),
        source=escape(source),
        runs=json.dumps(shown, allow_nan=False).replace("<", "\\u003c"),
        script="\n".join([
            "const mountPanel = (element, props, watch) => {",
            *(_asset("panel", script) for script in PANEL_SCRIPTS), "};",
            "const mountPlayback = element => {", _asset("playback", "playback.js"), "};",
            _asset("standalone", "page.js"),
        ]),
    )  # fmt: skip
    path.write_text(page, encoding="utf-8")


def _asset(*parts: str) -> str:
    return ASSETS.joinpath(*parts).read_text(encoding="utf-8")
