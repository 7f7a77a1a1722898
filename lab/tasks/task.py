"""The contract of a task: vocabulary, examples, instances, checker, training data and models.

A task knows no trained model: it names those that ship, and gives the list of its sequences where
that is short enough to enumerate.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from lab.tasks.score import Score

PROMPT, TEMPLATE = "prompt", "template"
MASK = "<mask>"  # what a masked position reads as
_LETTERS = re.compile(r" ?\[MASK\](?:\*(\d+))?|[^\[\]]")
_PARTS = re.compile(r"\[MASK\](?:\*(\d+))?|[.,?!:;“”]|[^\s.,?!:;“”\[\]]+")


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


class Structure(NamedTuple):
    """What a model may know of the columns before it trains.

    units: for each column its number in every kind of unit; looks: for each head the kind of unit
    along which it first looks, and how many units further.
    """

    units: tuple[tuple[int, ...], ...]
    looks: tuple[tuple[int, int], ...]

    def after_start(self) -> "Structure":
        """The structure with a start column before it, in units of its own."""
        own = tuple(max(kind) + 1 for kind in zip(*self.units, strict=True))
        return Structure((own, *self.units), self.looks)


class Instance(NamedTuple):
    """text: a prompt, or a template with [MASK]; solution: the words of one right answer."""

    text: str
    solution: tuple[str, ...] | None = None


class Listing(NamedTuple):
    """Every sequence of an enumerable task in words; weights sum to 1, None: all alike."""

    sequences: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...] | None = None


class Chain(NamedTuple):
    """A Markov chain over the words, or over states that emit them.

    initial [S], transition [S, S]; emission [S, V], None where the states are the words.
    """

    initial: tuple[float, ...]
    transition: tuple[tuple[float, ...], ...]
    emission: tuple[tuple[float, ...], ...] | None = None


class CardText(NamedTuple):
    """What the card of a model trained on the task says: what it saw, its data, its limits."""

    seen: str
    data: str
    limits: str
    network: str = "a stock transformers decoder whose attention mask the caller gives"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of text, how to try it, how to judge it, and which models write it.

    summary: what it shows. examples: prompts or templates, the first is the default. models: those
    that ship, best first; a sampler gets the first one that fits.
    words: the vocabulary (id i is words[i]; the mask comes after the last); None: a tokenizer lies
    beside the models. eos: the word that ends a text. length: tokens of a text, None: any.
    cases: what `instances` may be asked for, with one line each; the default of a measurement.
    instances(case, count, seed): held out by content; ValueError for a case that is not one.
    checker(words, instance): judges a finished text, cut before its EOS, of `columns` positions.
    question: leading columns of a sequence that are always known. board: drawn as a grid, else as
    text. draw(count, seed): ids [count, length] to train on, without end. structure, card: see
    there. exact(): its sequences, where they can be enumerated, or the chain that writes them.
    log_prob(words): natural log of a text's probability under the truth, where it is known.
    judge: the model whose word on texts is measured where nothing checks them.
    case_of(words): the case that a text of these words belongs to, None at masked positions.
    bounds: by case, the least KL (nats) to the truth of text that is written in one call.
    """

    name: str
    title: str
    summary: str
    examples: tuple[str, ...]
    models: tuple[str, ...]
    words: tuple[str, ...] | None = None
    eos: str | None = None
    length: int | None = None
    cases: Mapping[str, str] = field(default_factory=dict)
    instances: Callable[[str, int, int], list[Instance]] | None = None
    checker: Callable[[Sequence[str], int], Score] | None = None
    question: int = 0
    board: Board | None = None
    draw: Callable[[int, int], Tensor] | None = None
    structure: Structure | None = None
    card: CardText | None = None
    exact: Callable[[], Listing | Chain] | None = None
    log_prob: Callable[[Sequence[str]], float] | None = None
    judge: str | None = None
    case_of: Callable[[Sequence[str | None]], str | None] | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)

    def score(self, pieces: Sequence[str], instance: Instance | None = None) -> Score:
        """Judge a row by the text of each position, prompt and all.

        `pieces` are what the tokenizer decodes each id alone to; white space around them and all
        after the first EOS is ignored. Value NaN: no checker, or a masked position is left. Where
        an instance is given, its own words must still stand.
        """
        own = set(self.words or ())
        words = [piece if piece in own else piece.strip() for piece in pieces]
        text = words[: words.index(self.eos)] if self.eos in words else words
        if self.checker is None:
            return Score(math.nan, "nothing checks texts of this task", ())
        if MASK in text:
            return Score(math.nan, "not finished", ())
        if instance is not None:
            known = enumerate(self.known(instance.text))
            changed = tuple(
                i for i, word in known if word is not None and words[i : i + 1] != [word]
            )
            if changed:
                return Score(0.0, "a word that was given has changed", changed)
        return self.checker(text, len(words))

    def case(self, text: str) -> str | None:
        """The case that a prompt or template is one of; None where it is like no instance."""
        name = self.case_of(self.known(text)) if self.case_of else None
        return name if name in self.cases else None

    def known(self, text: str) -> list[str | None]:
        """The word at each position of a prompt or template, None at masked positions."""
        letters = self.words is not None and all(len(w) == 1 for w in self.words if w != self.eos)
        known: list[str | None] = []
        parts = _LETTERS if letters and self.words and " " in self.words else _PARTS
        for part in parts.finditer(text):
            if part[0].lstrip().startswith("[MASK]"):
                known += [None] * int(part[1] or 1)
            else:
                known += part[0] if letters else [part[0]]
        return known


def template(words: Sequence[str | None]) -> str:
    """Words with None at masked positions as text: "The capital of[MASK]*2 is Paris."."""
    text, masked = "", 0
    for word in [*words, ""]:
        if word is None:
            masked += 1
            continue
        if masked:
            text += "[MASK]" + f"*{masked}" * (masked > 1)
        if word:
            text += " " * (bool(text) and word not in ".,?!:;”") + word
        masked = 0
    return text


def kind_of(text: str) -> str:
    """Whether a text is a prompt or a template."""
    return TEMPLATE if "[MASK]" in text else PROMPT
