"""The one JSON value of a panel: what stands in its head, and the steps that are new to it."""

import math
from typing import Any, Literal, TypedDict, cast

import numpy as np

from lab.record.history import COMMITTED, EDITED
from lab.record.metrics import drafts
from lab.record.row_record import RecordedSteps
from lab.record.trajectory import Trajectory
from lab.study.spec import Setting
from lab.tasks import TASKS
from lab.ui.film import NO_STEPS, FilmPart
from samplers.registry import Sampler, Values

Kind = Literal["empty", "idle", "waiting", "running", "done", "stopped", "error"]


class Verdict(TypedDict):
    """What the task's checker says of the finished row; wrong: positions that break its rules."""

    ok: bool
    text: str
    wrong: list[int]


class RowResult(TypedDict):
    """One row of several in a few words. ok: what the task's checker says, None without one."""

    ok: bool | None
    text: str
    calls: int


class PanelValue(FilmPart):
    """What assets/panel/panel.js draws. run: names the run; another name begins another film.

    Every text is plain (the page sets textContent) and written out by safe_text.visible. metrics:
    name, value and meaning, in the order shown. text: what was written, once the run is over. play:
    whether it plays from its first step, at a pace to read. rows: what each row of several came to,
    once they are over; row: which of them is shown, from 0. best: the names of the metrics in which
    no other panel is better.
    """

    kind: Kind
    run: str
    title: str
    subtitle: str
    message: str
    notes: list[str]
    metrics: list[list[str]]
    verdict: Verdict | None
    text: str
    play: bool
    rows: list[RowResult]
    row: int
    best: list[str]


def panel_value(kind: Kind, run: str, **changes: Any) -> PanelValue:
    """A panel without steps; changes: fields that differ from an empty one's."""
    value: dict[str, Any] = {
        "kind": kind, "run": run, "title": "", "subtitle": "", "message": "", "notes": [],
        "metrics": [], "verdict": None, "text": "", "play": False, "rows": [], "row": 0, "best": [],
        **NO_STEPS,
    }  # fmt: skip
    return cast(PanelValue, {**value, **changes})


def subtitle(sampler: Sampler, model: str, values: Values, note: str = "") -> str:
    """What a panel's run is, under its sampler's name: the model, the guarantee, what of the
    settings is not as the sampler has it by itself, and a note.
    """
    changed = sampler.changed(values)
    label = Setting(sampler.name, values=changed).label if changed else ""
    return " · ".join(filter(None, (model, sampler.guarantee, label, note)))


class PanelMetrics:
    """The panel's few numbers, added up as the run goes on; equal to lab.record.metrics'."""

    def __init__(self, drafts: bool):
        self._drafts = drafts
        self._calls, self._seconds, self._tokens, self._edits, self._remasks = 0, 0.0, 0, 0, 0
        self._accepted: list[int] = []

    def add(self, steps: RecordedSteps) -> None:
        """Count steps that follow those counted before."""
        self._tokens = int(np.isin(steps.settled_state, (COMMITTED, EDITED)).sum())
        if not len(steps.calls):
            return
        self._calls = int(steps.calls[-1])
        self._seconds = float(steps.model_seconds[-1])
        self._edits += int(steps.edits.sum())
        self._remasks += int(steps.remasks.sum())
        checked = (steps.stop - steps.start > 1) & self._drafts
        self._accepted += steps.commits.sum(-1)[checked].tolist()

    def lines(self) -> list[list[str]]:
        """Name, value, and what it means."""
        per_call = f"{self._tokens / self._calls:.2f}" if self._calls else "–"
        lines = [
            ["Calls", str(self._calls), "forward passes of the model"],
            ["Tokens / call", per_call, "tokens that stand at the end, per call"],
            ["Model time", f"{self._seconds:.2f} s", "seconds inside the model, nothing else"],
        ]
        if self._accepted:
            mean = sum(self._accepted) / len(self._accepted)
            meaning = "tokens of a draft that a call accepts, the model's own next one counted"
            lines.append(["Accepted / draft", f"{mean:.2f}", meaning])
        if self._edits:
            lines.append(["Edits", str(self._edits), "written tokens replaced by others"])
        if self._remasks:
            lines.append(["Remasks", str(self._remasks), "written tokens masked again"])
        return lines


def metrics_of(trajectory: Trajectory) -> list[list[str]]:
    """The numbers of a run that is over."""
    metrics = PanelMetrics(drafts(trajectory.card))
    metrics.add(trajectory.steps_since(0))
    return metrics.lines()


def verdict(trajectory: Trajectory) -> Verdict | None:
    """What the task's checker says of the finished row, where it has one."""
    task = TASKS.get(trajectory.task)
    if task is None:
        return None
    score = task.score([trajectory.piece(i) for i in trajectory.tokens[-1].tolist()])
    if math.isnan(score.value):
        return None
    return {"ok": score.value == 1, "text": score.message, "wrong": list(score.wrong)}
