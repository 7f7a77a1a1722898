"""lab.study: a grid of settings run on the same instances, and what its rows say."""

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from lab.study.cells import cells_of, known_cases
from lab.study.points import COSTS, DISTANCES, KEYS, QUALITIES
from lab.study.results import read_results
from lab.study.runner import Report, run_study
from lab.study.spec import Spec, read_spec
from lab.study.statistics import holm
from lab.study.summary import compare_settings, frontier, names_of, summarise

# Columns of Study.summary, less those that pack what every row scored.
COLUMNS = [
    *KEYS,
    *("rows", *COSTS, "tokens_per_call"),
    *(f"{name}{end}" for name in QUALITIES for end in ("", "_low", "_high")),
    *(*DISTANCES, "tv_floor"),
]


class Study:
    """The rows of a study: as they are, one line a setting, compared in pairs, best for a cost.

    rows: as lab.study.results.read_results gives them.
    """

    def __init__(self, rows: pd.DataFrame):
        self._rows = rows

    @cached_property
    def points(self) -> pd.DataFrame:
        """One point a setting, with what its rows say packed: lab.study.points.POINT."""
        return summarise(self._rows)

    def rows(self) -> pd.DataFrame:
        """One line a generated row: settings, instance, score, calls, columns fed, text, ...;
        docs/study.md lists the columns."""
        return self._rows.copy()

    def summary(self) -> pd.DataFrame:
        """One line a setting: rows, mean costs, and each quality with the ends of its 95 % interval
        (Wilson's for the share solved, the bootstrap's for means); NaN where nothing measures it.
        `name` is what compare() takes."""
        points = self.points
        parts = [
            group.assign(name=names_of(group))
            for _, group in points.groupby(["task", "case"], sort=False)
        ]
        return pd.concat(parts).sort_index()[["name", *COLUMNS]]

    def compare(self, a: str, b: str) -> pd.DataFrame:
        """Two settings, by their names in summary(), on the same instances: one line a case.

        Columns: task, case, difference (a - b) with low and high (95 %), p_value (McNemar's exact
        test where rows are solved or not, a paired bootstrap of nats a token elsewhere), and
        adjusted_p: Holm's correction over the cases. ValueError names the settings that there are.
        """
        cases = self.points[["task", "case"]].drop_duplicates().itertuples(index=False)
        lines = []
        for task, case in cases:
            (estimate, low, high), p_value = compare_settings(self.points, task, case, a, b)
            lines.append((task, case, estimate, low, high, p_value))
        names = ["task", "case", "difference", "low", "high", "p_value"]
        table = pd.DataFrame(lines, columns=names)
        return table.assign(adjusted_p=holm(table["p_value"].tolist()))

    def frontier(self, x: str = "calls", y: str = "score") -> pd.DataFrame:
        """The lines of summary() that no other of their case beats in both: cheaper and better.

        x: calls, columns_fed or model_seconds; y: score, nats, entropy, distinct_2 or a distance.
        ValueError for any other.
        """
        for name, value, known in (("x", x, COSTS), ("y", y, {**QUALITIES, **DISTANCES})):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        summary = self.summary()
        if summary[y].isna().all():
            measured = [name for name in (*QUALITIES, *DISTANCES) if summary[name].notna().any()]
            raise ValueError(
                f"nothing in this study has {y}; there are {', '.join(measured) or 'none'}"
            )
        return frontier(summary, cost=x, quality=y)

    def __repr__(self) -> str:
        settings = len(self._rows[KEYS].drop_duplicates())
        return f"Study({len(self._rows):,} rows of {settings} settings)"


def study(
    spec: str | Path | dict[str, Any],
    out: str | Path | None = None,
    *,
    report: Report = lambda progress: None,
    device: str | None = None,
) -> Study:
    """Run a grid of settings on the same instances and return what came out.

    spec: a YAML file or a dict (docs/study.md): task, samplers with their settings (a list spans
    the grid), cases, instances, seeds. out: a folder that keeps a Parquet file a cell; what it
    holds already is not run again, so the same call continues after a stop. None: nothing is kept
    beside what is returned. report: called before each cell with how far the run is
    (lab.study.runner.StudyProgress). device: where trained models run, as lab.load has it; tables
    and chains stay on the CPU. ValueError before any model call for a spec that cannot run;
    OSError where a file cannot be written, finished cells stay.
    """
    checked = read_spec(spec, known_cases())
    if out is None:
        with TemporaryDirectory(prefix="study-") as folder:
            return _run(checked, folder, report, device)
    return _run(checked, out, report, device)


def _run(spec: Spec, out: str | Path, report: Report, device: str | None) -> Study:
    run_study(spec, out, report, device=device)
    return Study(read_results(out, {cell.name for cell in cells_of(spec)}))
