"""How often each token occurs: counted in what a task draws, or read from a file of counts."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from lab.models.checkpoint_files import read_json
from lab.models.errors import ModelError
from lab.tasks import TASKS
from samplers.signature import brief

FILE = "token_counts.json"  # {"token id": how many there are}, beside a tokenizer
DRAWN = 2000  # texts of a task that are counted
MOST = 2**53  # whole numbers that float64 holds


def known(folder: Path, task: str) -> bool:
    """Whether the tokens of a model with its tokenizer in this folder can be counted."""
    return _draws(task) is not None or (folder / FILE).exists()


def frequencies(folder: Path, task: str, size: int) -> Callable[[], Tensor]:
    """What gives the share [size] float64 of each id among all tokens.

    A file is read at once; a task's texts are drawn and counted when they are asked for, once. A
    token that was never seen counts as seen once. ModelError for a file that holds no such counts.
    """
    draw = _draws(task)
    read = None if draw else read_counts(folder / FILE, size)

    @cache
    def shares() -> Tensor:
        counts = read if draw is None else torch.bincount(draw(DRAWN, 0).flatten(), minlength=size)
        assert counts is not None
        seen = counts[:size].double().clamp(min=1)
        return seen / seen.sum()

    return shares


def read_counts(path: Path, size: int) -> Tensor:
    """The counts [size] of a file, 0 for ids that it does not name. ModelError where it is none."""
    counts = torch.zeros(size, dtype=torch.int64)
    for name, count in read_json(path).items():
        whole = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MOST
        if (
            not (name.isascii() and name.isdigit() and len(name) < 10 and int(name) < size)
            or not whole
        ):
            raise ModelError(
                f"{FILE} must give a whole number for ids below {size}, got {brief(name)}: "
                f"{brief(count)}; count the tokens of a text, or remove the file"
            )
        counts[int(name)] = count
    return counts


def save_counts(folder: Path, tokens: Tensor) -> None:
    """Count tokens [N] and write the file, ids in order."""
    counts = torch.bincount(tokens.long().flatten()).tolist()
    known = {str(i): count for i, count in enumerate(counts) if count}
    (folder / FILE).write_text(json.dumps(known, separators=(",", ":")) + "\n", encoding="utf-8")


def _draws(task: str) -> Callable[[int, int], Tensor] | None:
    return TASKS[task].draw if task in TASKS else None
