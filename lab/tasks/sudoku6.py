"""Sudoku grids of 6x6 with boxes of 2x3, filled by small trained models."""

from lab.tasks import boards
from lab.tasks.task import Board

BOARD = Board(6, 2, 3)
TASK = boards.task(
    "sudoku6",
    BOARD,
    title="Sudoku 6x6",
    summary="Grids of 6x6 with boxes of 2x3, filled by a small trained model. The order in which "
    "cells are committed decides how many puzzles come out right.",
    # A held-out puzzle of which 12 of 36 cells are given; then a grid from nothing.
    examples=(
        "4 6[MASK] 1[MASK]*9 4 5[MASK]*5 6[MASK] 2[MASK] 6[MASK]*2 2 4 3[MASK]*2 4[MASK]*3",
        "[MASK]*36",
    ),
    models=("sudoku6-mdlm", "sudoku6-ar"),
    givens=(18, 12, 8, 0),
    card=boards.card_text(
        BOARD,
        "There are only 49 such grids up to symmetry, so a held-out grid is new, its orbit is not.",
    ),
)
