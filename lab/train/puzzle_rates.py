"""`python -m lab.train.puzzle_rates`: how often each sampler solves held-out puzzles exactly.

Boards are asked at several numbers of givens, sums by digits and carry chain. Order and
temperature are told apart: every order runs at temperature 1 and at 0.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import samplers
from lab.models.model import Model, Opened
from lab.models.transformers.checkpoint import load_checkpoint
from lab.tasks import checks
from lab.tasks.puzzles import PUZZLES, WIDTH, Puzzle, addition, masked
from lab.tasks.tables import Board
from lab.train.card import write_section
from lab.train.data import generator
from lab.train.puzzle_ways import Way, ways
from lab.train.report import refusing
from samplers.canvas import Canvas
from samplers.noise import Noise

CASES = {
    "sudoku4": "6,4",
    "sudoku6": "18,12,8,0",
    "sudoku9": "50,40,32,26",
    "addition": "2:0,4:0,8:0,4:2,8:2,8:4,8:6,8:8",
}

NOTE = (
    "Any valid grid that keeps the givens counts. At temperature 0 and without givens an order "
    "that draws nothing writes one and the same grid each time: its rate there is 0 or 100 %."
)


class Rate(NamedTuple):
    """Share of puzzles solved exactly, and calls of the model a puzzle."""

    solved: float
    calls: float


class Counted:
    """A denoiser that counts the rows it was asked for."""

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


def solved(puzzle: Puzzle, ids: Tensor, truth: Tensor) -> Tensor:
    """Which of ids [N, T] are right: on a board any valid grid, elsewhere the truth alone."""
    return (ids == truth).all(1) if puzzle.board is None else valid(puzzle.board, ids)


def valid(board: Board, ids: Tensor) -> Tensor:
    """Which of ids [N, side * side], digits from 0, hold every digit once in every unit."""
    right = torch.ones(len(ids), dtype=torch.bool)
    for kind in ("row", "column", "box"):
        unit = torch.tensor([board.units(place)[kind] for place in range(board.side**2)])
        cells = ids[:, unit.argsort(stable=True)].view(len(ids), board.side, board.side)
        right &= (cells.sort(-1).values == torch.arange(board.side)).all(-1).all(-1)
    return right


def check_case(puzzle: Puzzle, case: str) -> None:
    """Raise ValueError for a case that `asked` could not draw."""
    if puzzle.board is not None:
        if not (case.isdigit() and int(case) < puzzle.length):
            raise ValueError(f"givens must be from 0 to {puzzle.length - 1}, got '{case}'")
    elif not re.fullmatch(r"\d:\d", case) or not 0 <= int(case[2]) <= int(case[0]) <= WIDTH:
        raise ValueError(
            f"digits:chain must be two numbers, chain <= digits <= {WIDTH}, got '{case}'"
        )


def asked(puzzle: Puzzle, case: str, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Held-out puzzles of a case ("32" givens; "8:4" digits and chain): truth and masked
    positions [N, T]."""
    random = generator(seed, *map(int, case.split(":")))
    if puzzle.board is not None:
        truth = puzzle.draw(count, random, True)
        return truth, masked(count, puzzle.length, int(case), random)
    digits, chain = map(int, case.split(":"))
    truth = addition(count, random, True, digits=digits, chain=chain)
    return truth, (torch.arange(puzzle.length) >= puzzle.given).expand_as(truth)


