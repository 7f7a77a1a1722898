"""A file that the app wrote, opened again: every panel and figure of it, without any model."""

from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from lab.record import files
from lab.record.trajectory import Trajectory
from lab.ui.panel_value import view
from lab.ui.safe_text import visible
from lab.ui.settings_form import PANELS
from samplers import SAMPLERS


class Opened(NamedTuple):
    """What a file holds: a value and a trajectory a panel, and one line on it."""

    values: list[dict[str, Any]]
    trajectories: list[Trajectory | None]
    status: str


def open_file(path: Path) -> Opened:
    """Read a CSV or JSON with runs. ValueError, with the file's name, for any other."""
    runs = files.read(path)
    if not runs:
        raise ValueError(f"{path.name}: it holds no run; save one first")
    first = runs[:PANELS]
    rest = [None] * (PANELS - len(first))
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    if len(runs) > PANELS:
        count = f"the first {PANELS} of {count}"
    empty = {"kind": "empty", "run": uuid4().hex}
    values = [_value(run, path.name) for run in first] + [empty for _ in rest]
    return Opened(values, [*first, *rest], f"opened {path.name}: {count}")


def _value(trajectory: Trajectory, file: str) -> dict[str, Any]:
    known = SAMPLERS.get(trajectory.sampler)
    return {
        "kind": "done",
        "run": uuid4().hex,
        "title": known.title if known else visible(trajectory.sampler),
        "subtitle": visible(f"{trajectory.model} · seed {trajectory.seed} · from {file}"),
        "message": "",
        "notes": [],
        **view(trajectory, [], ended=True),
    }
