"""Which models ship with the lab, and which of them belong together."""

from functools import cache
from pathlib import Path

from lab.models.card import read_card
from lab.models.device import device_map
from lab.models.model import LOADING, Model, ModelCard
from lab.tasks import TASKS
from samplers import SAMPLERS
from samplers.signature import brief

ASSETS = Path(__file__).parents[2] / "assets"

MEMBERS = {name: task.models for name, task in TASKS.items()}
# Models in assets; those of the other tasks are built from the list of all sequences.
TRAINED = tuple(name for name, task in TASKS.items() if task.exact is None)


def tasks() -> dict[str, dict[str, str]]:
    """Every task with the model it gives each sampler: {task: {sampler: model name}}."""
    return {task: served(task) for task in task_names()}


def task_names() -> list[str]:
    """The tasks that have a model here."""
    return [task for task in MEMBERS if present(task)]


def served(task: str) -> dict[str, str]:
    """The model that a task gives each sampler it serves: {sampler: model name}."""
    names = present(task)
    return {
        sampler.name: fitting[0]
        for sampler in SAMPLERS.values()
        if (fitting := [name for name in names if sampler.misfit(card(name)) is None])
    }


def card(name: str) -> ModelCard:
    """What a shipped model is, without its weights. ValueError names the known ones."""
    folder = weights_folder(name)
    return shipped(name).card if folder is None else read_card(folder)


def models() -> list[str]:
    """The names of all models that ship with the lab."""
    return [name for task in MEMBERS for name in present(task)]


def shipped(name: str, device: str | None = None) -> Model:
    """The model of that name that ships with the lab, opened once a process and device.

    ValueError for a table or a chain on anything but the CPU; auto leaves them there.
    """
    folder = weights_folder(name)
    if folder is None:
        if device not in (None, "cpu", "auto"):
            raise ValueError(
                f"{name} is computed on the CPU, got device {brief(device)}; leave device out"
            )
        return _exact(name)
    with LOADING:
        return _trained(folder, device_map(device))


@cache
def _exact(name: str) -> Model:
    from lab.models.exact.shipped import SHIPPED

    return SHIPPED[name]()


@cache
def _trained(folder: Path, place: str | None) -> Model:
    from lab.models.transformers.checkpoint import load_checkpoint

    return load_checkpoint(folder, place)


def present(task: str) -> list[str]:
    """Members whose weights are there, the tables always; none of a task that is not known."""
    return [
        name
        for name in MEMBERS.get(task, ())
        if (folder := weights_folder(name)) is None or (folder / "config.json").exists()
    ]


def weights_folder(name: str) -> Path | None:
    """Where the weights of a shipped model lie; None for one that is built, a table or a chain."""
    task, _, network = name.partition("-")
    return ASSETS / task / network if task in TRAINED else None
