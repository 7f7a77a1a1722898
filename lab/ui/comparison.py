"""What happens when Run is pressed, as a plain generator: no component, no browser."""

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple

from lab.record import files
from lab.record.trajectory import Trajectory
from lab.ui import slot
from lab.ui.panel_run import Lane, Request
from lab.ui.round_robin import race
from lab.ui.settings_form import Choice


class Told(NamedTuple):
    """What the page is told: the panels' values, one line of status, and the result at the end."""

    values: list[dict[str, Any]]
    status: str
    result: "Result | None" = None


class Result(NamedTuple):
    """What a run left, ended or stopped: a trajectory a panel (None where there is none), files."""

    trajectories: list[Trajectory | None]
    csv: str
    json: str


def press(
    request: Request, chosen: Sequence[Choice | None], stop: threading.Event
) -> Iterator[Told]:
    """Run the chosen panels side by side; the last item holds the Result, if anything was run.

    The files are there while that last item is looked at, and removed afterwards.
    """
    lanes = [Lane(request, choice) for choice in chosen]
    mine = False
    try:
        for mine in slot.turn(stop):
            if not mine:
                yield Told([lane.value() for lane in lanes], "waiting for another run to end …")
        if mine:
            yield from _run(lanes, request, stop)
        else:
            for lane in lanes:
                lane.end("stopped before it began")
            yield Told([lane.value() for lane in lanes], "stopped")
    finally:
        if mine:
            slot.done()


def _run(lanes: list[Lane], request: Request, stop: threading.Event) -> Iterator[Told]:
    began, values = monotonic(), []
    steps = race(lanes, stop)
    try:
        for values in steps:
            yield Told(values, status(lanes, monotonic() - began))
    finally:
        steps.close()
    found = [lane.trajectory() for lane in lanes]
    if any(found):
        yield Told(values, f"{status(lanes, monotonic() - began)} · drawing figures …")
        with TemporaryDirectory(prefix="sampler-lab-") as folder:
            files = write(Path(folder), [one for one in found if one])
            yield Told(values, status(lanes, monotonic() - began), Result(found, *files))


def write(folder: Path, trajectories: list[Trajectory]) -> tuple[str, str]:
    """Write all panels into one CSV and one JSON file; named by task and seed, never by text."""
    first = trajectories[0]
    source = re.sub(r"[^\w.-]", "-", first.task or first.model)
    name = f"trajectories-{source}-seed{first.seed}"
    paths = [folder / f"{name}{suffix}" for suffix in (".csv", ".json")]
    for path in paths:
        files.save(trajectories, path)
    return str(paths[0]), str(paths[1])


def status(lanes: Sequence[Lane], seconds: float) -> str:
    """One line on how the panels stand."""
    kinds = [lane.kind for lane in lanes if lane.kind != "empty"]
    if not kinds:
        return "choose a sampler for at least one panel"
    words = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    return f"{', '.join(words)} · {seconds:.1f} s"
