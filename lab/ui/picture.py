"""What the Study tab draws: the points of a case as JSON, and what is best under a budget."""

import json
import math
from functools import cache
from typing import Any

import pandas as pd

from lab.study.atlas import ATLAS
from lab.study.colours import style
from lab.study.frontier import Rival, best_under
from lab.study.points import COSTS, DISTANCES, POINT, QUALITIES, read_points
from lab.study.statistics import Interval
from lab.study.summary import LOWER, names_of, of_case, settings_of
from lab.tasks import TASKS
from lab.ui import own_points
from lab.ui.safe_text import visible
from lab.ui.settings_form import PanelSettings
from samplers import SAMPLERS

FIRST = ("sudoku9", "26")  # what is shown first, where it was measured
UNITS = {"calls": "calls", "columns_fed": "columns", "model_seconds": "seconds"}
MARKED = (" · live", " · file")  # ends of the settings' names of a visitor's own points
OF_TEXT = ("entropy", "distinct_2")
RIVALS = 6  # other samplers that an answer names


@cache
def atlas() -> pd.DataFrame:
    """The points that ship; none where there is no atlas."""
    return read_points(ATLAS) if ATLAS.exists() else pd.DataFrame(columns=POINT.names)


def points_of(task: str, case: str, key: Any) -> pd.DataFrame:
    """The points of a case: the atlas's, then those of the visitor with this key."""
    parts = [of_case(each, task, case) for each in (atlas(), own_points.of(key))]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else atlas()[:0]


def picture(query: Any) -> dict[str, Any]:
    """Asked by the tab: {task, case, key} gives the points of that case, else of the first one."""
    query = query if isinstance(query, dict) else {}
    task, case = known_case(query) or first_case()
    points = points_of(task, case, query.get("key"))
    lines = points.to_dict("records")
    return {
        "task": task,
        "case": case,
        "tasks": _tasks(query.get("key")),
        "about": _about(task, case, points),
        "qualities": [_quality(name, text) for name, text in _axes(points)],
        "costs": _costs(points),
        "floors": _floors(points),
        "styles": _styles(points),
        "points": [_point(name, line) for name, line in zip(names_of(points), lines, strict=True)],
    }


def known_case(query: dict[str, Any]) -> tuple[str, str] | None:
    """The task and case that a query names, where they are some."""
    task, case = query.get("task"), query.get("case")
    if not (isinstance(task, str) and isinstance(case, str) and task in TASKS):
        return None
    return (task, case) if case in dict(_cases(task)) else None


def first_case() -> tuple[str, str]:
    """What is shown before anything was chosen."""
    known = atlas()[["task", "case"]].drop_duplicates().itertuples(index=False, name=None)
    cases = list(known)
    return FIRST if FIRST in cases or not cases else cases[0]


def _cases(task: str) -> list[list[str]]:
    return [[name, f"{name}: {about}"] for name, about in TASKS[task].cases.items()] or [
        ["prompts", "its examples, continued"]
    ]


def _tasks(key: Any) -> list[dict[str, Any]]:
    """The tasks and cases that something was measured of."""
    measured = {
        pair
        for points in (atlas(), own_points.of(key))
        for pair in points[["task", "case"]].itertuples(index=False, name=None)
    } or {first_case()}
    return [
        {"name": task.name, "title": task.title, "cases": cases}
        for task in TASKS.values()
        if (cases := [case for case in _cases(task.name) if (task.name, case[0]) in measured])
    ]


def settings_of_point(query: dict[str, Any], name: Any) -> PanelSettings | None:
    """What a point's setting is, every parameter spelled out; None where there is no such point."""
    place = known_case(query)
    points = points_of(*place, query.get("key")) if place else atlas()[:0]
    for each, line in zip(names_of(points), points.to_dict("records"), strict=True):
        if visible(each) == name:
            values = json.loads(line["settings"])
            return PanelSettings(line["sampler"], line["preset"] or None, values)
    return None


def _about(task: str, case: str, points: pd.DataFrame) -> str:
    rows = f"{int(points['rows'].max()):,} rows a setting" if len(points) else "nothing measured"
    return f"{visible(' '.join(TASKS[task].summary.split()))} {rows}; 95 % intervals."


def _axes(points: pd.DataFrame) -> list[tuple[str, str]]:
    known = {**QUALITIES, **DISTANCES}
    if points["score"].notna().any():  # a checker knows better than counts of words
        known = {name: text for name, text in known.items() if name not in OF_TEXT}
    return [(name, text) for name, text in known.items() if points[name].notna().any()]


def _quality(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name, "label": text, "share": name in ("score", "distinct_2"),
        "lower": name in LOWER, "log": name in ("kl_rate", "tv_rate"),
    }  # fmt: skip


