"""All 288 sudoku grids of 4x4: few enough to enumerate, so every posterior is known exactly."""

from functools import cache
from itertools import permutations

from lab.tasks import boards
from lab.tasks.task import Board, Listing

BOARD = Board(4, 2, 2)
Grid = tuple[tuple[str, ...], ...]


@cache
def grids() -> Grid:
    """Every grid, row by row: every row, column and 2x2 box holds 1, 2, 3 and 4 once."""
    lines = list(permutations(BOARD.digits))
    every: list[Grid] = [()]
    for _ in range(4):
        every = [(*grid, line) for grid in every for line in lines if _fits(grid, line)]
    return tuple(tuple(digit for line in grid for digit in line) for grid in every)


def _fits(grid: Grid, line: tuple[str, ...]) -> bool:
    if any(above[i] == line[i] for above in grid for i in range(4)):
        return False
    pair = grid[-1] if len(grid) % 2 else None  # the other half of this line's two boxes
    return pair is None or len({*pair[:2], *line[:2]}) == len({*pair[2:], *line[2:]}) == 4


TASK = boards.task(
    "sudoku4",
    BOARD,
    title="Sudoku 4x4",
    summary="All 288 grids of 4x4, whose exact posterior is the model. A wrong grid is the "
    "sampler's doing alone: cells that were committed together without knowing of each other.",
    examples=("[MASK]*16", "1[MASK]*4 4[MASK]*4 4[MASK]*4 1", "1 2 3 4[MASK]*12"),
    models=("sudoku4", "sudoku4-hybrid", "sudoku4-uniform", "sudoku4-causal"),
    givens=(6, 4),
    card=boards.card_text(BOARD),
    exact=lambda: Listing(grids()),
)
