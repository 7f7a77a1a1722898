"""The models that need no download: tables and chains whose posterior is known, under each kind of
noise, and read from left to right.

`SHIPPED` maps a model's name to the function that builds it; nothing is built on import.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from lab.models.exact.oracle import oracle
from lab.models.exact.table import table
from lab.models.model import Model
from lab.models.rewards import rewards_of
from lab.tasks import TASKS
from lab.tasks.task import Chain, Task

HYBRID_NOISE = 0.1  # p_uniform of the hybrid variants: the sampler's own default
DRAFT_LENGTH = 4  # of the causal variants: a row of the small board


def build(task: Task, name: str) -> Model:
    """The table or the oracle of a task; after its name stands a corruption, or causal: read from
    left to right, with a draft model."""
    kind = name.removeprefix(task.name).removeprefix("-") or "absorbing"
    assert task.exact is not None and task.words is not None
    truth, number = task.exact(), {word: i for i, word in enumerate(task.words)}
    causal = kind == "causal"
    shared: dict[str, Any] = {
        "corruption": "absorbing" if causal else kind,
        "p_uniform": HYBRID_NOISE,
        "vocabulary": task.words,
        "eos_id": None if task.eos is None else number[task.eos],
        "draft_length": DRAFT_LENGTH if causal else None,
    }
    if isinstance(truth, Chain):
        shared["length"] = task.length
        model = oracle(truth.initial, truth.transition, emission=truth.emission, **shared)
    else:
        lines = [[number[word] for word in line] for line in truth.sequences]
        model = table(lines, truth.weights, **shared)
    model.card = replace(model.card, name=name, task=task.name, rewards=rewards_of(task.name))
    return model


SHIPPED: dict[str, Callable[[], Model]] = {
    name: partial(build, task, name)
    for task in TASKS.values()
    if task.exact is not None
    for name in task.models
}
