"""Figures of trajectories: plain arrays from lab.record.figure_data, then their plot."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lab.record.figure_data import (
    KINDS,
    ConfidenceInfo,
    OrderInfo,
    ProgressLine,
    UncertaintyInfo,
    confidence_info,
    order_info,
    progress_info,
    uncertainty_info,
)

__all__ = [
    "confidence_info",
    "order_info",
    "plot_confidence",
    "plot_order",
    "plot_progress",
    "plot_uncertainty",
    "progress_info",
    "uncertainty_info",
]

LINES = ("#4c78c8", "#c8783c", "#3c9c6e", "#a35cb8")  # read on white and on black
DASHES = ("solid", "dash", "dot", "dashdot")
BORDER = "#d62728"  # no shade of Viridis
GREY = "#888"  # reads on white and on black, and the server does not know the theme
SYMBOLS = dict(zip(KINDS, ("circle", "diamond", "triangle-up", "x-thin"), strict=True))
_ROW, _TOP, _GAP, _BOTTOM = 200, 46, 64, 112  # pixels; _TOP leaves room for the toolbar


def plot_confidence(info: ConfidenceInfo, columns: int = 1) -> go.Figure:
    """Heatmaps of one fixed scale, steps running down, blocks bordered, `columns` a line."""
    figure = _grid([panel.title for panel in info.panels], columns)
    for index, panel in enumerate(info.panels):
        figure.add_trace(
            go.Heatmap(
                x=panel.position.astype(np.float32),
                y=panel.step.astype(np.float32),
                z=panel.confidence,
                text=panel.token,
                customdata=panel.text,
                texttemplate="%{text}"
                if panel.token
                else None,  # shown where a cell has room for it
                coloraxis="coloraxis",
                hoverongaps=False,
                hovertemplate="position %{x}, step %{y}<br>"
                + ("%{customdata}<br>" if panel.text else "")
                + "confidence %{z:.3f}<extra></extra>",
            ),
            **_place(index, columns),
        )
        _frame(figure, index, panel.borders, len(panel.position), len(panel.step), first_step=1)
    return figure


def plot_order(info: OrderInfo, columns: int = 1) -> go.Figure:
    """Position against the step that wrote its final token; the marker's shape says how."""
    figure = _grid([panel.title for panel in info.panels], columns)
    named: set[str] = set()
    for index, panel in enumerate(info.panels):
        for kind, symbol in SYMBOLS.items():
            if not (here := np.flatnonzero(np.array(panel.kind) == kind)).size:
                continue
            figure.add_trace(
                go.Scatter(
                    x=panel.position[here].astype(np.float32),
                    y=panel.step[here].astype(np.float32),
                    text=[panel.text[i] for i in here],
                    mode="markers",
                    name=kind,
                    legendgroup=kind,
                    showlegend=kind not in named,
                    customdata=panel.confidence[here],
                    marker={
                        "symbol": symbol,
                        "size": 8 if panel.length <= 96 else 6,
                        "color": panel.confidence[here],
                        "coloraxis": "coloraxis",
                        "line": {"width": 2 if symbol == "x-thin" else 1, "color": GREY},
                    },
                    hovertemplate="position %{x}, step %{y}<br>%{text} · "
                    + kind
                    + "<br>confidence %{customdata:.3f}<extra></extra>",
                ),
                **_place(index, columns),
            )
            named.add(kind)
        _frame(figure, index, panel.borders, panel.length, panel.steps, first_step=0)
    return figure


def plot_progress(lines: Sequence[ProgressLine]) -> go.Figure:
    """The share of open positions against the calls made, a line a run."""
    figure = _grid([""], 1)
    for number, line in enumerate(lines):
        look = {"color": LINES[number % 4], "dash": DASHES[number % 4], "shape": "hv", "width": 2}
        figure.add_trace(
            go.Scatter(
                x=line.calls.astype(np.float32),
                y=line.left.astype(np.float32),
                mode="lines",
                name=f"{number + 1} · {line.title}",
                line=look,
                hovertemplate="after %{x} calls %{y:.0%} open<extra></extra>",
            )
        )
    most = max((int(line.calls[-1]) for line in lines), default=1)
    axes = {"showgrid": False, "zeroline": False, "linecolor": GREY}
    figure.update_layout(
        xaxis=axes | {"range": [0, max(most, 1)], "title": {"text": "model calls", "standoff": 4}},
        yaxis=axes | {"range": [0, 1.02], "tickformat": ".0%", "title": {"text": "open"}},
        showlegend=True,
        height=_ROW + _TOP + _BOTTOM,
    )
    return figure


