"""Sudoku grids of 9x9, filled by small trained models."""

from lab.tasks import boards
from lab.tasks.task import Board

BOARD = Board(9, 3, 3)
TASK = boards.task(
    "sudoku9",
    BOARD,
    title="Sudoku 9x9",
    summary="Grids of 9x9, filled by a small trained model. The same model solves nearly every "
    "puzzle in order of confidence, and far fewer in random order.",
    # Held-out puzzles of which 40 and 30 of 81 cells are given; then a grid from nothing.
    examples=(
        "9[MASK] 5[MASK] 2[MASK]*4 6[MASK]*5 9 2 3 2 8[MASK]*2 7 9 6[MASK] 5 4 2 3[MASK] 9[MASK]*3 "
        "7 8[MASK] 6[MASK]*3 2[MASK]*2 7[MASK] 9[MASK]*6 5[MASK] 8 9 1 3[MASK]*4 7 2 5[MASK] 4 8 9"
        "[MASK] 1[MASK]*2 2 8[MASK] 3 5 6",
        "[MASK] 2[MASK]*2 4[MASK]*2 1 9[MASK]*6 6 2 4 6 1 4[MASK]*3 3[MASK]*4 1[MASK]*5 3 2[MASK]*4"
        " 3[MASK]*2 6 8[MASK]*4 5 2[MASK]*3 3[MASK]*2 8[MASK]*2 9[MASK]*2 5[MASK] 3[MASK] 7 4 6"
        "[MASK]*4 5[MASK]*2 8[MASK] 1",
        "[MASK]*81",
    ),
    models=("sudoku9-mdlm", "sudoku9-ar"),
    givens=(50, 40, 32, 26),
    card=boards.card_text(
        BOARD,
        "Held-out grids also come from base grids of their own, so their orbit is new as well.",
    ),
)
