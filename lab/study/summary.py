"""A study's rows as points, one a setting, with intervals; comparisons and frontier on points."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lab.record.trajectory import canonical
from lab.study.distances import distances
from lab.study.frontier import Best, Scores, best_under, paired
from lab.study.frontier import frontier as unbeaten
from lab.study.points import (
    COSTS,
    DISTANCES,
    KEYS,
    PACKED,
    POINT,
    QUALITIES,
    pack,
    pack_hashes,
    unpack,
)
from lab.study.statistics import Comparison, Interval, mean, wilson

# What is better the smaller it is.
LOWER = {"nats", *DISTANCES}


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """One point a setting (lab.study.points.POINT): mean costs and each quality with its interval.

    Rates carry Wilson's interval, means the bootstrap's; NaN where something was not measured. The
    quality of each row is packed beside them, in the order of seed and instance.
    """
    lines = [_line(keys, group) for keys, group in rows.groupby(KEYS, sort=False, dropna=False)]
    return pd.DataFrame(lines, columns=POINT.names)


def _line(keys: Any, group: pd.DataFrame) -> dict[str, Any]:
    line = dict(zip(KEYS, keys, strict=True)) | {"rows": len(group)}
    group = group.sort_values(["seed", "instance"], kind="stable")
    seeds = sorted(set(group["seed"].tolist()))
    line |= {
        "fingerprint": group["fingerprint"].iloc[0],
        "versions": group["versions"].iloc[0],
        "seeds": canonical(seeds),
        "instances": int(group["instances"].iloc[0]),
        "gen_length": int(group["gen_length"].iloc[0]),
    }
    line |= {name: float(group[name].mean()) for name in COSTS}
    calls = float(group["calls"].sum())
    line["tokens_per_call"] = float(group["tokens"].sum()) / calls if calls else float("nan")
    for name in QUALITIES:
        line |= _ends(name, _interval(group[name].dropna().to_numpy(float), rate=name == "score"))
    for name, value in distances(line["task"], line["case"], group["text"].tolist()).items():
        line[name] = value
    for name, source in PACKED.items():
        line[name] = pack(group[source].to_numpy(float))
    line["hashes"] = pack_hashes(group["token_hash"].tolist())
    return line


def _ends(name: str, interval: Interval) -> dict[str, float]:
    low, high = f"{name}_low", f"{name}_high"
    return {name: interval.estimate, low: interval.low, high: interval.high}


def _interval(values: np.ndarray, rate: bool) -> Interval:
    if rate and len(values) and np.isin(values, (0, 1)).all():
        return wilson(int(values.sum()), len(values))
    return mean(values)


def name_of(line: Any) -> str:
    """How a setting is called in words: `threshold (threshold=0.9)`."""
    return f"{line['sampler']} ({line['setting']})"


def names_of(points: pd.DataFrame) -> list[str]:
    """The name of each point of one case; with its model where the setting ran on several."""
    lines = points.to_dict("records")
    counts = Counter(map(name_of, lines))
    return [
        name_of(line) + (f" on {line['model']}" if counts[name_of(line)] > 1 else "")
        for line in lines
    ]


def of_case(points: pd.DataFrame, task: str, case: str) -> pd.DataFrame:
    """The points of one case of a task."""
    return points[(points["task"] == task) & (points["case"] == case)]


def settings_of(
    points: pd.DataFrame, task: str, case: str, *, quality: str = "score", cost: str = "calls"
) -> dict[str, Scores]:
    """Each setting's quality a row, row i of all of them on the same instance, and its mean cost.

    quality: "score" or "nats". Settings on other instances than most are left out, as they cannot
    be paired; so are those of fewer rows where several seeds were run. Of one seed the rows that a
    smaller one has are the first ones of a larger one.
    """
    here = of_case(points, task, case)
    packed = {source: name for name, source in PACKED.items()}[quality]
    drawn = {
        name: (line, (line["seeds"], line["instances"]))
        for name, line in zip(names_of(here), here.to_dict("records"), strict=True)
    }
    if not drawn:
        return {}
    usual, _ = Counter(key for _, key in drawn.values()).most_common(1)[0]
    lines = {name: line for name, (line, key) in drawn.items() if key == usual}
    if "," in usual[0]:  # several seeds
        most = max(line["rows"] for line in lines.values())
        lines = {name: line for name, line in lines.items() if line["rows"] == most}
    return {
        name: Scores(unpack(line[packed], line["rows"]), float(line[cost]))
        for name, line in lines.items()
    }


def best(
    points: pd.DataFrame, task: str, case: str, budget: float, *, cost: str = "calls"
) -> Best | None:
    """The best setting of a case whose mean cost is at most the budget."""
    return best_under(settings_of(points, task, case, cost=cost), budget)


def compare_settings(points: pd.DataFrame, task: str, case: str, a: str, b: str) -> Comparison:
    """Two settings of one case on the same instances, by their names (`names_of`).

    Scores are compared where the task has a checker, nats a token elsewhere. ValueError names the
    settings that there are.
    """
    scored = bool(of_case(points, task, case)["score"].notna().any())
    known = settings_of(points, task, case, quality="score" if scored else "nats")
    for name in (a, b):
        if name not in known:
            raise ValueError(
                f"no setting {name!r} of {task} {case}; there are {', '.join(known) or 'none'}"
            )
    return paired(known[a], known[b])


def frontier(points: pd.DataFrame, *, cost: str = "calls", quality: str = "score") -> pd.DataFrame:
    """The points that nothing of the same task and case beats, cheapest first."""

    def unbeaten_points() -> Iterator[pd.DataFrame]:
        for _, group in points.groupby(["task", "case"], sort=False):
            better = -group[quality] if quality in LOWER else group[quality]
            mask = unbeaten(group[cost].to_numpy(float), better.to_numpy(float))
            yield group[np.asarray(mask)].sort_values(cost)

    return pd.concat(list(unbeaten_points()), ignore_index=True) if len(points) else points
