"""What a text is worth: numbers that its task's checker gives, by name."""

from functools import lru_cache

import torch
from torch import Tensor

from lab.tasks import TASKS
from lab.tasks.task import MASK

NAMES = ("score", "right")  # the checker's verdict; the share of positions that it finds right


def rewards_of(task: str) -> tuple[str, ...]:
    """The names of what can be rewarded in texts of a task; none where nothing checks them."""
    known = TASKS.get(task)
    return NAMES if known and known.checker and known.words else ()


def rewards(task: str, name: str, texts: Tensor) -> Tensor:
    """What each of the texts [N, L] of ids without pads is worth, from 0 to 1: [N] float64.

    ValueError where the task has no reward of that name.
    """
    if name not in rewards_of(task):
        raise ValueError(
            f"no reward {name!r} for texts of {task or 'no task'}; choose a task that has a "
            f"checker, and one of {', '.join(NAMES)}"
        )
    worth = [_worth(task, name, tuple(line)) for line in texts.tolist()]
    return torch.tensor(worth, dtype=torch.float64)


@lru_cache(100_000)
def _worth(task: str, name: str, ids: tuple[int, ...]) -> float:
    words = TASKS[task].words or ()
    score = TASKS[task].score([words[i] if i < len(words) else MASK for i in ids])
    value = score.value if name == "score" else 1 - len(score.wrong) / max(len(ids), 1)
    return value if score.value == score.value else 0.0  # NaN: a mask is left