@torch.no_grad()
def answer(
    model: Model, way: Way, truth: Tensor, masked: Tensor, first: int = 0
) -> tuple[Tensor, int]:
    """Fill the masked positions of truth [N, T]; ids [N, T] and the calls of the model, all rows
    together."""
    chosen, settings = samplers.get(way.sampler), dict(way.settings)
    if way.a_call:
        settings["steps"] = -(-int(masked.sum(1).max()) // way.a_call)
    values = chosen.bind(settings)
    block_length, mask_id = values.get("block_length"), model.card.mask_id
    tokens, seen = truth.masked_fill(masked, mask_id), torch.ones_like(masked)
    canvas = Canvas(tokens, masked, seen, mask_id, (), chosen.layout, block_length)
    denoise = Counted(model.open(canvas, block_length))
    noise = Noise(0, range(first, first + len(tokens)))
    for step in chosen(denoise, canvas, noise, **values):
        tokens = step.tokens
    return tokens, denoise.calls


def measure(model: Model, way: Way, puzzle: Puzzle, truth: Tensor, masked: Tensor) -> Rate:
    """Run one way on puzzles truth [N, T] with these masked positions; 100 puzzles side by side."""
    right, calls = 0, 0
    for first in range(0, len(truth), 100):
        rows = slice(first, first + 100)
        tokens, asked_for = answer(model, way, truth[rows], masked[rows], first)
        right += int(solved(puzzle, tokens, truth[rows]).sum())
        calls += asked_for
    return Rate(right / len(truth), calls / len(truth))


def shown(model: Model, task: str, case: str, count: int = 5) -> str:
    """Puzzles as three ways fill them, each with the verdict of lab.tasks.checks; masked
    positions are dots."""
    puzzle, lines = PUZZLES[task], []
    truth, masked = asked(puzzle, case, count, seed=1)
    told = ("random order, temperature 1", "largest probability, temperature 0",
            "LLaDA, 4 a call, temperature 0")  # fmt: skip
    every = ways(puzzle.length, model.card.attention)
    for way in [way for way in every if way.told in told] or every:
        lines += [f"{way.told[0].upper()}{way.told[1:]}:", "", "```"]
        for ids, hidden in zip(answer(model, way, truth, masked)[0], masked, strict=True):
            words = [puzzle.words[i] for i in ids.tolist()]
            width = puzzle.board.side if puzzle.board else puzzle.length
            told_of = checks.check(task, words)
            for marks in (["." if h else w for w, h in zip(words, hidden, strict=True)], words):
                cut = range(0, puzzle.length, width)
                lines.append(" ".join("".join(marks[i : i + width]) for i in cut))
            lines.append(f"  {told_of.message}")
        lines += ["```", ""]
    return "\n".join(lines)


def table(
    model: Model, task: str, cases: list[str], count: int, only: tuple[str, ...] = ("",)
) -> Iterator[str]:
    """The lines of a markdown table, one a way, as soon as each is measured.

    only: the ways whose name holds one of these.
    """
    puzzle = PUZZLES[task]
    questions = [asked(puzzle, case, count) for case in cases]
    kind = "digits:chain" if puzzle.board is None else "givens"
    yield f"| {kind} | {' | '.join(cases)} | calls |"
    yield "|---" * (len(cases) + 2) + "|"
    for way in ways(puzzle.length, model.card.attention):
        if not any(part in way.told for part in only):
            continue
        rates = [measure(model, way, puzzle, *question) for question in questions]
        cells = " | ".join(f"{rate.solved:.1%}" for rate in rates)
        calls = f"{rates[0].calls:.0f}" if len({round(r.calls) for r in rates}) == 1 else (
            f"{min(r.calls for r in rates):.0f} to {max(r.calls for r in rates):.0f}"
        )  # fmt: skip
        yield f"| {way.told} | {cells} | {calls} |"


@refusing
def main(argv: list[str]) -> int:
    """Measure one model; return the exit status."""
    options = argparse.ArgumentParser(prog="python -m lab.train.puzzle_rates", description=__doc__)
    options.add_argument(
        "network", type=Path, help="a model that `python -m lab train` wrote on puzzles"
    )
    options.add_argument("--cases", help="numbers of givens, or digits:chain, parted by commas")
    options.add_argument("--puzzles", type=int, default=1000, help="held-out puzzles a case")
    options.add_argument("--only", help="ways whose name holds one of these, parted by ;")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--card", action="store_true", help="write the table into NET/README.md")
    arguments = options.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    model = load_checkpoint(arguments.network)
    task = model.card.task
    if task not in PUZZLES:
        raise ValueError(f"a model must be of {', '.join(PUZZLES)}, got one of {task!r}")
    cases = arguments.cases or CASES[task]
    for case in cases.split(","):
        check_case(PUZZLES[task], case)
    lines = []
    only = tuple((arguments.only or "").split(";"))
    for line in table(model, task, cases.split(","), arguments.puzzles, only):
        lines.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    if arguments.card:
        command = f"python -m lab.train.puzzle_rates assets/{task}/{arguments.network.name}"
        command += f" --cases {cases} --puzzles {arguments.puzzles}"
        command += f' --only "{arguments.only}"' if arguments.only else ""
        told = f"Solved exactly, of {arguments.puzzles} held-out puzzles a column; printed by "
        text = f"{told}`{command}`:\n\n" + "\n".join(lines)
        text += f"\n\n{NOTE}" if PUZZLES[task].board else ""
        write_section(arguments.network / "README.md", "held-out", text)
        middle = cases.split(",")[len(cases.split(",")) // 2]
        told = f"Held-out puzzles ({'givens' if PUZZLES[task].board else 'digits:chain'} "
        text = f"{told}{middle}), each above its filling:\n\n{shown(model, task, middle)}"
        write_section(arguments.network / "README.md", "samples", text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
