"""How often each sampler solves the instances of a task: the table of a model's card."""

from collections.abc import Iterator

import pandas as pd

from lab.study.statistics import Interval
from lab.study.summary import name_of
from lab.tasks import TASKS

NOTE = "Any right answer counts that keeps what was given."


def solve_table(points: pd.DataFrame) -> str:
    """Markdown, a column a case: for each sampler its best setting, and the cheapest as good.

    points: of one model. The best is the setting of the highest mean score over the cases; a
    second line is the one of fewest calls whose intervals reach it in every case.
    """
    known = list(TASKS[points["task"].iloc[0]].cases)
    cases = sorted(set(points["case"]), key=known.index)
    head = ["sampler and setting", *(f"{case} [95 %]" for case in cases), "calls"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for _, group in points.groupby("sampler", sort=False):
        lines += list(_lines(group, cases))
    return "\n".join(lines)


def _lines(points: pd.DataFrame, cases: list[str]) -> Iterator[str]:
    """The best setting of one sampler, and a cheaper one that is as good if there is one."""
    whole = points.groupby("settings")["case"].nunique() == len(cases)
    points = points[points["settings"].map(whole)]
    if not len(points):
        return
    means = points.groupby("settings", sort=False)[["score", "calls"]].mean()
    best = means.sort_values(["score", "calls"], ascending=[False, True]).index[0]
    top = points[points["settings"] == best].set_index("case")
    reaching = [
        settings
        for settings, group in points.groupby("settings", sort=False)
        if (group.set_index("case")["score_high"] >= top["score_low"]).all()
    ]
    cheap = means.loc[reaching].sort_values("calls").index[0]
    for settings in dict.fromkeys([best, cheap]):
        yield _line(points[points["settings"] == settings].set_index("case"), cases)


def _line(points: pd.DataFrame, cases: list[str]) -> str:
    cells = [
        Interval(*points.loc[case, ["score", "score_low", "score_high"]]).percent()
        for case in cases
    ]
    low, high = points["calls"].min(), points["calls"].max()
    calls = f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
    return "| " + " | ".join([f"`{name_of(points.iloc[0])}`", *cells, calls]) + " |"