def plot_uncertainty(info: UncertaintyInfo) -> go.Figure:
    """One run's heatmap of entropy, steps running down; above it, as bars, how often the token
    that was most likely at each position changed."""
    figure = _grid([info.title, ""], 1)
    known = info.entropy[~np.isnan(info.entropy)]
    figure.add_trace(
        go.Bar(
            x=info.position.astype(np.float32),
            y=info.changes.astype(np.float32),
            marker={"color": GREY},
            showlegend=False,
            hovertemplate="position %{x}: its most likely token changed %{y} times<extra></extra>",
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        go.Heatmap(
            x=info.position.astype(np.float32),
            y=info.step.astype(np.float32),
            z=info.entropy,
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate="position %{x}, step %{y}<br>entropy %{z:.2f} nats<extra></extra>",
        ),
        row=2,
        col=1,
    )
    length, most = len(info.position), int(info.changes.max(initial=0))
    _frame(figure, 0, info.borders, length, most, first_step=0)
    _frame(figure, 1, info.borders, length, len(info.step), first_step=1)
    figure.update_layout(
        yaxis={
            "range": [0, max(most, 1) * 1.05],
            "title": {"text": "changes"},
            "domain": [0.78, 1],
        },
        yaxis2={"domain": [0, 0.66]},
        coloraxis={
            "cmax": float(known.max(initial=1)),
            "colorbar": {"tickvals": None, "title": {"text": "entropy (nats)"}},
        },
    )
    return figure


def _place(index: int, columns: int) -> dict[str, int]:
    return {"row": index // columns + 1, "col": index % columns + 1}


def _grid(titles: list[str], columns: int) -> go.Figure:
    """An empty figure of a panel a title: see-through, grey, one colour scale below all."""
    if columns < 1:
        raise ValueError(f"columns must be 1 or more, got {columns}")
    rows = max(1, -(-len(titles) // columns))
    inner = rows * _ROW + (rows - 1) * _GAP
    figure = make_subplots(
        rows, columns, subplot_titles=titles, vertical_spacing=_GAP / inner if rows > 1 else 0
    )
    figure.update_annotations(font={"size": 13, "color": GREY}, xanchor="left")
    for title, axis in zip(figure.layout.annotations, figure.select_xaxes(), strict=False):
        title.x = axis.domain[0]
    if not titles:
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 12},
        height=inner + _TOP + _BOTTOM,
        margin={"l": 46, "r": 10, "t": _TOP, "b": _BOTTOM},
        dragmode=False,  # or a finger that scrolls the page zooms the plot
        hoverlabel={"font": {"family": "monospace"}},
        legend={"orientation": "h", "x": 0, "y": -80 / inner, "yanchor": "top"},
        coloraxis={
            "cmin": 0,
            "cmax": 1,
            "colorscale": "Viridis",  # its dark end differs from a dark page
            "colorbar": {
                **{"orientation": "h", "x": 0, "xanchor": "left", "len": 1, "thickness": 10},
                **{"y": -36 / inner, "yanchor": "top", "tickvals": [0, 0.25, 0.5, 0.75, 1]},
                "title": {"text": "confidence", "side": "top", "font": {"size": 12}},
            },
        },
    )
    return figure


def _frame(
    figure: go.Figure, index: int, borders: list[int], length: int, steps: int, first_step: int
) -> None:
    """Axes with their names, steps from the top down, a dotted line where a block begins."""
    number = str(index + 1) if index else ""
    axes = {"showgrid": False, "zeroline": False, "linecolor": GREY, "tickformat": "d"}
    figure.update_layout(
        {
            f"xaxis{number}": {**axes, "range": [-0.5, max(length, 1) - 0.5]}
            | {"title": {"text": "position", "standoff": 4}},
            f"yaxis{number}": {**axes, "range": [max(steps, 1) + 0.5, first_step - 0.5]}
            | {"title": {"text": "step", "standoff": 4}},
        }
    )
    for border in borders:
        figure.layout.shapes += (
            go.layout.Shape(
                type="line",
                xref=f"x{number}",
                yref=f"y{number} domain",
                **{"x0": border - 0.5, "x1": border - 0.5, "y0": 0, "y1": 1},
                line={"color": BORDER, "width": 1, "dash": "dot"},
            ),
        )
