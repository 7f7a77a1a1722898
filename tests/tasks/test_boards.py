"""Sudoku grids: drawn right, held out for good, judged right."""

from itertools import product

import pytest
import torch

from lab.tasks import TASKS, boards, sudoku4
from lab.tasks.split import generator, held_out
from lab.tasks.task import Board

BOARDS = {name: task.board for name, task in TASKS.items() if task.board}


@pytest.fixture(autouse=True, scope="module")
def few_bases():
    """Fewer random fills than training takes: what is asserted holds for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boards, "BASES", {False: 20, True: 5})
        boards.bases.cache_clear()
        yield
    boards.bases.cache_clear()


def words(board: Board, row: torch.Tensor) -> list[str]:
    """The digits of one grid of ids."""
    return [board.digits[i] for i in row.tolist()]


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("held", [False, True])
def test_grids_are_valid_and_on_their_side_of_split(name: str, held: bool):
    board = BOARDS[name]
    rows = boards.sudoku(board, 60, generator(1), held)
    assert rows.shape == (60, board.side**2)
    assert all(boards.check(board, words(board, row), 81).value == 1 for row in rows)
    assert bool((held_out(rows) == held).all())
    assert torch.equal(rows, boards.sudoku(board, 60, generator(1), held))
    assert not torch.equal(rows, boards.sudoku(board, 60, generator(2), held))


@pytest.mark.parametrize("name", ["sudoku6", "sudoku9"])
def test_grids_are_distinct_and_base_grids_disjoint(name: str):
    board = BOARDS[name]
    rows = boards.sudoku(board, 500, generator(3))
    assert len({tuple(row) for row in rows.tolist()}) > 495
    mine = {tuple(grid) for grid in boards.bases(board).flatten(1).tolist()}
    assert not mine & {tuple(grid) for grid in boards.bases(board, True).flatten(1).tolist()}


def test_symmetries_reach_every_grid_of_4x4():
    board = BOARDS["sudoku4"]
    reached = {
        "".join(words(board, row))
        for held in (False, True)
        for row in boards.sudoku(board, 4000, generator(4), held)
    }
    assert reached == {"".join(grid) for grid in sudoku4.grids()}


def test_sudoku4_lists_every_grid_once():
    """288 of the 4^16: counted again by filling cell after cell without a clash."""
    grids = [""]
    units = sudoku4.BOARD.units
    for place in range(16):
        mine = units(place)
        near = [p for p in range(place) if any(units(p)[u] == mine[u] for u in mine)]
        grids = [g + d for g, d in product(grids, "1234") if all(g[p] != d for p in near)]
    assert len(grids) == 288
    assert sorted(map("".join, sudoku4.grids())) == sorted(grids)


def test_puzzles_have_number_of_givens():
    open_cells = boards.masked(50, 81, 30, generator(5))
    assert (~open_cells).sum(1).tolist() == [30] * 50
    assert len({tuple(row) for row in open_cells.tolist()}) == 50
    for instance in TASKS["sudoku6"].instances("12", 20, 0):
        assert sum(word is not None for word in TASKS["sudoku6"].known(instance.text)) == 12


@pytest.mark.parametrize("case", ["16", "-1", "x", ""])
def test_givens_beyond_board_are_refused(case: str):
    with pytest.raises(ValueError, match=f"givens must be from 0 to 15, got '{case}'"):
        TASKS["sudoku4"].instances(case, 1, 0)


@pytest.mark.parametrize("name", BOARDS)
def test_wrong_digit_is_marked_with_those_it_clashes_with(name: str):
    board = BOARDS[name]
    row = boards.sudoku(board, 1, generator(12))[0]
    row[0] = (row[0] + 1) % board.side
    score = TASKS[name].score(words(board, row))
    near = [
        place
        for place in range(1, board.side**2)
        if row[place] == row[0]
        and any(board.units(place)[kind] == number for kind, number in board.units(0).items())
    ]
    assert score.value == 0 and score.wrong == (0, *near) and 2 <= len(near) <= 3


@pytest.mark.parametrize(
    ("grid", "wrong", "message"),
    [
        ("1234341221434311", (6, 14, 15), "1 stands 2 times in row 4 (and 2 more)"),
        ("123434122143432", (), "not a whole grid: 15 of 16 cells"),
        ("12343412214343.1", (14,), "a cell holds no digit"),
    ],
)
def test_what_makes_grid_impossible(grid, wrong, message):
    score = TASKS["sudoku4"].score(list(grid))
    assert score.value == 0 and score.wrong == wrong and message in score.message
