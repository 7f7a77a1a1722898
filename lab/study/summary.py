"""A study's rows as one line a setting, with intervals; comparisons and frontier on the rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lab.study.frontier import Best, Scores, best_under
from lab.study.frontier import frontier as unbeaten
from lab.study.statistics import Comparison, Interval, compare, mean

KEYS = ["task", "case", "model", "sampler", "preset", "setting", "settings"]
COSTS = {"calls": "Model calls", "columns_fed": "Columns fed", "model_seconds": "Model seconds"}
# What a row scores where the task has a checker, and what else is measured of text.
QUALITIES = {
    "score": "Score",
    "nats": "Nats a token",
    "entropy": "Entropy of the text (nats)",
    "distinct_2": "Distinct pairs",
}


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a setting: rows, mean costs, and each quality with its 95 % interval.

    Columns: KEYS, rows, calls, columns_fed, model_seconds, tokens_per_call, and for each quality
    its mean, `_low` and `_high` (NaN where it was not measured).
    """
    lines = [_line(keys, group) for keys, group in rows.groupby(KEYS, sort=False, dropna=False)]
    return pd.DataFrame(lines)


def _line(keys: Any, group: pd.DataFrame) -> dict[str, Any]:
    line = dict(zip(KEYS, keys, strict=True)) | {"rows": len(group)}
    line |= {name: float(group[name].mean()) for name in COSTS}
    calls = float(group["calls"].sum())
    line["tokens_per_call"] = float(group["tokens"].sum()) / calls if calls else float("nan")
    for name in QUALITIES:
        interval = _interval(group, name)
        line |= {
            name: interval.estimate,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
    return line


def _interval(group: pd.DataFrame, name: str) -> Interval:
    if name == "score":
        return _scores(group).score_interval()
    return mean(group[name].dropna().to_numpy(float))


def _scores(group: pd.DataFrame, quality: str = "score", cost: str = "calls") -> Scores:
    ordered = group.sort_values(["seed", "instance"], kind="stable")
    return Scores(ordered[quality].to_numpy(float), ordered[cost].to_numpy(float))


def name_of(line: Any) -> str:
    """How a setting is called in words: `threshold (threshold=0.9)`."""
    return f"{line['sampler']} ({line['setting']})"


def settings_of(
    rows: pd.DataFrame, task: str, case: str, *, quality: str = "score", cost: str = "calls"
) -> dict[str, Scores]:
    """The rows of one case by setting, each in the order of seed and instance.

    Settings measured on other instances than most are left out: they cannot be paired.
    """
    here = rows[(rows["task"] == task) & (rows["case"] == case)]
    groups = {
        name_of(dict(zip(KEYS, keys, strict=True))): group
        for keys, group in here.groupby(KEYS, sort=False, dropna=False)
    }
    instances = {
        name: tuple(
            map(tuple, group.sort_values(["seed", "instance"])[["seed", "instance"]].values)
        )
        for name, group in groups.items()
    }
    if not instances:
        return {}
    usual = max(
        instances.values(), key=lambda each: (list(instances.values()).count(each), len(each))
    )
    return {
        name: _scores(group, quality, cost)
        for name, group in groups.items()
        if instances[name] == usual
    }


def best(
    rows: pd.DataFrame, task: str, case: str, budget: float, *, cost: str = "calls"
) -> Best | None:
    """The best setting of a case whose mean cost is at most the budget."""
    return best_under(settings_of(rows, task, case, cost=cost), budget)


def compare_settings(rows: pd.DataFrame, task: str, case: str, a: str, b: str) -> Comparison:
    """Two settings of one case on the same instances, by their names (`name_of`).

    ValueError names the settings that there are.
    """
    known = settings_of(rows, task, case)
    for name in (a, b):
        if name not in known:
            raise ValueError(
                f"no setting {name!r} of {task} {case}; there are {', '.join(known) or 'none'}"
            )
    return compare(known[a].score, known[b].score)


def frontier(summary: pd.DataFrame, *, cost: str = "calls", quality: str = "score") -> pd.DataFrame:
    """The lines of a summary that nothing of the same task and case beats, cheapest first."""

    def kept() -> Iterator[pd.DataFrame]:
        for _, group in summary.groupby(["task", "case"], sort=False):
            better = group[quality] if quality != "nats" else -group[quality]
            mask = unbeaten(group[cost].to_numpy(float), better.to_numpy(float))
            yield group[np.asarray(mask)].sort_values(cost)

    return pd.concat(list(kept()), ignore_index=True) if len(summary) else summary
