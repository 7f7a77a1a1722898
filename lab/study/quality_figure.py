"""Figures of a study: quality against cost, one line a sampler, with intervals."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from lab.study.colours import style
from lab.study.points import COSTS, QUALITIES


def plot_quality(
    summary: pd.DataFrame,
    *,
    cost: str = "calls",
    quality: str = "score",
) -> go.Figure:
    """Quality against mean cost of the settings of one task and case, intervals as bars.

    summary: lines of lab.study.summary.summarise. `customdata` of each point is its place in the
    summary, so that a click can find it.
    """
    figure = go.Figure()
    known = summary[summary[quality].notna()]
    for sampler in dict.fromkeys(known["sampler"]):
        lines = known[known["sampler"] == sampler].sort_values(cost)
        colour, mark = style(sampler)
        figure.add_trace(
            go.Scatter(
                x=lines[cost], y=lines[quality], name=sampler, mode="lines+markers",
                line={"color": colour, "width": 1.5}, marker={"symbol": mark, "size": 8},
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                    "array": lines[f"{quality}_high"] - lines[quality],
                    "arrayminus": lines[quality] - lines[f"{quality}_low"],
                },
                customdata=lines.index, hovertext=[_hover(line, cost, quality) for line in
                                                   lines.to_dict("records")],
                hoverinfo="text",
            )
        )  # fmt: skip
    share = quality == "score"
    figure.update_layout(
        xaxis={"title": COSTS.get(cost, cost), "type": "log"},
        yaxis={"title": QUALITIES[quality], "tickformat": ".0%" if share else None},
        legend={"orientation": "h", "y": -0.2}, margin={"l": 60, "r": 20, "t": 20, "b": 40},
        hovermode="closest", template="plotly_white", height=480,
    )  # fmt: skip
    return figure


def _hover(line: Any, cost: str, quality: str) -> str:
    low, high = line[f"{quality}_low"], line[f"{quality}_high"]
    form = "{:.1%}" if quality == "score" else "{:.3f}"
    value, low, high = (form.format(each) for each in (line[quality], low, high))
    return (
        f"<b>{line['sampler']}</b> ({line['setting']})<br>{value} [{low}, {high}], "
        f"{line['rows']} rows<br>{line[cost]:.3g} {COSTS.get(cost, cost).lower()}, "
        f"{line['tokens_per_call']:.2f} tokens a call"
    )
