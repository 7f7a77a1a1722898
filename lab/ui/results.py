"""What the tabs hold once a run has ended: figures, tables, files, and the run as Python."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.components.plot import PlotData

from lab.record import metrics
from lab.record.history import STATES
from lab.record.trajectory import Trajectory
from lab.ui import standalone
from lab.ui.layout import Outputs
from lab.ui.safe_text import visible

LINES = 5000  # most lines of the trajectory table


def update(
    outputs: Outputs,
    trajectories: Sequence[Trajectory | None],
    values: Sequence[dict[str, Any]],
    files: tuple[str, str],
    source: str,
) -> dict[Any, Any]:
    """Every component below the panels with what the runs left in it.

    trajectories, values: one a panel, the first None where there is none; files: their CSV and
    JSON, beside which the HTML is written; source: the Python that gets the same.
    """
    from lab.record import figures

    runs = [one for one in trajectories if one]
    page = Path(files[0]).with_suffix(".html")
    standalone.save(page, title(runs), values, source)
    change: dict[Any, Any] = {
        outputs.csv: gr.DownloadButton(value=files[0], interactive=True),
        outputs.json: gr.DownloadButton(value=files[1], interactive=True),
        outputs.html: gr.DownloadButton(value=str(page), interactive=True),
        outputs.metrics: measured(runs),
        outputs.table: changes(trajectories),
        outputs.python: source,
    }
    for trajectory, heatmap, order in zip(
        trajectories, outputs.heatmaps, outputs.orders, strict=True
    ):
        change[heatmap] = _plot(figures.plot_confidence, figures.confidence_info, trajectory)
        change[order] = _plot(figures.plot_order, figures.order_info, trajectory)
    return change


def title(runs: Sequence[Trajectory]) -> str:
    """What was compared, in one line."""
    names = ", ".join(dict.fromkeys(visible(run.sampler) for run in runs))
    return f"{names} on {visible(runs[0].task or runs[0].model)}, seed {runs[0].seed}"


def warm() -> None:
    """Import what only a finished run needs, while the visitor still reads the page."""
    from lab.record import figures

    figures.plot_confidence(figures.confidence_info([]))


def _plot(plot: Any, info: Any, trajectory: Trajectory | None) -> Any:
    if trajectory is None or not len(trajectory.calls):
        return gr.Plot(value=None, visible=False)
    figure = json.loads(plot(info([trajectory])).to_json())
    name = f"{trajectory.sampler}-seed{trajectory.seed}"
    figure["config"] = {
        "displaylogo": False,
        "responsive": True,
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }
    return gr.Plot(PlotData(type="plotly", plot=json.dumps(figure)), visible=True)


def measured(runs: Sequence[Trajectory]) -> pd.DataFrame:
    """One line a metric, one column a panel: it fits a page whatever is added."""
    table = metrics.table(runs).drop(columns="Row").astype(str).T
    table.columns = [f"{number} · {run.sampler}" for number, run in enumerate(runs, 1)]
    return table.drop(index="Sampler").rename_axis("Metric").reset_index()


def changes(trajectories: Sequence[Trajectory | None]) -> pd.DataFrame:
    """One line for every change of a token or its state, panel by panel; the first LINES."""
    parts = [_changes(n, one) for n, one in enumerate(trajectories, 1) if one is not None]
    return pd.concat(parts, ignore_index=True)[:LINES]


def _changes(panel: int, trajectory: Trajectory) -> pd.DataFrame:
    tokens, state = trajectory.tokens, trajectory.state
    changed = (tokens[1:] != tokens[:-1]) | (state[1:] != state[:-1])
    step, position = changed.nonzero()
    pieces = [visible(trajectory.piece(i)) for i in tokens[1:][changed].tolist()]
    return pd.DataFrame(
        {
            "panel": panel,
            "sampler": trajectory.sampler,
            "step": step + 1,
            "calls": trajectory.calls[step],
            "position": position,
            "token": pieces,
            "state": [STATES[i] for i in state[1:][changed].tolist()],
            "confidence": trajectory.confidence[changed].astype(float).round(4),
        }
    )
