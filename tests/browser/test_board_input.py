"""A puzzle is typed into its board, and the board follows the text."""

import pytest
from playwright.sync_api import expect


@pytest.fixture
def board(visit):
    """The page on sudoku4, its board empty."""
    site = visit(task="sudoku4", reduced_motion="reduce")
    site.text.fill("[MASK]*16")
    expect(cell(site, 1, 1)).to_have_value("")
    return site


def cell(site, row: int, column: int):
    return site.page.get_by_label(f"row {row}, column {column}", exact=True)


def test_digits_that_are_typed_stand_in_text_and_run(board):
    site = board
    cell(site, 1, 2).press_sequentially("3")
    cell(site, 2, 1).press_sequentially("9x4")
    expect(site.text).to_have_value("[MASK] 3[MASK]*2 4[MASK]*11")
    site.run()
    expect(site.panel(1).locator(".prompt")).to_have_text(["3", "4"])
    cell(site, 1, 2).fill("")
    expect(site.text).to_have_value("[MASK]*4 4[MASK]*11")


def test_board_follows_text_and_goes_where_it_is_none(board):
    site = board
    site.text.fill("1 2 3 4[MASK]*12")
    for column in (1, 2, 3, 4):
        expect(cell(site, 1, column)).to_have_value(str(column))
    site.text.fill("1 2 3 4[MASK]*11")
    expect(site.page.locator(".lab-board")).to_be_hidden()
    site.text.fill("4[MASK]*15")
    expect(cell(site, 1, 1)).to_have_value("4")
    site.task("capitals")
    expect(site.page.locator(".lab-board")).to_be_hidden()


def test_arrows_walk_cells(board):
    site = board
    cell(site, 1, 1).focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        site.page.keyboard.press(key)
    expect(cell(site, 2, 1)).to_be_focused()
    site.page.keyboard.press("2")
    expect(site.text).to_have_value("[MASK]*4 2[MASK]*11")


def test_cells_are_of_one_size_and_boxes_have_edges(board):
    cells = board.page.locator(".lab-board .cells input")
    sizes = cells.evaluate_all("all => all.flatMap(e => [e.offsetWidth, e.offsetHeight])")
    assert max(sizes) - min(sizes) <= 1, sizes
    edge = "parseInt(getComputedStyle(e).borderRightWidth)"
    edges = cells.evaluate_all(f"all => all.map(e => {edge})")
    assert edges == 4 * [1, 2, 1, 1]
