"""A panel that writes several texts: what each came to, their means, and the way to one of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lab.record.metrics import metrics
from lab.record.trajectory import Trajectory
from lab.study.statistics import mean, wilson
from lab.ui.film import whole_film
from lab.ui.page_runs import PanelRecord
from lab.ui.panel_value import RowResult, verdict
from lab.ui.safe_text import visible

SHORT = 160  # characters of a row's text that its thumbnail says


def row_results(runs: Sequence[Trajectory]) -> list[RowResult]:
    """A result a row; none for a single one, which its panel shows whole."""
    return [_result(run) for run in runs] if len(runs) > 1 else []


def _result(run: Trajectory) -> RowResult:
    judged = verdict(run)
    return {
        "ok": judged["ok"] if judged else None,
        "text": visible(run.text[:SHORT]),
        "calls": int(run.calls[-1]) if len(run.calls) else 0,
    }


def mean_lines(runs: Sequence[Trajectory], results: Sequence[RowResult]) -> list[list[str]]:
    """Name, value and meaning of the panel's numbers over all rows, as PanelMetrics has them."""
    numbers = [metrics(run) for run in runs]
    about = f"mean of {len(runs)} rows and its 95 % interval"
    judged = [one["ok"] for one in results if one["ok"] is not None]
    lines = []
    if judged:
        share = wilson(sum(judged), len(judged)).percent()
        lines.append(["Solved", share, f"of {len(judged)} rows, with its 95 % interval"])
    lines += [
        ["Calls", interval_text([one.calls for one in numbers]), f"forward passes: {about}"],
        ["Tokens / call", interval_text([one.tokens_per_call for one in numbers]), about],
    ]
    seconds = max(one.model_seconds for one in numbers)
    return [*lines, ["Model time", f"{seconds:.2f} s", "seconds inside the model, for all rows"]]


def interval_text(values: Sequence[float]) -> str:
    """The mean of those values that are numbers, with its interval: 12.3 [11.9, 12.8]."""
    known = np.asarray(values, float)
    estimate, low, high = mean(known[~np.isnan(known)])
    if np.isnan(estimate):
        return "–"
    return f"{estimate:.4g}" if low == high else f"{estimate:.3g} [{low:.3g}, {high:.3g}]"


def row_part(panel: PanelRecord, number: int) -> dict[str, Any] | None:
    """What a panel changes to show row `number`, from 0: its film, its verdict and its text.

    None where there is no such row, or it is still being written.
    """
    if number >= len(panel.rows) or (run := panel.rows[number].trajectory) is None:
        return None
    row = panel.rows[number]
    if not row.film.steps:
        row.film = whole_film(run)
    return {
        "run": row.name,
        "row": number,
        "verdict": verdict(run),
        "text": visible(run.text),
        **row.film.part(0),
    }
