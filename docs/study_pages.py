"""What docs/generate.py prints from measurements: is a sampler correct, which one to choose."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd

from lab.study.atlas import ATLAS
from lab.study.correctness import EXACT, STEPS, Correctness, check
from lab.study.frontier import frontier
from lab.study.points import read_points
from lab.study.solve_table import NOTE, solve_table
from lab.study.svg_figure import Guide, log_figure
from lab.tasks import TASKS
from samplers import SAMPLERS

EMPTY = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 40"><text x="8" y="24">'
    "The atlas holds nothing on this yet.</text></svg>\n"
)
FEWEST = 200  # rows of a rate that a card states
SOLVERS = ("sudoku6", "sudoku9", "addition")  # tasks whose trained models' cards hold solve rates


@cache
def atlas() -> pd.DataFrame:
    """The points that ship."""
    return read_points(ATLAS)


def card_section(model: str) -> str | None:
    """What the atlas says of a model, for its card; None where it has nothing."""
    points = solved(model)
    if not len(points):
        return None
    command = f"python -m lab study atlas --only {points['task'].iloc[0]} --out atlas/"
    return f"{_head(points)} {NOTE} Measured by `{command}`.\n\n{solve_table(points)}"


def solved(model: str) -> pd.DataFrame:
    """The atlas's points of a model, of as many rows as a card should rest on."""
    points = atlas()
    return points[(points["model"] == model) & points["score"].notna() & (points["rows"] >= FEWEST)]


def _head(points: pd.DataFrame) -> str:
    fewest, most = points["rows"].min(), points["rows"].max()
    rows = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    task = TASKS[points["task"].iloc[0]]
    what = "givens" if task.board else "digits:carry chain" if task.question else "cases"
    return f"Solved exactly, of {rows} held-out instances of each case ({what})."


@cache
def checks() -> tuple[Correctness, ...]:
    """Every sampler held against its guarantee."""
    return tuple(map(check, SAMPLERS))


def correctness() -> str:
    """One line a sampler: its error by number of steps, how it falls, and what was promised."""
    head = ["sampler", "guarantee", *(f"N = {steps}" for steps in STEPS), "falls like", "agrees"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for each in checks():
        errors = [_error(point.total_variation) for point in each.points]
        if len(errors) == 1:
            how = (
                "defaults"
                if each.guarantee != "exact" or each.floor is None
                else (f"defaults; as many perfect rows {_error(each.floor.mean.total_variation)}")
            )
            errors = ["", *[""] * (len(STEPS) - 2), f"{errors[0]} ({how})"]
        fall = "" if np.isnan(each.slope.value) else f"N^{each.slope.value:.2f}"
        fall = fall if each.guarantee.startswith("O(") or each.guarantee == "floor" else ""
        cells = [
            f"`{each.sampler}`",
            each.guarantee,
            *errors,
            fall,
            "yes" if each.agrees else "**no**",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _error(value: float) -> str:
    return "0" if value <= EXACT else f"{value:.4f}"


def truth_figure() -> str:
    """Error against steps of every sampler that counts steps, beside what guarantees promise."""
    series = {
        each.sampler: [
            (point.values["steps"], point.total_variation)
            for point in each.points
            if point.total_variation > EXACT
        ]
        for each in checks()
        if len(each.points) > 1
    }
    start = (STEPS[0], max(y for points in series.values() for _, y in points))
    guides = [Guide("N^-1", start, -1.0), Guide("N^-1/2", start, -0.5)]
    return log_figure(
        series, "Steps N", "Total variation to the truth", guides=guides,
        title="Error of each sampler on a chain of three letters, by number of steps",
    )  # fmt: skip


def kl_figure() -> str:
    """KL rate against calls on the letter chain, at temperature 1: the axes of arXiv:2602.19619."""
    points = atlas()
    points = points[(points["task"] == "chain") & points["kl_rate"].notna()]
    if not len(points):
        return EMPTY
    warm = points["settings"].map(lambda text: '"temperature"' not in text) | points[
        "settings"
    ].str.contains(r'"temperature": ?1(?:\.0)?[,}]')
    series = {name: list(_envelope(group)) for name, group in points[warm].groupby("sampler")}
    ordered = {name: series[name] for name in SAMPLERS if name in series}
    causal = ordered.get("autoregressive")
    guides = [Guide("the truth itself", (1, causal[0][1]))] if causal else []
    return log_figure(
        ordered, "Model calls", "KL rate to the truth (nats a transition)", guides=guides,
        title="KL rate of each sampler on the letter chain, by model calls",
    )  # fmt: skip


def _envelope(points: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """What a sampler does best at each number of calls."""
    keep = frontier(points["calls"].to_numpy(float), -points["kl_rate"].to_numpy(float))
    for calls, rate in sorted(zip(points["calls"][keep], points["kl_rate"][keep], strict=True)):
        yield float(calls), float(rate)
