"""The two shipped lists of sequences, as plain text: true sentences on capitals, 4x4 sudoku grids.

No torch here: the models (lab.models.exact.shipped) and the checkers (lab.tasks.checks) read the
same lists.
"""

from functools import cache
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

CAPITALS_FILE = Path(__file__).parents[2] / "assets" / "capitals.tsv"
EOS = "<eos>"
DIGITS = ("1", "2", "3", "4")


class Board(NamedTuple):
    """The shape of a sudoku: side cells a line, boxes of height x width cells."""

    side: int
    height: int
    width: int

    @property
    def digits(self) -> tuple[str, ...]:
        """The digits of its cells, from 1."""
        return tuple(map(str, range(1, self.side + 1)))

    def units(self, place: int) -> dict[str, int]:
        """The row, column and box (from 0) of cell `place`, cells counted row by row from 0."""
        row, column = divmod(place, self.side)
        box = row // self.height * (self.side // self.width) + column // self.width
        return {"row": row, "column": column, "box": box}


BOARDS = {"sudoku4": Board(4, 2, 2), "sudoku6": Board(6, 2, 3), "sudoku9": Board(9, 3, 3)}


@cache
def capitals() -> dict[str, str]:
    """Country -> capital, both as one writes them in a sentence ("the Netherlands").

    Countries whose capital is disputed or shared between cities are left out.
    """
    lines = CAPITALS_FILE.read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split("\t") for line in lines)


def sentence(country: str, capital: str) -> list[str]:
    """The words of "The capital of France is Paris ."; the full stop is a word of its own."""
    return ["The", "capital", "of", *country.split(), "is", *capital.split(), "."]


@cache
def capital_sentences() -> tuple[tuple[str, ...], ...]:
    """Every true sentence, padded with EOS to one length; each ends in at least one EOS."""
    sentences = [sentence(country, capital) for country, capital in capitals().items()]
    length = max(map(len, sentences)) + 1
    return tuple((*words, *[EOS] * (length - len(words))) for words in sentences)


@cache
def capital_words() -> tuple[str, ...]:
    """The vocabulary in order of first appearance, EOS last."""
    words = dict.fromkeys(word for line in capital_sentences() for word in line)
    return (*(word for word in words if word != EOS), EOS)


@cache
def sudoku_grids() -> tuple[tuple[str, ...], ...]:
    """All 288 grids of 4x4: every row, column and 2x2 box holds 1, 2, 3 and 4 once."""
    lines = list(permutations(DIGITS))
    grids = [[]]
    for _ in range(4):
        grids = [[*grid, line] for grid in grids for line in lines if _fits(grid, line)]
    return tuple(tuple(digit for line in grid for digit in line) for grid in grids)


def _fits(grid: list[tuple[str, ...]], line: tuple[str, ...]) -> bool:
    if any(above[i] == line[i] for above in grid for i in range(4)):
        return False
    pair = grid[-1] if len(grid) % 2 else None  # the other half of this line's two boxes
    return pair is None or len({*pair[:2], *line[:2]}) == len({*pair[2:], *line[2:]}) == 4
