"""The token panel: a Trajectory as small JSON, drawn, played and scrubbed in the browser."""

import json
import math
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy import ndarray

from lab.record.history import STATES
from lab.record.trajectory import Trajectory
from lab.ui.safe_text import visible

ASSETS = Path(__file__).parents[2] / "assets"
PANEL_SCRIPTS = ("film.js", "grid.js", "inspect.js", "panel.js")
LEAST = 0.003  # alternatives less likely than this are not sent


class TokenPanel(gr.HTML):
    """One run's tokens. The template is static and token text only ever meets `textContent`:
    gr.HTML evaluates whatever a template interpolates as JavaScript.
    """

    def __init__(self, value: dict[str, Any] | None = None, number: int = 1, **layout: Any):
        folder = ASSETS / "panel"
        super().__init__(
            value,
            html_template=(folder / "panel.html").read_text(encoding="utf-8"),
            js_on_load="\n".join((folder / p).read_text(encoding="utf-8") for p in PANEL_SCRIPTS),
            number=number,
            **layout,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def strip(trajectory: Trajectory, sent: list[str]) -> dict[str, Any]:
    """What the panel draws of a trajectory; `sent` are the steps encoded before, kept as they are.

    Each step is one JSON string of what it changed: the stream of a run then only ever appends to
    a list, and telling old from new costs a string comparison.
    """
    states, tokens = trajectory.state, trajectory.tokens
    count = len(trajectory.predicted)
    fresh = [_step(trajectory, s) for s in range(len(sent), count)]
    card = trajectory.card
    specials = [card.get(name) for name in ("mask_id", "pad_id", "bos_id")]
    return {
        "mask": card.get("mask_id"),
        "columns": int(tokens.shape[1]),
        "states": list(STATES),
        "start": {"tokens": tokens[0].tolist(), "state": states[0].tolist()},
        "steps": [*sent, *fresh],
        "pieces": {str(i): visible(text) for i, text in trajectory.pieces.items()},
        "edges": edges(trajectory),
        "specials": [i for i in [*specials, *card.get("eos_ids", ())] if i is not None],
    }


def edges(trajectory: Trajectory) -> list[int]:
    """Positions at which a block begins, all but the first; single positions are no blocks."""
    first = np.unique(trajectory.start)
    return [] if (np.diff(first) == 1).all() else first.tolist()[1:]


def _step(trajectory: Trajectory, s: int) -> str:
    window = slice(int(trajectory.start[s]), int(trajectory.stop[s]))
    before = trajectory.confidence[s - 1] if s else np.full_like(trajectory.confidence[0], np.nan)
    change = {
        "calls": int(trajectory.calls[s]),
        "seconds": round(float(trajectory.model_seconds[s]), 4),
        "window": [window.start, window.stop],
        "tokens": _changes(trajectory.tokens[s], trajectory.tokens[s + 1]),
        "state": _changes(trajectory.state[s], trajectory.state[s + 1]),
        "written": _changes(trajectory.committed_step[s], trajectory.committed_step[s + 1]),
        "confidence": _changes(before, trajectory.confidence[s]),
        "predicted": trajectory.predicted[s, window].tolist(),
        "entropy": [_plain(x) for x in trajectory.entropy[s, window].tolist()],
        "top": _alternatives(trajectory, s, window),
    }
    return json.dumps(change, separators=(",", ":"), allow_nan=False)


def _changes(before: ndarray, after: ndarray) -> list[Any]:
    """Flat pairs position, new value."""
    changed = (before != after) & ~((before != before) & (after != after))
    where = np.nonzero(changed)[0]
    return [x for i in where.tolist() for x in (i, _plain(after[i].item()))]


def _alternatives(trajectory: Trajectory, s: int, window: slice) -> list[list[Any]]:
    if trajectory.top_ids is None:
        return []
    ids = trajectory.top_ids[s, window].tolist()
    likely = trajectory.top_probabilities[s, window].tolist()
    return [
        [x for i, p in zip(a, b, strict=True) if i >= 0 and p >= LEAST for x in (i, _plain(p))]
        for a, b in zip(ids, likely, strict=True)
    ]


def _plain(number: float) -> float | int | None:
    """A number JSON can hold: NaN and infinity become null, others keep three places."""
    if isinstance(number, int):
        return number
    return round(number, 3) if math.isfinite(number) else None
