"""A study in words and as one HTML file: tables with intervals, figures, the best of a budget."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import pandas as pd

from lab.study.points import QUALITIES
from lab.study.quality_figure import plot_quality
from lab.study.statistics import Interval
from lab.study.summary import best, frontier
from lab.tasks import TASKS

BUDGETS = (8, 16, 32, 64, 128)
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;"
    "color:#1f2937}table{border-collapse:collapse;width:100%;font-size:14px}td,th{padding:.3rem "
    ".6rem;border-bottom:1px solid #e5e7eb;text-align:left}td.n{text-align:right}.best{background:"
    "#eef2ff}@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}.best{"
    "background:#312e81}td,th{border-color:#374151}}"
)


def markdown(points: pd.DataFrame) -> str:
    """Every case as a table, the cheapest setting first; the frontier is marked with a star."""
    return "\n\n".join(_markdown(title, lines) for title, lines in _tables(points))


def _tables(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for (task, case), lines in points.groupby(["task", "case"], sort=False):
        unbeaten = set(map(tuple, frontier(lines)[["sampler", "setting"]].to_numpy()))
        marks = ["★" if key in unbeaten else "" for key in zip(lines.sampler, lines.setting)]  # noqa: B905
        yield f"{task}, {case}", lines.assign(mark=marks).sort_values("calls")


def _markdown(title: str, lines: pd.DataFrame) -> str:
    text = [
        f"### {title}", "",
        "| | sampler | setting | quality [95 %] | calls | tokens a call | rows |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for line in lines.to_dict("records"):
        text.append(
            f"| {line['mark']} | `{line['sampler']}` | {line['setting']} | {quality(line)} | "
            f"{line['calls']:.1f} | {line['tokens_per_call']:.2f} | {line['rows']} |"
        )
    return "\n".join(text)


def quality(line: dict) -> str:
    """The score with its interval, or what else is measured where there is no checker."""
    if line["score"] == line["score"]:
        return Interval(line["score"], line["score_low"], line["score_high"]).percent()
    parts = [
        f"{QUALITIES[name].lower()} {line[name]:.2f} "
        f"[{line[f'{name}_low']:.2f}, {line[f'{name}_high']:.2f}]"
        for name in ("nats", "entropy")
        if line[name] == line[name]
    ]
    return "; ".join(parts) or "not measured"


def advice(points: pd.DataFrame, task: str, case: str, budget: float, cost: str = "calls") -> str:
    """What is best under a budget, and what the rows cannot tell from it, in one sentence."""
    outcome = best(points, task, case, budget, cost=cost)
    unit = cost.replace("_", " ")
    if outcome is None:
        return f"At most {budget:g} {unit}: no setting was measured that fits."
    score = outcome.score.percent()
    text = f"At most {budget:g} {unit}: {outcome.name}, {score} at {outcome.cost:.1f}"
    same = outcome.indistinguishable
    if not outcome.rivals:
        return f"{text}; nothing else fits this budget."
    if not same:
        return f"{text}; better than each of the {len(outcome.rivals)} others (p < 0.05, Holm)."
    more = f" and {len(same) - 3} more" if len(same) > 3 else ""
    return f"{text}; not distinguishable from {', '.join(same[:3])}{more}."


def html(points: pd.DataFrame, path: str | Path, title: str = "Study") -> None:
    """Write the report as one HTML file that needs nothing else: figures and script are inside."""
    parts, script = [], True
    for name, lines in _tables(points):
        task, case = lines.iloc[0][["task", "case"]]
        about = TASKS[task].cases.get(case, "") if task in TASKS else ""
        parts.append(f"<h2>{escape(name)}</h2><p>{escape(about)}</p>")
        if lines["score"].notna().any():
            figure = plot_quality(lines.reset_index(drop=True))
            parts.append(figure.to_html(full_html=False, include_plotlyjs=script))
            script = False
            budgets = [b for b in BUDGETS if b <= 2 * lines["calls"].max()] or [
                lines["calls"].max()
            ]
            items = "".join(f"<li>{escape(advice(points, task, case, b))}</li>" for b in budgets)
            parts.append(f"<ul>{items}</ul>")
        parts.append(_html_table(lines))
    rows = int(points["rows"].sum())
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>{rows:,} rows; 95 % intervals: Wilson for rates, "
        f"bootstrap for means. Marked: nothing is better at the same number of calls.</p>"
        f"{''.join(parts)}</html>"
    )
    Path(path).write_text(page, encoding="utf-8")


def _html_table(lines: pd.DataFrame) -> str:
    head = "<tr><th>sampler<th>setting<th>quality [95 %]<th>calls<th>tokens a call<th>rows</tr>"
    body = [
        f"<tr{' class=best' if line['mark'] else ''}><td>{escape(line['sampler'])}<td>"
        f"{escape(line['setting'])}<td>{escape(quality(line))}<td class=n>{line['calls']:.1f}"
        f"<td class=n>{line['tokens_per_call']:.2f}<td class=n>{line['rows']}</tr>"
        for line in lines.to_dict("records")
    ]
    return f"<table>{head}{''.join(body)}</table>"
