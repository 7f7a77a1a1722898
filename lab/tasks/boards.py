"""Sudoku grids of any size: seeded grids without end, instances by their givens, the checker.

A grid is one in an orbit of symmetries of a random fill. Of 6x6 there are 28 million grids but only
49 up to symmetry: there a held-out grid is new, its orbit is not. 9x9 is held out by orbit too
(other base grids).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from lab.tasks.score import Score
from lab.tasks.split import draw_side, generator
from lab.tasks.task import Board, CardText, Instance, Listing, Structure, Task, template

# Random fills that train and that are held out; the symmetries multiply them.
BASES = {False: 600, True: 100}


def fill(board: Board, chance: random.Random) -> list[int]:
    """Fill one grid at random, the cell with the fewest candidates first; digits from 0."""
    side = board.side
    cells = [-1] * side**2
    used = [[0] * side for _ in range(3)]  # bits of the digits in each row, column, box
    units = [tuple(board.units(place).values()) for place in range(side**2)]

    def free(place: int) -> list[int]:
        taken = 0
        for kind, number in enumerate(units[place]):
            taken |= used[kind][number]
        return [digit for digit in range(side) if not taken >> digit & 1]

    def go() -> bool:
        empty = [(len(free(i)), i) for i, digit in enumerate(cells) if digit < 0]
        if not empty:
            return True
        place = min(empty)[1]
        for digit in chance.sample(free(place), len(free(place))):
            cells[place] = digit
            for kind, number in enumerate(units[place]):
                used[kind][number] ^= 1 << digit
            if go():
                return True
            cells[place] = -1
            for kind, number in enumerate(units[place]):
                used[kind][number] ^= 1 << digit
        return False

    go()
    return cells


@cache
def bases(board: Board, held_out: bool = False) -> Tensor:
    """Random grids [N, side, side]; the held-out ones come from a seed of their own."""
    chance = random.Random(2 * board.side + held_out)
    grids = [fill(board, chance) for _ in range(BASES[held_out])]
    return torch.tensor(grids).view(-1, board.side, board.side)


def shuffled(rows: int, groups: int, size: int, chance: torch.Generator) -> Tensor:
    """Orders [rows, groups * size] that permute the groups, and the members within each."""
    group = torch.rand(rows, groups, generator=chance).argsort(1).repeat_interleave(size, 1)
    return (group + 0.999 * torch.rand(rows, groups * size, generator=chance)).argsort(1)


def symmetries(grids: Tensor, board: Board, chance: torch.Generator) -> Tensor:
    """Another grid of the orbit of each of grids [N, side, side].

    Digits, bands, rows in a band, stacks and columns in a stack change places; where boxes are
    square, half of the grids are transposed.
    """
    count, side = len(grids), board.side
    if board.height == board.width:
        turn = torch.rand(count, 1, 1, generator=chance) < 0.5
        grids = torch.where(turn, grids.transpose(1, 2), grids)
    row = shuffled(count, side // board.height, board.height, chance)
    column = shuffled(count, side // board.width, board.width, chance)
    grids = grids.gather(1, row[:, :, None].expand(-1, -1, side))
    grids = grids.gather(2, column[:, None].expand(-1, side, -1))
    digit = torch.rand(count, side, generator=chance).argsort(1)
    return digit.gather(1, grids.flatten(1)).view_as(grids)


def sudoku(board: Board, rows: int, chance: torch.Generator, held_out: bool = False) -> Tensor:
    """Draw solved grids [rows, side * side], digits from 0."""
    base = bases(board, held_out)

    def draw(count: int) -> Tensor:
        pick = torch.randint(len(base), (count,), generator=chance)
        return symmetries(base[pick], board, chance).flatten(1)

    return draw_side(draw, rows, held_out, board.side**2)


def masked(rows: int, length: int, givens: int, chance: torch.Generator) -> Tensor:
    """Which cells [rows, length] a puzzle leaves open, all but `givens` at random.

    With few givens a puzzle may have several solutions: any valid grid then counts.
    """
    return torch.rand(rows, length, generator=chance).argsort(1).argsort(1) >= givens


def instances(board: Board, case: str, count: int, seed: int) -> list[Instance]:
    """Held-out grids of which so many cells are given; with few, several solutions are right."""
    if not (case.isdecimal() and int(case) < board.side**2):
        raise ValueError(f"givens must be from 0 to {board.side**2 - 1}, got '{case}'")
    chance = generator(seed, int(case))
    grids = sudoku(board, count, chance, True)
    places = masked(count, board.side**2, int(case), chance)
    result = []
    for grid, gone in zip(grids.tolist(), places.tolist(), strict=True):
        words = tuple(board.digits[digit] for digit in grid)
        known = [None if out else word for word, out in zip(words, gone, strict=True)]
        result.append(Instance(template(known), words))
    return result


def case_of(board: Board, words: Sequence[str | None]) -> str | None:
    """How many cells of a whole board are given."""
    return str(sum(map(bool, words))) if len(words) == board.side**2 else None


def check(board: Board, words: Sequence[str], columns: int) -> Score:
    """Value 1 for a whole grid without a clash, else 0 with every cell that clashes."""
    size = board.side**2
    cells = words[:size]
    wrong = {i for i, digit in enumerate(cells) if digit not in board.digits}
    clashes = []
    for unit, number, places in _units(board):
        for digit in board.digits:
            same = [i for i in places if i < len(cells) and cells[i] == digit]
            if len(same) > 1:
                wrong.update(same)
                clashes.append(f"{digit} stands {len(same)} times in {unit} {number + 1}")
    if not wrong and len(cells) == size:
        return Score(1.0, "a valid grid", ())
    if not wrong:
        return Score(0.0, f"not a whole grid: {len(cells)} of {size} cells", ())
    more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
    reason = clashes[0] + more if clashes else "a cell holds no digit"
    return Score(0.0, f"not a grid: {reason}", tuple(sorted(wrong)))


@cache
def _units(board: Board) -> tuple[tuple[str, int, tuple[int, ...]], ...]:
    """Every row, column and box: its kind, its number and its cells."""
    cells = [board.units(place) for place in range(board.side**2)]
    return tuple(
        (kind, number, tuple(i for i, units in enumerate(cells) if units[kind] == number))
        for kind in ("row", "column", *["box"] * (board.height > 1))
        for number in range(board.side)
    )


def task(
    name: str,
    board: Board,
    *,
    title: str,
    summary: str,
    examples: tuple[str, ...],
    models: tuple[str, ...],
    givens: Sequence[int],
    card: CardText,
    exact: Callable[[], Listing] | None = None,
    bounds: Mapping[str, float] | None = None,
) -> Task:
    """The task of grids of this shape; givens: the cases that are measured by default."""
    size = board.side**2
    units = tuple(tuple(board.units(place).values()) for place in range(size))

    def draw(count: int, seed: int) -> Tensor:
        return sudoku(board, count, torch.Generator().manual_seed(seed))

    return Task(
        name=name, title=title, summary=summary, examples=examples, models=models,
        words=board.digits, length=size, board=board, draw=draw, card=card, exact=exact,
        bounds=bounds or {},
        cases={str(number): f"{number} of {size} cells are given" for number in givens},
        instances=partial(instances, board), checker=partial(check, board),
        case_of=partial(case_of, board),
        # Three heads look along the row, the column and the box of a cell.
        structure=Structure(units, ((0, 0), (1, 0), (2, 0))),
    )  # fmt: skip


def card_text(board: Board, orbit: str = "") -> CardText:
    """What the card of a model for such grids says; orbit: a sentence on what is held out."""
    side, square = board.side, board.height == board.width
    boxes = "" if square else f" (boxes of {board.height}x{board.width})"
    return CardText(
        f"sudoku grids of {side}x{side}{boxes}",
        f"Solved grids drawn without end by `lab/tasks/boards.py`: random fills, then symmetries "
        f"(digits, bands, rows, stacks and columns change places{', transposed or not' * square}). "
        f"One grid in 16, chosen by a hash of its content, is held out and never trains. {orbit}",
        f"It fills one whole grid of {side**2} cells, digits only; a solver that searches is "
        "faster and never wrong. A puzzle with few givens may have several solutions.",
        "a stock GPT-2 whose attention mask the caller gives, so that it looks both ways; a cell's "
        "learned position starts as the sum of codes of its row, column and box, and three heads a "
        "layer start as looks along one of them each; the rest starts at random",
    )
