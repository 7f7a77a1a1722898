"""A Trajectory as its panel shows it: steps, numbers and verdict; no run and no model needed."""

import math
from typing import Any

from lab.record.metrics import metrics
from lab.record.trajectory import Trajectory
from lab.tasks import TASKS
from lab.ui.panel import strip


def view(trajectory: Trajectory, sent: list[str], ended: bool) -> dict[str, Any]:
    """The part of a panel's JSON that follows from the record alone.

    sent: the steps encoded before, kept as they are; ended: whether there is a verdict to give.
    """
    task = TASKS.get(trajectory.task)
    return {
        **strip(trajectory, sent),
        "board": list((task and task.board) or ()),  # side, height and width of a box
        "metrics": shown_metrics(trajectory),
        "verdict": verdict(trajectory) if ended else None,
    }


def shown_metrics(trajectory: Trajectory) -> list[list[str]]:
    """The panel's few numbers: name, value, and what it means."""
    numbers = metrics(trajectory)
    per_call = f"{numbers.tokens_per_call:.2f}" if numbers.calls else "–"
    shown = [
        ["calls", str(numbers.calls), "forward passes of the model"],
        ["tokens / call", per_call, "tokens that stand at the end, per call"],
        ["model time", f"{numbers.model_seconds:.2f} s", "seconds inside the model, nothing else"],
    ]
    if not math.isnan(numbers.acceptance_length):
        kept = "tokens that a call keeps of a draft, the model's own next one counted"
        shown.append(["kept / draft", f"{numbers.acceptance_length:.2f}", kept])
    if numbers.edits:
        shown.append(["edits", str(numbers.edits), "written tokens replaced by others"])
    if numbers.remasks:
        shown.append(["remasks", str(numbers.remasks), "written tokens masked again"])
    return shown


def verdict(trajectory: Trajectory) -> dict[str, Any] | None:
    """What the task's checker says of the finished row, where it has one."""
    task = TASKS.get(trajectory.task)
    if task is None:
        return None
    score = task.score([trajectory.piece(i) for i in trajectory.tokens[-1].tolist()])
    if math.isnan(score.value):
        return None
    return {"ok": score.value == 1, "text": score.message, "wrong": list(score.wrong)}
