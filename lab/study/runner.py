"""Run a study's cells: resumable, atomic, shared out among processes; a kill loses one cell."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.study.cells import Cell, cells_of, known_cases
from lab.study.measure import measure
from lab.study.results import finished_cells, write_cell
from lab.study.spec import Spec, read_spec


class StudyProgress(NamedTuple):
    """How far a run of a study is: cells and work done of all, seconds left if known."""

    done: int
    cells: int
    work: int
    all_work: int
    seconds_left: float | None
    cell: Cell | None


Report = Callable[[StudyProgress], None]


def run_study(
    spec: Spec | str | Path | dict,
    out: str | Path,
    report: Report = lambda progress: None,
    *,
    process: int = 0,
    processes: int = 1,
    device: str | None = None,
) -> int:
    """Compute the cells of a study that `out` lacks; how many were computed here.

    Cells are shared out longest first, process p of n takes every n-th; each computes its shortest
    first, so a study that was stopped has the small budgets of every sampler. A cell's file appears
    whole or not at all, so a run that was killed goes on where it stopped. device: of trained
    models, as lab.load has it; tables and chains stay on the CPU. ValueError for a spec
    that cannot run, before any call; OSError where a file cannot be written, finished cells stay.
    """
    if not isinstance(spec, Spec):
        spec = read_spec(spec, known_cases())
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    mine = cells_of(spec, device)[process::processes]
    done = finished_cells(folder)
    missing = [cell for cell in reversed(mine) if cell.name not in done]
    count = 0
    for progress in _paced(mine, missing):
        report(progress)
        if progress.cell is not None:
            write_cell(folder, progress.cell.name, measure(progress.cell, spec.name))
            count += 1
    return count


def _paced(mine: Sequence[Cell], missing: Sequence[Cell]) -> Iterator[StudyProgress]:
    """Each missing cell with how far the run is; at the end once more, without a cell."""
    everything = sum(cell.work for cell in mine)
    left = sum(cell.work for cell in missing)
    began, at_start = time.monotonic(), left
    done = len(mine) - len(missing)
    for cell in missing:
        spent = time.monotonic() - began
        pace = (at_start - left) / spent if at_start > left and spent > 0 else None
        yield StudyProgress(
            done, len(mine), everything - left, everything, left / pace if pace else None, cell
        )
        left -= cell.work
        done += 1
    yield StudyProgress(done, len(mine), everything - left, everything, 0.0, None)
