"""Sequences of a task that are drawn once, on every core, and train again and again.

A task draws some hundreds a second on a core, and a GPU trains on thousands.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lab.tasks import TASKS
from lab.tasks.split import generator
from lab.train.corpus import seed_from

PART = 2000  # sequences that a process draws before it takes the next ones


def drawn_once(task: str, count: int, seed: int, folder: Path) -> torch.Tensor:
    """`count` sequences of a task that draws its own data, as ids [count, T] int32.

    They are a function of task, count and seed, and kept in `folder` for the next run.
    """
    path = folder / f"{task}-{count}-{seed}.safetensors"
    if path.exists():
        return load_file(path)["ids"]
    starts = range(0, count, PART)
    sizes = [min(PART, count - start) for start in starts]
    with ProcessPoolExecutor(_cores(), get_context("spawn")) as processes:
        drawn = list(processes.map(partial(_part, task, seed), starts, sizes))
    ids = torch.cat(drawn)
    folder.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    save_file({"ids": ids}, new)
    new.replace(path)
    return ids


def _part(task: str, seed: int, start: int, rows: int) -> torch.Tensor:
    torch.set_num_threads(1)
    draw = TASKS[task].draw
    assert draw is not None
    return draw(rows, seed_from(generator(seed, start, 1, 1))).to(torch.int32)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
