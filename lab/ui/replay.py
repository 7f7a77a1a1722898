"""A file of saved runs, opened again: every panel and figure of it, without any model."""

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from lab.record import files
from lab.record.trajectory import Trajectory
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel_value import PanelValue, metrics_of, panel_value, verdict
from lab.ui.safe_text import visible
from lab.ui.settings_form import PANELS
from lab.ui.snippet import reading
from samplers import SAMPLERS

STEPS = 20_000  # of all panels: more than a run of the page can have, and a second to draw


class Replay(NamedTuple):
    """What a file holds: a value a panel, the records behind them, and one line on it."""

    values: list[PanelValue]
    comparison: PageRuns
    status: str


def open_file(path: Path) -> Replay:
    """Read a CSV or JSON with runs. ValueError, with the file's name, for any other."""
    runs = files.read(path)
    if not runs:
        raise ValueError(f"{path.name}: it holds no run; save one first")
    first = runs[:PANELS]
    if (steps := sum(len(run.calls) for run in first)) > STEPS:
        raise ValueError(f"{path.name}: this page shows up to {STEPS:,} steps at once, its first "
                         f"{len(first)} runs have {steps:,}; read it with lab.read")  # fmt: skip
    records = [PanelRecord(uuid4().hex, whole_film(run), run) for run in first]
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    if len(runs) > PANELS:
        count = f"the first {PANELS} of {count}"
    values = [_value(record, path.name) for record in records]
    empty = PANELS - len(records)
    values += [panel_value("empty", uuid4().hex) for _ in range(empty)]
    comparison = PageRuns([*records, *[None] * empty], reading(path.name))
    return Replay(values, comparison, f"Opened {path.name}: {count}")


def _value(record: PanelRecord, file: str) -> PanelValue:
    run: Trajectory = record.trajectory  # type: ignore[assignment]
    known = SAMPLERS.get(run.sampler)
    record.head = panel_value(
        "done", record.name,
        title=known.title if known else visible(run.sampler),
        subtitle=visible(f"{run.model} · seed {run.seed} · from {file}"),
        metrics=metrics_of(run),
        verdict=verdict(run),
        text=visible(run.text),
        **record.film.next_part(),
    )  # fmt: skip
    return record.head
