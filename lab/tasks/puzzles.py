"""Seeded puzzles without end: sudoku grids of three sizes and sums of two numbers, as token ids.

What is held out follows from a puzzle's own content (a hash of its ids), so nothing that trains
can ever be in it, whatever the seed. Of 6x6 there are 28 million grids but only 49 up to symmetry:
there a held-out grid is new, its orbit is not. 9x9 is held out by orbit too (other base grids).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from lab.tasks.tables import BOARDS, Board

# Random fills that train and that are held out; the symmetries multiply them.
BASES = {False: 600, True: 100}
SHARE = 16  # one puzzle in so many is held out
WIDTH = 8  # digits of a written summand, leading zeros and all


class Layout(NamedTuple):
    """What a model may be told of a sequence before it trains.

    units: for each column its number in every kind of unit; looks: for each head the kind along
    which it first looks, and how many units further.
    """

    units: tuple[tuple[int, ...], ...]
    looks: tuple[tuple[int, int], ...]

    def begun(self) -> Layout:
        """The layout with a start column before it, in units of its own."""
        own = tuple(max(kind) + 1 for kind in zip(*self.units, strict=True))
        return Layout((own, *self.units), self.looks)


class Puzzle(NamedTuple):
    """One kind of fixed-length sequence; token id i is words[i].

    draw(rows, random, held_out) -> ids [rows, length]; given: leading columns that are the
    question, never noised; board: its shape where it has two dimensions.
    """

    words: tuple[str, ...]
    length: int
    given: int
    draw: Callable[[int, torch.Generator, bool], Tensor]
    layout: Layout
    board: Board | None = None


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
    """Random grids [N, side, side]; the held-out ones come from another seed."""
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


def held(ids: Tensor) -> Tensor:
    """Which of ids [N, T] are held out: a hash of the content, one in SHARE."""
    weight = torch.randint(1, 2**31, ids.shape[1:], generator=torch.Generator().manual_seed(5))
    return ((ids + 1) * weight).sum(1) % 1_000_003 % SHARE == 0


def keep(draw: Callable[[int], Tensor], rows: int, held_out: bool, columns: int) -> Tensor:
    """Draw until `rows` puzzles lie on the wanted side of the split by their first columns."""
    parts, found = [], 0
    while found < rows:
        part = draw((rows - found) * (SHARE if held_out else 1) + 16)
        part = part[held(part[:, :columns]) == held_out]
        parts.append(part)
        found += len(part)
    return torch.cat(parts)[:rows]


def sudoku(board: Board, rows: int, chance: torch.Generator, held_out: bool = False) -> Tensor:
    """Draw solved grids [rows, side * side], digits from 0."""
    base = bases(board, held_out)

    def draw(count: int) -> Tensor:
        pick = torch.randint(len(base), (count,), generator=chance)
        return symmetries(base[pick], board, chance).flatten(1)

    return keep(draw, rows, held_out, board.side**2)


def masked(rows: int, length: int, givens: int, chance: torch.Generator) -> Tensor:
    """Which cells [rows, length] a puzzle leaves open, all but `givens` at random.

    With few givens a puzzle may have several solutions: any valid grid then counts.
    """
    return torch.rand(rows, length, generator=chance).argsort(1).argsort(1) >= givens


def places(number: Tensor, width: int) -> Tensor:
    """The digits [N, width] of numbers [N], most significant first."""
    return number[:, None] // 10 ** torch.arange(width - 1, -1, -1) % 10


def chains(first: Tensor, second: Tensor) -> Tensor:
    """Length [N] of the longest carry chain of digits [N, W] + [N, W]; 0 where nothing carries.

    A place that adds up to 10 or more begins a chain; each place left of it that adds up to 9
    hands the carry on and makes it one longer.
    """
    longest = run = torch.zeros(len(first), dtype=torch.int64)
    for both in (first + second).flip(1).unbind(1):
        run = torch.where(both > 9, 1, torch.where((both == 9) & (run > 0), run + 1, 0))
        longest = torch.maximum(longest, run)
    return longest


def summands(
    rows: int, chance: torch.Generator, digits: int | None = None, chain: int | None = None
) -> tuple[Tensor, Tensor]:
    """Digits [rows, WIDTH] twice: both numbers have at most `digits` digits, the chain is forced.

    digits None: any number; chain None: as it comes, a number: a chain of at least that length
    is laid at a random place (what `chains` then finds may be longer, by luck).
    """
    size = torch.full((rows,), digits or 0)
    if digits is None:
        size = torch.randint(1, WIDTH + 1, (rows,), generator=chance)
    place = torch.arange(WIDTH - 1, -1, -1)  # 0 is the last digit
    first = torch.randint(10, (rows, WIDTH), generator=chance)
    second = torch.randint(10, (rows, WIDTH), generator=chance)
    if chain:
        start = (torch.rand(rows, generator=chance) * (size - chain + 1).clamp(min=1)).long()
        after = place - start[:, None]
        more = 10 - first + (torch.rand(rows, WIDTH, generator=chance) * first).long()
        first = torch.where((after == 0) & (first == 0), 9, first)
        second = torch.where(after == 0, more.clamp(1, 9), second)
        second = torch.where((after > 0) & (after < chain), 9 - first, second)
    first = first.masked_fill(place >= size[:, None], 0)
    return first, second.masked_fill(place >= size[:, None], 0)


def addition(
    rows: int,
    chance: torch.Generator,
    held_out: bool = False,
    *,
    digits: int | None = None,
    chain: int | None = None,
) -> Tensor:
    """Draw sums [rows, 3 * WIDTH + 3] as written: 00000123+00000989=000001112.

    Without `digits` and `chain` half of the rows get a chain of random length. With `chain` the
    longest chain is exactly that; `digits` then must be no less.
    """
    power = 10 ** torch.arange(WIDTH - 1, -1, -1)

    def draw(count: int) -> Tensor:
        forced = chain
        if chain is None and digits is None:
            forced = int(torch.randint(1, WIDTH + 1, (1,), generator=chance))
        first, second = summands(count, chance, digits, forced)
        if chain is None and digits is None:
            plain = torch.rand(count, 1, generator=chance) < 0.5
            free = summands(count, chance)
            first, second = first.where(plain, free[0]), second.where(plain, free[1])
        total = (first * power).sum(1) + (second * power).sum(1)
        sign = torch.tensor([[10, 11]]).expand(count, 2)
        ids = torch.cat([first, sign[:, :1], second, sign[:, 1:], places(total, WIDTH + 1)], dim=1)
        return ids if chain is None else ids[chains(first, second) == chain]

    return keep(draw, rows, held_out, 2 * WIDTH + 2)


DIGITS = tuple("0123456789")


def board_layout(board: Board) -> Layout:
    """Three heads look along the row, the column and the box of a cell."""
    units = (tuple(board.units(place).values()) for place in range(board.side**2))
    return Layout(tuple(units), ((0, 0), (1, 0), (2, 0)))


def sum_layout() -> Layout:
    """Digits of one place stand together in both summands and the sum; signs have a place too.

    Places count from the most significant digit, so three heads look at their own place and at
    the two to the right of it, where carries come from.
    """
    summand = range(1, WIDTH + 1)
    columns = [(place, 0) for place in summand] + [(WIDTH + 1, 3)]
    columns += [(place, 1) for place in summand] + [(WIDTH + 1, 4)]
    return Layout(
        tuple(columns + [(place, 2) for place in range(WIDTH + 1)]), ((0, 0), (0, 1), (0, 2))
    )


PUZZLES: dict[str, Puzzle] = {
    name: Puzzle(board.digits, board.side**2, 0, partial(sudoku, board), board_layout(board), board)
    for name, board in BOARDS.items()
} | {"addition": Puzzle((*DIGITS, "+", "="), 3 * WIDTH + 3, 2 * WIDTH + 2, addition, sum_layout())}
