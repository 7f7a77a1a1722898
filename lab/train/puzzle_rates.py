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
from typing import Any, NamedTuple

import torch
from torch import Tensor

import samplers
from lab.adapters.checkpoint import load_checkpoint
from lab.adapters.model import Model, Opened
from lab.tables import Board
from lab.train.card import write_section
from lab.train.data import generator
from lab.train.puzzles import PUZZLES, WIDTH, Puzzle, addition, holes
from samplers.core import Canvas, Noise

CASES = {
    "sudoku4": "6,4",
    "sudoku6": "18,12,8,0",
    "sudoku9": "50,40,32,26",
    "addition": "2:0,4:0,8:0,4:2,8:2,8:4,8:6,8:8",
}


class Way(NamedTuple):
    """One line of the table: a sampler with settings; `a_call` holes a call where it counts steps.

    a_call None: the settings say all.
    """

    told: str
    sampler: str
    settings: dict[str, Any]
    a_call: int | None = None


class Rate(NamedTuple):
    """Share of puzzles solved exactly, and calls of the model a puzzle."""

    solved: float
    calls: float


def ways(length: int) -> list[Way]:
    """Every order at temperature 1 and 0, then the samplers that fill several holes a call."""
    orders = {
        "random order": ("first_hitting", {}),
        "left to right": ("autoregressive", {}),
        "largest margin": ("margin", {}),
        "largest probability": ("max_prob", {}),
        "least entropy": ("entropy_bound", {"gamma": 0.0}),
    }
    found = [
        Way(f"{told}, temperature {warm}", name, {**settings, "temperature": float(warm)})
        for told, (name, settings) in orders.items()
        for warm in (1, 0)
    ]
    found += [
        Way(f"MDLM, {steps} steps, temperature 1", "mdlm", {"steps": steps})
        for steps in (8, 32, 128)
    ]
    whole = {"block_length": length}
    for many in (2, 4):
        found += [
            Way(f"random order, {many} a call, temperature 0", "llada",
                {**whole, "remasking": "random"}, many),
            Way(f"LLaDA, {many} a call, temperature 0", "llada", whole, many),
            Way(f"largest margin, {many} a call, temperature 0", "margin",
                {"temperature": 0.0}, many),
        ]  # fmt: skip
    return [
        *found,
        Way("threshold 0.9, temperature 0", "threshold", whole),
        Way("entropy bound 0.1, temperature 0", "entropy_bound", {"temperature": 0.0}),
    ]


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
    """Held-out puzzles of a case ("32" givens; "8:4" digits and chain): truth and holes [N, T]."""
    random = generator(seed, *map(int, case.split(":")))
    if puzzle.board is not None:
        truth = puzzle.draw(count, random, True)
        return truth, holes(count, puzzle.length, int(case), random)
    digits, chain = map(int, case.split(":"))
    truth = addition(count, random, True, digits=digits, chain=chain)
    return truth, (torch.arange(puzzle.length) >= puzzle.given).expand_as(truth)


@torch.no_grad()
def measure(model: Model, way: Way, puzzle: Puzzle, truth: Tensor, hole: Tensor) -> Rate:
    """Run one way on puzzles truth [N, T] with these holes; 100 puzzles side by side."""
    right, calls, chosen = 0, 0, samplers.get(way.sampler)
    for first in range(0, len(truth), 100):
        rows = slice(first, first + 100)
        tokens = truth[rows].masked_fill(hole[rows], model.card.mask_id)
        settings = dict(way.settings)
        if way.a_call:
            settings["steps"] = -(-int(hole[rows].sum(1).max()) // way.a_call)
        values = chosen.bind(settings)
        canvas = Canvas(
            tokens, hole[rows], torch.ones_like(hole[rows]), model.card.mask_id, (), chosen.layout,
            values.get("block_length"),
        )  # fmt: skip
        denoise = Counted(model.open(canvas, values.get("block_length")))
        numbers = range(first, first + len(tokens))
        for step in chosen(denoise, canvas, Noise(0, numbers), **values):
            tokens = step.tokens
        right += int(solved(puzzle, tokens, truth[rows]).sum())
        calls += denoise.calls
    return Rate(right / len(truth), calls / len(truth))


def table(model: Model, suite: str, cases: list[str], count: int) -> Iterator[str]:
    """The lines of a markdown table, one a way, as soon as each is measured."""
    puzzle = PUZZLES[suite]
    questions = [asked(puzzle, case, count) for case in cases]
    kind = "digits:chain" if puzzle.board is None else "givens"
    yield f"| {kind} | {' | '.join(cases)} | calls |"
    yield "|---" * (len(cases) + 2) + "|"
    for way in ways(puzzle.length):
        if samplers.get(way.sampler).misfit(model.card):
            continue
        rates = [measure(model, way, puzzle, *question) for question in questions]
        shown = " | ".join(f"{rate.solved:.1%}" for rate in rates)
        calls = f"{rates[0].calls:.0f}" if len({round(r.calls) for r in rates}) == 1 else (
            f"{min(r.calls for r in rates):.0f} to {max(r.calls for r in rates):.0f}"
        )  # fmt: skip
        yield f"| {way.told} | {shown} | {calls} |"


def main(argv: list[str]) -> int:
    """Measure one net; return the exit status."""
    options = argparse.ArgumentParser(prog="python -m lab.train.puzzle_rates", description=__doc__)
    options.add_argument("net", type=Path, help="a net that `python -m lab train` wrote on puzzles")
    options.add_argument("--cases", help="numbers of givens, or digits:chain, parted by commas")
    options.add_argument("--puzzles", type=int, default=1000, help="held-out puzzles a case")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--card", action="store_true", help="write the table into NET/README.md")
    arguments = options.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        model = load_checkpoint(arguments.net)
        suite = model.card.suite
        if suite not in PUZZLES:
            raise ValueError(f"a net must be of {', '.join(PUZZLES)}, got one of {suite!r}")
        cases = arguments.cases or CASES[suite]
        for case in cases.split(","):
            check_case(PUZZLES[suite], case)
        lines = []
        for line in table(model, suite, cases.split(","), arguments.puzzles):
            lines.append(line)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        if arguments.card:
            command = f"python -m lab.train.puzzle_rates assets/{suite}/{arguments.net.name}"
            command += f" --cases {cases} --puzzles {arguments.puzzles}"
            told = f"Solved exactly, of {arguments.puzzles} held-out puzzles a column; printed by "
            write_section(
                arguments.net / "README.md",
                "held-out",
                f"{told}`{command}`:\n\n" + "\n".join(lines),
            )
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
