"""Latin squares of side 4: sudoku without boxes, 576 squares, every posterior known exactly."""

import math
from functools import cache
from itertools import permutations

from lab.tasks import boards
from lab.tasks.task import Board, Listing

BOARD = Board(4, 1, 4)  # a box is a row: nothing but rows and columns binds
COUNT = 576


@cache
def squares() -> tuple[tuple[str, ...], ...]:
    """Every square, row by row: every row and column holds 1, 2, 3 and 4 once."""
    lines = list(permutations(BOARD.digits))
    every: list[tuple[tuple[str, ...], ...]] = [()]
    for _ in range(4):
        every = [
            (*square, line)
            for square in every
            for line in lines
            if not any(a == b for above in square for a, b in zip(above, line, strict=True))
        ]
    return tuple(tuple(digit for line in square for digit in line) for square in every)


TASK = boards.task(
    "latin4",
    BOARD,
    title="Latin square 4x4",
    summary="All 576 squares of 4x4 in which no row and no column repeats a digit, whose exact "
    "posterior is the model. Many answers are right, and cells that are committed together do not "
    "know of each other: the worst case of parallel decoding.",
    examples=("[MASK]*16", "1 2 3 4[MASK]*12", "1[MASK]*4 2[MASK]*4 3[MASK]*4 4"),
    models=("latin4", "latin4-hybrid", "latin4-uniform", "latin4-causal"),
    givens=(0, 4),
    card=boards.card_text(BOARD),
    exact=lambda: Listing(squares()),
    # Each cell alone is uniform over 4 digits; together they are uniform over 576 squares.
    bounds={"0": 16 * math.log(4) - math.log(COUNT)},
)