def _costs(points: pd.DataFrame) -> list[dict[str, Any]]:
    costs = [
        {"name": name, "label": text, "unit": UNITS[name], "log": True, "text": False}
        for name, text in COSTS.items()
    ]
    if points["score"].isna().all() and points["entropy"].notna().any():  # quality by diversity
        text = QUALITIES["entropy"]
        costs.append({"name": "entropy", "label": text, "unit": "nats", "log": False, "text": True})
    return costs


def _floors(points: pd.DataFrame) -> dict[str, Any]:
    """What perfect rows would show, for the distances that are never 0."""
    floors: dict[str, Any] = {}
    causal = points[(points["sampler"] == "autoregressive") & (points["setting"] == "defaults")]
    for name in ("kl_rate", "tv_rate"):
        if causal[name].notna().any():
            label = "as many rows of the truth"
            floors[name] = {"value": float(causal[name].iloc[0]), "label": label}
    if points["tv_floor"].notna().any():
        value = float(points["tv_floor"].dropna().iloc[0])
        floors["tv"] = {"value": value, "label": "as many rows of the truth"}
    return floors


def _styles(points: pd.DataFrame) -> dict[str, Any]:
    there = set(points["sampler"])
    return {
        name: {"colour": style(name)[0], "mark": style(name)[1], "title": sampler.title}
        for name, sampler in SAMPLERS.items()
        if name in there
    }


def _point(name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": visible(name), "sampler": line["sampler"], "setting": visible(line["setting"]),
        "model": visible(line["model"]), "rows": int(line["rows"]),
        "own": line["setting"].endswith(MARKED),
        "x": {each: _number(line[each]) for each in (*COSTS, "entropy")},
        "y": {each: [_number(line[f"{each}{end}"]) for end in ("", "_low", "_high")]
              for each in (*QUALITIES, *DISTANCES) if _number(line[each]) is not None},
        "tokens_per_call": _number(line["tokens_per_call"]),
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def best(query: Any) -> dict[str, Any]:
    """Asked by the tab: {task, case, key, cost, budget} gives the best setting within the budget.

    And each other sampler's best one, held against it on the same instances.
    """
    if not isinstance(query, dict) or not (place := known_case(query)):
        return {"missing": True}
    cost, budget = query.get("cost"), query.get("budget")
    if (
        not isinstance(cost, str)
        or cost not in COSTS
        or type(budget) not in (int, float)
        or not math.isfinite(budget)
    ):
        return {"missing": True}
    points = points_of(*place, query.get("key"))
    outcome = best_under(settings_of(points, *place, cost=cost), budget)
    limit = f"At most {budget:g} {UNITS[cost]}"
    if outcome is None:
        return {"best": "", "same": [], "first": f"{limit}: nothing was measured that fits.",
                "others": [], "note": ""}  # fmt: skip
    sampler = dict(zip(names_of(points), points["sampler"], strict=True))
    score = dict(zip(names_of(points), _intervals(points), strict=True))
    others = _bests_of_others(outcome.rivals, sampler, sampler[outcome.name])
    return {
        "best": visible(outcome.name),
        "same": [visible(name) for name in outcome.indistinguishable],
        "first": visible(
            f"{limit}: {outcome.name}, {outcome.score.percent()} at {outcome.cost:.3g} "
            f"{UNITS[cost]}."
        ),
        "others": [_rival(rival, score[rival.name]) for rival in others],
        "note": _note(len(outcome.rivals), len(outcome.indistinguishable)),
    }


def _intervals(points: pd.DataFrame) -> list[Interval]:
    columns = points[["score", "score_low", "score_high"]].itertuples(index=False, name=None)
    return [Interval(*map(float, each)) for each in columns]


def _bests_of_others(rivals: tuple[Rival, ...], sampler: dict[str, str], first: str) -> list[Rival]:
    """The first rival of each other sampler: they come best first."""
    bests: dict[str, Rival] = {}
    for rival in rivals:
        if sampler[rival.name] != first:
            bests.setdefault(sampler[rival.name], rival)
    return list(bests.values())[:RIVALS]


def _rival(rival: Rival, score: Interval) -> dict[str, Any]:
    difference = rival.comparison.difference
    behind = f"{100 * difference.estimate:.1f} points behind "
    behind += f"[{100 * difference.low:.1f}, {100 * difference.high:.1f}]"
    p_value = "p < 0.001" if rival.adjusted_p < 0.001 else f"p = {rival.adjusted_p:.2g}"
    worse = rival.distinguishable
    verdict = f"really worse, {behind}, {p_value}" if worse else (
        f"cannot be told apart, {behind}, {p_value}"
    )  # fmt: skip
    return {"name": visible(rival.name), "score": score.percent(), "worse": worse,
            "verdict": verdict}  # fmt: skip


def _note(rivals: int, same: int) -> str:
    if not rivals:
        return "Nothing else fits this budget."
    settings = f"{same} of the {rivals} other settings within the budget cannot be told from it"
    return (
        f"{settings} (ringed). Paired on the same instances: McNemar's exact test, Holm's "
        f"correction over all {rivals}."
    )
