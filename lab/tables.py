"""The two shipped lists of sequences, as plain text: true sentences on capitals, 4x4 sudoku grids.

No torch here: the models (lab.adapters.shipped) and the checkers (lab.checks) read the same lists.
"""

from functools import cache
from itertools import permutations
from pathlib import Path

CAPITALS_FILE = Path(__file__).parent.parent / "assets" / "capitals.tsv"
EOS = "<eos>"
DIGITS = ("1", "2", "3", "4")


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


def units(place: int) -> dict[str, int]:
    """The row, column and box (0 to 3) of cell `place` (0 to 15, row by row) of a 4x4 grid."""
    row, column = divmod(place, 4)
    return {"row": row, "column": column, "box": row // 2 * 2 + column // 2}


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
