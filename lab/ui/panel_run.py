"""One panel's run: opened, advanced step by step, and told as the JSON its panel draws."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import lab
from lab.models.catalogue import card
from lab.record.trajectory import Frame, Trajectory
from lab.run import limits, recorder
from lab.run.plan import plan
from lab.run.request import RunRequest
from lab.ui import loaded_models
from lab.ui.panel_value import view
from lab.ui.safe_text import visible
from lab.ui.settings_form import Choice
from samplers import SAMPLERS, get
from samplers.canvas import Canvas


@dataclass(frozen=True)
class Request:
    """What all panels share: a task, a prompt or a template, a length and a seed.

    task: one of the lab's, or the name of another model that was loaded (lab.ui.loaded_models).
    """

    task: str
    prompt: str = ""
    template: str | None = None
    gen_length: int | None = None
    seed: int = 0

    @property
    def given(self) -> dict[str, Any]:
        """The arguments of lab.run that say what to write."""
        if self.template is not None:
            return {"template": self.template, "seed": self.seed}
        return {"prompts": self.prompt, "gen_length": self.gen_length, "seed": self.seed}


class Lane:
    """A panel's run. Whatever goes wrong in it is told in its panel, never raised."""

    def __init__(self, request: Request, choice: Choice | None):
        self.request, self.choice = request, choice
        self.kind = "empty" if choice is None else "waiting"
        self.message = ""
        self.name = uuid4().hex
        self.run: recorder.Recorder | None = None
        self.frames: Iterator[Frame] = iter(())
        self.sent: list[str] = []

    def open(self, budget: int) -> int:
        """Check everything, make no call yet; returns what is left of the budget of work."""
        if self.choice is None:
            return budget
        choice, request = self.choice, self.request
        try:
            known_task(request.task)
            model = loaded_models.model(request.task) or request.task
            arguments = {**request.given, "preset": choice.preset, "params": choice.params}
            run = recorder.Recorder(plan(RunRequest(choice.sampler, model, **arguments)))
            left = _afford(run.plan.work, budget)
        except Exception as error:
            self._fail(error)
            return budget
        self.run, self.frames, self.kind = run, iter(run), "running"
        return left

    def advance(self) -> bool:
        """Take one step; False once the run has ended, well or not."""
        if self.kind != "running":
            return False
        try:
            if next(self.frames, None) is not None:
                return True
            self.kind = "done"
        except Exception as error:
            self._fail(error)
        return False

    def end(self, why: str) -> None:
        """Stop where the run stands; what was recorded stays."""
        if self.run is not None:
            self.run.close()
        if self.kind in ("running", "waiting"):
            self.kind, self.message = "stopped", why

    def trajectory(self) -> Trajectory | None:
        """What was recorded so far; None before frame 0."""
        if self.run is None or not self.run.started:
            return None
        return self.run.trajectories()[0]

    def value(self) -> dict[str, Any]:
        """The panel's JSON, as things stand."""
        if self.choice is None:
            return {"kind": "empty", "run": self.name}
        sampler = get(self.choice.sampler)
        head = {
            "kind": self.kind,
            "run": self.name,
            "title": sampler.title,
            "subtitle": self._subtitle(),
            "message": visible(self.message),
        }
        trajectory = self.trajectory()
        if trajectory is None:
            return {**head, "steps": [], "columns": 0, "pieces": {}}
        shown = view(trajectory, self.sent, self.kind == "done")
        self.sent = shown["steps"]
        told = notes(self.run.plan.canvas, self.run.plan.model.card.attention)
        return {**head, **shown, "notes": told}

    def _subtitle(self) -> str:
        if self.run is None:
            return ""
        plan = self.run.plan
        return f"{plan.model.card.name} · {plan.sampler.guarantee}"

    def _fail(self, error: Exception) -> None:
        self.kind, self.message = "error", explain(error)


def notes(canvas: Canvas, attention: str) -> list[str]:
    """What a panel's reader should know about how it was run."""
    pinned = (canvas.visible & ~canvas.writable)[0]
    # Tables and full attention see everything; a causal block sees what is left of its end.
    first = canvas.blocks()[0]
    reach = {"block_causal": first.stop, "causal": first.start}
    if bool(pinned[reach.get(attention, len(pinned)) :].any()):
        return ["Text pinned in later blocks is not seen while a block is filled."]
    return []


def known_task(name: Any) -> None:
    """A task by its name alone: lab.run would also take any folder, unseen."""
    known = lab.tasks()
    if not isinstance(name, str) or (name not in known and name not in loaded_models.known()):
        raise ValueError(
            f"task must be one of {', '.join(known)}, or a model that was loaded under this "
            f"name, got {str(name)[:60]!r}"
        )


def _afford(work: int, budget: int) -> int:
    if work > budget:
        raise ValueError(
            f"the work of one press of Run must be at most {limits.APP_WORK:,} (model calls x "
            f"columns, all panels together), {budget:,} are left and this panel may need "
            f"{work:,}; lower steps or gen_length, or use fewer panels"
        )
    return budget - work


def explain(error: Exception) -> str:
    """An error in words for the page: ours as they are, any other by its kind alone."""
    if isinstance(error, ValueError):
        return str(error)
    logging.getLogger(__name__).error("a run or a load failed", exc_info=error)
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return "too large for this machine's memory: lower gen_length or block_length"
    return f"this failed ({type(error).__name__}); the log of the app says where"


def fits(task: str) -> dict[str, str | None]:
    """Why a sampler cannot run in this task, or None where it can: {sampler: reason}."""
    if found := loaded_models.known().get(task):
        return found.fits
    known = lab.tasks().get(task, {})
    return {name: _misfit(name, known) for name in SAMPLERS}


def _misfit(sampler: str, known: dict[str, str]) -> str | None:
    if sampler in known:
        return None
    if not known:
        return "this task has no models here"
    others = dict.fromkeys(known.values())
    reasons = [get(sampler).misfit(card(model)) for model in others]
    return next((reason for reason in reasons if reason), "this task has no model for it")
