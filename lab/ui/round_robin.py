"""The run behind one press of Run: lanes advanced in turn, told at a pace a page can follow."""

import threading
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

from lab.run import limits
from lab.ui import slot
from lab.ui.panel_run import Lane

PAUSE = 0.05  # seconds between two pushes, at least: 20 a second
SHARE = 4  # telling may take one part in this many of the time


def race(
    lanes: Sequence[Lane], stop: threading.Event, seconds: float = slot.SECONDS
) -> Iterator[list[dict[str, Any]]]:
    """Advance every lane one step in turn until all have ended; yields the panels' values.

    Round robin, so that all panels grow together and each sampler's clock holds its own calls
    alone. The last state is always told. `stop` ends every lane within one step.
    """
    budget = limits.APP_WORK
    for lane in lanes:
        budget = lane.open(budget)
    values = [lane.value() for lane in lanes]
    yield values
    deadline = monotonic() + seconds
    try:
        told, cost = monotonic(), 0.0
        behind: set[int] = set()
        for number in _turns(lanes, stop, deadline):
            behind.add(number)
            began = monotonic()
            if began - told >= max(PAUSE, SHARE * cost):
                values = _tell(lanes, values, behind)
                behind.clear()
                yield values
                told = monotonic()
                cost = told - began
    finally:
        why = "stopped" if stop.is_set() else f"stopped after {seconds:.0f} s, the most a run may"
        for lane in lanes:
            lane.end(why)
    yield _tell(lanes, values, set(range(len(lanes))))


def _turns(lanes: Sequence[Lane], stop: threading.Event, deadline: float) -> Iterator[int]:
    """Advance lane after lane; yields the number of the one that moved."""
    active = [number for number, lane in enumerate(lanes) if lane.kind == "running"]
    while active:
        for number in list(active):
            if stop.is_set() or monotonic() > deadline:
                return
            if not lanes[number].advance():
                active.remove(number)
            yield number


def _tell(
    lanes: Sequence[Lane], values: list[dict[str, Any]], behind: set[int]
) -> list[dict[str, Any]]:
    # A new list of new values: Gradio sends what differs from the one before.
    return [
        lane.value() if number in behind else old
        for number, (lane, old) in enumerate(zip(lanes, values, strict=True))
    ]
