"""`python -m lab evaluate` of a model whose task has right answers: how often each sampler solves.

A study (lab.study) of the model in its folder: every sampler that fits, at the atlas's settings, on
held-out instances of each case of the task.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import samplers
from lab.models.card import read_card
from lab.models.load import load
from lab.record.trajectory import Trajectory
from lab.run.recorder import run
from lab.study.atlas import ladder
from lab.study.solve_table import NOTE, solve_table
from lab.study.study import study
from lab.tasks import TASKS
from lab.tasks.task import Task
from lab.train.card_file import write_section
from lab.train.exit_status import exit_status

# What the card's samples are written with: in random order, in order of confidence, many at once.
EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("first_hitting", {}),
    ("max_prob", {"temperature": 0.0}),
    ("max_prob", {"temperature": 0.0, "steps": 12}),
    ("autoregressive", {"temperature": 0.0}),
)


def is_measured(task: Task | None) -> bool:
    """Whether a model of this task is measured by what it solves."""
    return task is not None and None not in (task.instances, task.words, task.length)


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    add = options.add_argument
    add("model", type=Path, help="a folder that `python -m lab train --task` wrote")
    add("--cases", help="cases of the task, separated by commas (default: all)")
    add("--samplers", help="their names, separated by commas (default: all that fit)")
    add("--instances", type=int, default=200, help="held-out instances a case (default 200)")
    add("--out", type=Path, help="keep the rows in this folder, and resume from it")
    add("--threads", type=int, default=1, help="torch threads")
    add("--card", action="store_true", help="write the table and examples into MODEL/README.md")
    return options


@exit_status
def main(argv: list[str]) -> int:
    """Measure one model; return the exit status."""
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    task = TASKS.get(read_card(options.model).task)
    if task is None or not is_measured(task):
        known = ", ".join(name for name, one in TASKS.items() if is_measured(one))
        raise ValueError(
            f"a model must be of {known}, got one of {read_card(options.model).task!r}"
        )
    text = _measure(options, task)
    sys.stdout.write(text + "\n")
    if options.card:
        about = f"Solved exactly, of {options.instances} held-out instances a case; printed by "
        about += f"`{_command(options)}`. {NOTE}\n\n{text}"
        write_section(options.model / "README.md", "held-out", about)
        case = (options.cases or ",".join(task.cases)).split(",")[-1]
        write_section(options.model / "README.md", "samples", examples(options.model, task, case))
    return 0


def _measure(options: argparse.Namespace, task: Task) -> str:
    card = read_card(options.model)
    fitting = [one for one in samplers.SAMPLERS.values() if one.misfit(card) is None]
    names = options.samplers.split(",") if options.samplers else [one.name for one in fitting]
    spec: dict[str, Any] = {
        "name": f"evaluate-{options.model.name}", "task": task.name,
        "instances": options.instances, "models": [str(options.model)],
        "samplers": {name: ladder(samplers.get(name)) for name in names},
    }  # fmt: skip
    if options.cases:
        spec["cases"] = options.cases.split(",")
    return solve_table(study(spec, options.out).points)


def _command(options: argparse.Namespace) -> str:
    parts = ["python -m lab evaluate", f"path/to/{options.model.name}"]
    parts += [f"--instances {options.instances}"]
    parts += [f"--{name} {value}" for name in ("cases", "samplers")
              if (value := getattr(options, name))]  # fmt: skip
    return " ".join(parts)


def examples(
    folder: Path,
    task: Task,
    case: str,
    count: int = 5,
    settings: Sequence[tuple[str, dict[str, Any]]] = EXAMPLES,
) -> str:
    """Instances as a few settings fill them, each with its verdict; masked positions are dots."""
    assert task.instances is not None
    model, instances = load(str(folder)), task.instances(case, count, 1)
    lines = [f"Held-out instances ({case}: {task.cases[case]}), each above its filling:", ""]
    for name, values in settings:
        if samplers.get(name).misfit(model.card):
            continue
        runs = run(name, model, template=[each.text for each in instances], **values)
        label = ", ".join(f"{key}={value:g}" for key, value in values.items()) or "defaults"
        lines += [f"`{name}` ({label}):", "", "```"]
        for instance, one in zip(instances, runs, strict=True):
            words = _words(one)
            clues = [word or "." for word in task.known(instance.text)]
            lines += [_in_lines(task, clues), _in_lines(task, words)]
            lines.append(f"  {task.score(words, instance).message}")
        lines += ["```", ""]
    return "\n".join(lines)


def _words(one: Trajectory) -> list[str]:
    return [one.piece(i).strip() for i in one.tokens[-1].tolist()]


def _in_lines(task: Task, words: list[str]) -> str:
    width = task.board.side if task.board else len(words)
    return " ".join("".join(words[i : i + width]) for i in range(0, len(words), width))
