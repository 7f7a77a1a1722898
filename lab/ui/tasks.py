"""What may be chosen as the task: one of the lab's, or a model that was loaded by its name."""

from typing import Any

from lab.models.catalogue import card, served, task_names
from lab.ui import loaded_models
from samplers import SAMPLERS, get
from samplers.signature import brief


def check_task(name: Any) -> str:
    """A task by its name alone: lab.run would also take any folder, unseen."""
    known = task_names()
    if not isinstance(name, str) or (name not in known and name not in loaded_models.known()):
        raise ValueError(
            f"task must be one of {', '.join(known)}, or a model that was loaded under this "
            f"name, got {brief(name)}"
        )
    return name


def misfits(task: str) -> dict[str, str | None]:
    """Why a sampler cannot run in this task, or None where it can: {sampler: reason}."""
    if entry := loaded_models.known().get(task):
        return entry.misfits
    known = served(task)
    return {name: _misfit(name, known) for name in SAMPLERS}


def _misfit(sampler: str, known: dict[str, str]) -> str | None:
    if sampler in known:
        return None
    if not known:
        return "this task has no models here"
    others = dict.fromkeys(known.values())
    reasons = [get(sampler).misfit(card(model)) for model in others]
    return next((reason for reason in reasons if reason), "this task has no model for it")
