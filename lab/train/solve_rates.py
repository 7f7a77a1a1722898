"""Solve rates: how often each sampler solves held-out instances of a task exactly.

`python -m lab evaluate MODEL` measures them where the model's task has instances and a checker, at
several of its cases (givens of a board, digits and carry chain of a sum). Every order runs at
temperature 1 and at 0, so that the two effects stand apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import samplers
from lab.models.model import Model, Opened
from lab.models.transformers.checkpoint import load_checkpoint
from lab.tasks import TASKS
from lab.tasks.task import Instance, Task
from lab.train.card_file import write_section
from lab.train.exit_status import exit_status
from lab.train.solve_settings import SamplerSetting, settings
from samplers.canvas import Canvas
from samplers.noise import Noise

NOTE = (
    "Any valid grid that keeps the givens counts. At temperature 0 and without givens an order "
    "that draws nothing writes one and the same grid each time: its rate there is 0 or 100 %."
)
BATCH = 100  # instances that run side by side
EXAMPLES = (
    "random order, temperature 1",
    "largest probability, temperature 0",
    "LLaDA, 4 a call, temperature 0",
)


class Rate(NamedTuple):
    """Share of instances solved exactly, and calls of the model an instance."""

    solved: float
    calls: float


class CallCounter:
    """A denoiser that counts the rows that it answers for."""

    def __init__(self, denoise: Opened) -> None:
        self.denoise, self.card, self.calls = denoise, denoise.card, 0

    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        self.calls += len(tokens) if rows is None else int(rows.sum())
        return self.denoise(tokens, window=window, t=t, rows=rows, guidance=guidance)

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """What the model's draft model says, not counted."""
        return self.denoise.draft(tokens, window=window, rows=rows)


def is_measured(task: Task | None) -> bool:
    """Whether a model of this task is measured by what it solves."""
    return task is not None and None not in (task.instances, task.words, task.length)


def encode(task: Task, instances: list[Instance]) -> tuple[Tensor, Tensor]:
    """Ids of one solution of each instance and its masked positions, both [N, T]."""
    number = {word: i for i, word in enumerate(task.words or ())}
    ids = [[number[word] for word in instance.solution or ()] for instance in instances]
    masked = [[word is None for word in task.known(instance.text)] for instance in instances]
    return torch.tensor(ids), torch.tensor(masked)


