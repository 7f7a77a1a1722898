"""What a finished panel is worth beside what it cost, and in which numbers it is the best."""

import math
from collections.abc import Mapping, Sequence

import lab
from lab.models.hub.connection import on_zero_gpu
from lab.models.judge import judge
from lab.record.trajectory import Trajectory
from lab.tasks import TASKS
from lab.ui.many_rows import interval_text
from lab.ui.panel_value import RowResult

NATS = "Nats / token"


def quality_lines(runs: Sequence[Trajectory], nats: Sequence[float]) -> list[list[str]]:
    """Name, value and meaning of what `nats_of` found in the rows of a panel; empty for nothing."""
    task = TASKS.get(runs[0].task)
    known = [one for one in nats if not math.isnan(one)]
    if task is None or not known:
        return []
    truth = "the task's own law" if task.log_prob else task.judge
    meaning = f"how unlikely {truth} finds the text; low too for text that repeats itself"
    return [[NATS, interval_text(known), meaning]]


def nats_of(runs: Sequence[Trajectory]) -> list[float]:
    """Nats a token of each row under its task's truth, or else its judge; NaN without either."""
    task = TASKS.get(runs[0].task)
    if task is None:
        return [math.nan] * len(runs)
    if task.log_prob:
        return [_under_truth(run) for run in runs]
    if task.judge is None or on_zero_gpu():  # there models wait on the CPU for a GPU
        return [math.nan] * len(runs)
    return judge(lab.load(task.judge), runs)


def _under_truth(run: Trajectory) -> float:
    task = TASKS[run.task]
    words = [run.piece(i) for i in run.tokens[-1].tolist()]
    if task.log_prob is None or math.isnan(task.score(words).value):
        return math.nan
    return -task.log_prob(words) / max(len(words), 1)


def costs(
    runs: Sequence[Trajectory], results: Sequence[RowResult], nats: Sequence[float]
) -> dict[str, float]:
    """The panel's numbers by the name of their line, each better the lower it is."""
    calls = [int(run.calls[-1]) for run in runs if len(run.calls)]
    judged = [one["ok"] for one in results if one["ok"] is not None]
    known = [one for one in nats if not math.isnan(one)]
    return {
        **({"Calls": sum(calls) / len(calls)} if calls else {}),
        **({"Solved": -sum(judged) / len(judged)} if judged else {}),
        **({NATS: sum(known) / len(known)} if known else {}),
    }


def best(panels: Sequence[Mapping[str, float]]) -> list[list[str]]:
    """For each panel the names of the numbers in which none is better and some panel is worse."""
    names = list(dict.fromkeys(name for one in panels for name in one))
    marks: list[list[str]] = [[] for _ in panels]
    for name in names:
        known = [one[name] for one in panels if name in one]
        if len(set(known)) < 2:
            continue
        for mark, one in zip(marks, panels, strict=True):
            if one.get(name) == min(known):
                mark.append(name)
    return marks
