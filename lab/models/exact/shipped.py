"""The models that need no download: the tables capitals and sudoku4 under each kind of noise,
and read from left to right.

`SHIPPED` maps a model's name to the function that builds it; nothing is built on import.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from lab.models.exact.table import table
from lab.models.model import Model
from lab.tasks import tables

HYBRID_NOISE = 0.1  # p_uniform of the hybrid variants: the sampler's own default
DRAFT_LENGTH = 4  # of the causal variants: a row of the small board


def capitals(kind: str = "absorbing") -> Model:
    """188 true sentences "The capital of France is Paris.", 12 words each with their EOS."""
    return _build("capitals", kind, tables.capital_sentences(), tables.capital_words())


def sudoku4(kind: str = "absorbing") -> Model:
    """All 288 sudoku grids of 4x4, 16 digits row by row; no EOS."""
    return _build("sudoku4", kind, tables.sudoku_grids(), tables.DIGITS)


def _build(task: str, kind: str, lines: Sequence[Sequence[str]], words: Sequence[str]) -> Model:
    """kind: a corruption, or causal: read from left to right, with a draft model."""
    number = {word: i for i, word in enumerate(words)}
    causal = kind == "causal"
    model = table(
        [[number[word] for word in line] for line in lines],
        corruption="absorbing" if causal else kind,
        p_uniform=HYBRID_NOISE,
        vocabulary=words,
        eos_id=number.get(tables.EOS),
        draft_length=DRAFT_LENGTH if causal else None,
    )
    name = task if kind == "absorbing" else f"{task}-{kind}"
    model.card = replace(model.card, name=name, task=task)
    return model


SHIPPED: dict[str, Callable[[], Model]] = {
    "capitals": capitals,
    "capitals-hybrid": partial(capitals, "hybrid"),
    "capitals-uniform": partial(capitals, "uniform"),
    "capitals-causal": partial(capitals, "causal"),
    "sudoku4": sudoku4,
    "sudoku4-hybrid": partial(sudoku4, "hybrid"),
    "sudoku4-uniform": partial(sudoku4, "uniform"),
    "sudoku4-causal": partial(sudoku4, "causal"),
}