@torch.no_grad()
def fill(
    model: Model, setting: SamplerSetting, truth: Tensor, masked: Tensor, first: int = 0
) -> tuple[Tensor, int]:
    """Fill the masked positions of truth [N, T]; ids [N, T] and the calls of all rows together.

    first: the number of the first row, which its noise follows from.
    """
    sampler, values = samplers.get(setting.sampler), dict(setting.values)
    if setting.per_call:
        values["steps"] = -(-int(masked.sum(1).max()) // setting.per_call)
    values = sampler.bind(values)
    block_length, mask_id = values.get("block_length"), model.card.mask_id
    assert mask_id is not None
    tokens, visible = truth.masked_fill(masked, mask_id), torch.ones_like(masked)
    canvas = Canvas(tokens, masked, visible, mask_id, (), sampler.layout, block_length)
    denoise = CallCounter(model.open(canvas, block_length))
    noise = Noise(0, range(first, first + len(tokens)))
    for step in sampler(denoise, canvas, noise, **values):
        tokens = step.tokens
    return tokens, denoise.calls


def words_of(task: Task, ids: Tensor) -> list[str]:
    """The words of one row of ids; the id after the last word is the mask."""
    return [(*(task.words or ()), "<mask>")[i] for i in ids.tolist()]


def measure(model: Model, setting: SamplerSetting, task: Task, instances: list[Instance]) -> Rate:
    """Run one setting on instances of the task."""
    solved, calls = 0, 0
    for first in range(0, len(instances), BATCH):
        batch = instances[first : first + BATCH]
        rows, row_calls = fill(model, setting, *encode(task, batch), first)
        calls += row_calls
        for ids, instance in zip(rows, batch, strict=True):
            solved += task.score(words_of(task, ids), instance).value == 1
    return Rate(solved / len(instances), calls / len(instances))


def examples(model: Model, task: Task, case: str, count: int = 5) -> str:
    """Instances as a few settings fill them, each with its verdict; masked positions are dots."""
    assert task.instances is not None and task.length is not None
    instances, lines = task.instances(case, count, 1), []
    every = settings(task.length, model.card.attention)
    width = task.board.side if task.board else task.length
    for setting in [one for one in every if one.name in EXAMPLES] or every:
        lines += [f"{setting.name[0].upper()}{setting.name[1:]}:", "", "```"]
        for ids, instance in zip(
            fill(model, setting, *encode(task, instances))[0], instances, strict=True
        ):
            words = words_of(task, ids)
            for line in ([word or "." for word in task.known(instance.text)], words):
                cut = range(0, task.length, width)
                lines.append(" ".join("".join(line[i : i + width]) for i in cut))
            lines.append(f"  {task.score(words, instance).message}")
        lines += ["```", ""]
    return "\n".join(lines)


def kind_of_case(task: Task) -> str:
    """What the cases of a task count."""
    return "givens" if task.board else "digits:chain" if task.question else "case"


def table(
    model: Model, task: Task, cases: list[str], count: int, only: tuple[str, ...] = ("",)
) -> Iterator[str]:
    """The lines of a markdown table, one a setting, as soon as each is measured.

    only: the settings whose name holds one of these.
    """
    assert task.instances is not None and task.length is not None
    instances = [task.instances(case, count, 0) for case in cases]
    yield f"| {kind_of_case(task)} | {' | '.join(cases)} | calls |"
    yield "|---" * (len(cases) + 2) + "|"
    for setting in settings(task.length, model.card.attention):
        if not any(part in setting.name for part in only):
            continue
        rates = [measure(model, setting, task, each) for each in instances]
        cells = " | ".join(f"{rate.solved:.1%}" for rate in rates)
        calls = f"{rates[0].calls:.0f}" if len({round(r.calls) for r in rates}) == 1 else (
            f"{min(r.calls for r in rates):.0f} to {max(r.calls for r in rates):.0f}"
        )  # fmt: skip
        yield f"| {setting.name} | {cells} | {calls} |"


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    add = options.add_argument
    add("model", type=Path, help="a folder that `python -m lab train --task` wrote")
    add("--cases", help="cases of the task, separated by commas (default: those its file lists)")
    add("--instances", type=int, default=1000, help="held-out instances a case")
    add("--only", help="the settings whose name holds one of these, separated by ;")
    add("--threads", type=int, default=1, help="torch threads")
    add("--card", action="store_true", help="write the table and examples into MODEL/README.md")
    return options


@exit_status
def main(argv: list[str]) -> int:
    """Measure one model; return the exit status."""
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    model = load_checkpoint(options.model)
    task = TASKS.get(model.card.task)
    if task is None or not is_measured(task):
        known = ", ".join(name for name, one in TASKS.items() if is_measured(one))
        raise ValueError(f"a model must be of {known}, got one of {model.card.task!r}")
    cases = options.cases.split(",") if options.cases else list(task.cases)
    lines = []
    for line in table(
        model, task, cases, options.instances, tuple((options.only or "").split(";"))
    ):
        lines.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    if options.card:
        _write(options, model, task, cases, "\n".join(lines))
    return 0


def _write(
    options: argparse.Namespace, model: Model, task: Task, cases: list[str], lines: str
) -> None:
    """Write the table and some examples into the model's card."""
    command = f"python -m lab evaluate assets/{task.name}/{options.model.name}"
    command += f" --cases {','.join(cases)} --instances {options.instances}"
    command += f' --only "{options.only}"' if options.only else ""
    text = f"Solved exactly, of {options.instances} held-out instances a column; printed by "
    text += f"`{command}`:\n\n{lines}" + (f"\n\n{NOTE}" if task.board else "")
    write_section(options.model / "README.md", "held-out", text)
    middle = cases[len(cases) // 2]
    text = f"Held-out instances ({kind_of_case(task)} {middle}), each above its filling:\n\n"
    write_section(options.model / "README.md", "samples", text + examples(model, task, middle))
