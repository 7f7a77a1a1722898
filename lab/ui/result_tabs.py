"""What the tabs beside the tokens hold, made when a tab is looked at: figures and tables."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd
from gradio.components.plot import PlotData

from lab.record import metrics
from lab.record.history import STATES
from lab.record.trajectory import Trajectory
from lab.ui.layout import CODE, CONFIDENCE, METRICS, ORDER, TRAJECTORY, UNCERTAINTY, Outputs
from lab.ui.many_rows import interval_text
from lab.ui.page_runs import PageRuns
from lab.ui.safe_text import visible

LINES = 5000  # most lines of the trajectory table


def fill(outputs: Outputs, tab: str, comparison: PageRuns | None) -> dict[Any, Any]:
    """What changes in a tab to show a comparison; nothing for the tab of the tokens."""
    from lab.record import figures

    if comparison is None or not comparison.runs:
        return clear(outputs)
    trajectories = comparison.trajectories
    if tab == CONFIDENCE:
        return {
            plot: _plot(run, lambda run: figures.plot_confidence(figures.confidence_info([run])))
            for plot, run in zip(outputs.heatmaps, trajectories, strict=True)
        }
    if tab == ORDER:
        first = [run for run in trajectories if run is not None and len(run.calls)]
        lines = figures.progress_info(first)
        return {
            plot: _plot(run, lambda run: figures.plot_order(figures.order_info([run])))
            for plot, run in zip(outputs.orders, trajectories, strict=True)
        } | {
            outputs.progress: _plot(next(iter(first), None), lambda _: figures.plot_progress(lines))
        }
    if tab == UNCERTAINTY:
        return {
            plot: _plot(run, lambda run: figures.plot_uncertainty(figures.uncertainty_info(run)))
            for plot, run in zip(outputs.uncertainties, trajectories, strict=True)
        }
    if tab == METRICS:
        panels = [panel.runs for panel in comparison.panels if panel and panel.runs]
        return {outputs.metrics: metrics_table(panels)}
    if tab == TRAJECTORY:
        return {outputs.table: changes(trajectories)}
    if tab == CODE:
        python, shell = comparison.code
        return {outputs.python: python, outputs.shell: gr.Code(shell, visible=bool(shell))}
    return {}


def clear(outputs: Outputs) -> dict[Any, Any]:
    """Every tab empty: a run that failed never leaves the one before in sight."""
    plots = [*outputs.heatmaps, *outputs.orders, outputs.progress, *outputs.uncertainties]
    return {
        **{plot: gr.Plot(value=None, visible=False) for plot in plots},
        outputs.metrics: None,
        outputs.table: None,
        outputs.python: "",
        outputs.shell: "",
    }


def warm() -> None:
    """Import what only a finished run needs, while the visitor still reads the page."""
    from lab.record import figures

    figures.plot_confidence(figures.confidence_info([]))


def _plot(trajectory: Trajectory | None, draw: Callable[[Trajectory], Any]) -> Any:
    if trajectory is None or not len(trajectory.calls):
        return gr.Plot(value=None, visible=False)
    figure = json.loads(draw(trajectory).to_json())
    name = f"{trajectory.sampler}-seed{trajectory.seed}"
    figure["config"] = {
        "displaylogo": False,
        "responsive": True,
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }
    return gr.Plot(PlotData(type="plotly", plot=json.dumps(figure)), visible=True)


def metrics_table(panels: Sequence[Sequence[Trajectory]]) -> pd.DataFrame:
    """One line a metric, one column a panel: it fits a page whatever is added.

    Of several rows the mean with its 95 % interval.
    """
    table = metrics.table([run for rows in panels for run in rows]).drop(columns="Row")
    ends = np.cumsum([len(rows) for rows in panels])
    table = pd.concat(
        [_means(table[end - len(rows) : end]) for rows, end in zip(panels, ends, strict=True)],
        axis=1,
    ).fillna("1")  # rows of a panel that has one, beside others
    table.columns = [f"{number} · {rows[0].sampler}" for number, rows in enumerate(panels, 1)]
    return table.drop(index="Sampler").rename_axis("Metric").reset_index()


def _means(table: pd.DataFrame) -> pd.Series:
    """A table of runs as one column of texts."""
    if len(table) == 1:
        return table.iloc[0].astype(str)
    alike = {"Sampler", "Model", "Seed"}
    lines = {
        name: str(column.iloc[0]) if name in alike else interval_text(column.tolist())
        for name, column in table.items()
    }
    return pd.Series({"Sampler": "", "Rows": str(len(table)), **lines})


def changes(trajectories: Sequence[Trajectory | None]) -> pd.DataFrame:
    """One line for every change of a token or its state, panel by panel; the first LINES."""
    parts = [_changes(n, one) for n, one in enumerate(trajectories, 1) if one is not None]
    return pd.concat(parts, ignore_index=True)[:LINES]


def _changes(panel: int, trajectory: Trajectory) -> pd.DataFrame:
    tokens, state = trajectory.tokens, trajectory.state
    changed = (tokens[1:] != tokens[:-1]) | (state[1:] != state[:-1])
    step, position = (where[:LINES] for where in changed.nonzero())
    ids, states = tokens[1:][step, position], state[1:][step, position]
    return pd.DataFrame(
        {
            "Panel": panel,
            "Sampler": trajectory.sampler,
            "Step": step + 1,
            "Calls": trajectory.calls[step],
            "Position": position,
            "Token": [visible(trajectory.piece(i)) for i in ids.tolist()],
            "State": [STATES[i] for i in states.tolist()],
            "Confidence": trajectory.confidence[step, position].astype(float).round(4),
        }
    )
