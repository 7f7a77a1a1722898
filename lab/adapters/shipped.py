"""The models that need no download: the tables capitals and sudoku4 under each kind of noise.

`SHIPPED` maps a model's name to the function that builds it; nothing is built on import.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from lab import tables

from .model import Model
from .table import table

HYBRID_NOISE = 0.1  # p_uniform of the hybrid variants: the sampler's own default


def capitals(corruption: str = "absorbing") -> Model:
    """188 true sentences "The capital of France is Paris.", 12 words each with their EOS."""
    return _build("capitals", corruption, tables.capital_sentences(), tables.capital_words())


def sudoku4(corruption: str = "absorbing") -> Model:
    """All 288 sudoku grids of 4x4, 16 digits row by row; no EOS."""
    return _build("sudoku4", corruption, tables.sudoku_grids(), tables.DIGITS)


def _build(
    suite: str, corruption: str, lines: Sequence[Sequence[str]], words: Sequence[str]
) -> Model:
    number = {word: i for i, word in enumerate(words)}
    model = table(
        [[number[word] for word in line] for line in lines],
        corruption=corruption,
        p_uniform=HYBRID_NOISE,
        vocabulary=words,
        eos_id=number.get(tables.EOS),
    )
    name = suite if corruption == "absorbing" else f"{suite}-{corruption}"
    model.card = replace(model.card, name=name, suite=suite)
    return model


SHIPPED: dict[str, Callable[[], Model]] = {
    "capitals": capitals,
    "capitals-hybrid": partial(capitals, "hybrid"),
    "capitals-uniform": partial(capitals, "uniform"),
    "sudoku4": sudoku4,
    "sudoku4-hybrid": partial(sudoku4, "hybrid"),
    "sudoku4-uniform": partial(sudoku4, "uniform"),
}
