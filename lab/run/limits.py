"""Every limit of a run in one place: pure checks that app, API, shell and lab.run share.

Each raises ValueError with the field, the rule, the value and the way out, before any work. What a
file of runs may hold is in lab.record.file_limits.
"""

import unicodedata
from dataclasses import dataclass
from math import prod
from numbers import Real
from typing import Any

from samplers.signature import brief


@dataclass(frozen=True)
class Budget:
    """The most that a product of counts may be."""

    subject: str
    most: int
    factors: tuple[str, ...]
    way_out: str

    def check(self, *counts: int) -> int:
        """The product of the counts, one a factor. ValueError where it is more than `most`."""
        total = prod(counts)
        if total > self.most:
            raise ValueError(
                f"{self.subject}: at most {self.most:,} ({' x '.join(self.factors)}), got "
                f"{' x '.join(map(str, counts))} = {total:,}; {self.way_out}"
            )
        return total


PROMPT_CHARACTERS = 20_000
PROMPTS = 100_000
GEN_LENGTH = 8192
USUAL_LENGTH = 64  # gen_length where neither the caller nor the model says
ROWS = 100_000
SEED = 2**63 - 1
FIRST_ROW = 2**62  # the rows after it still count in 64 bits
WORK = Budget(  # hours on a laptop
    "this run is too expensive",
    2_000_000_000,
    ("model calls", "columns", "rows"),
    "lower steps, gen_length or rows",
)
CELLS = Budget(  # half a gigabyte before any model is called
    "this canvas is too large",
    50_000_000,
    ("columns", "rows"),
    "run fewer rows at a time, continuing with first_row",
)
LOGITS = Budget(  # two gigabytes
    "one call's logits are too large",
    500_000_000,
    ("rows", "window", "vocabulary"),
    "run fewer rows at a time, continuing with first_row",
)
APP_WORK = 4_000_000  # work of all panels of one press of Run: minutes on two cores


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in [low, high]; 8.0 is one, True, NaN, 2.5 and "8" are not."""
    number: Any = None if isinstance(value, bool) or not isinstance(value, Real) else value
    if number is not None and low <= number <= high and int(number) == number:
        return int(number)
    raise ValueError(f"{name} must be a whole number from {low} to {high}, got {brief(value)}")


def text(name: str, value: Any, most: int = PROMPT_CHARACTERS) -> str:
    """Text that can be written out again: no lone surrogate, no NUL, not too long."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {type(value).__name__}")
    if len(value) > most:
        raise ValueError(f"{name} must be at most {most} characters, got {len(value)}; shorten it")
    for place, character in enumerate(value):
        if character == "\0" or unicodedata.category(character) == "Cs":
            raise ValueError(
                f"{name} must not hold NUL or a lone surrogate, got U+{ord(character):04X} "
                f"at character {place}; remove it"
            )
    return value


def prompts(name: str, values: list[Any]) -> None:
    """Every text of a list of prompts (text, chats or ids) is one that can be written out."""
    if len(values) > PROMPTS:
        raise ValueError(f"{name} must be at most {PROMPTS}, got {len(values)}; run them in parts")
    for value in values:
        if isinstance(value, str):
            text(name, value)
        else:
            for turn in value:
                for part in turn.values() if isinstance(turn, dict) else ():
                    text(name, part)
            if len(value) > PROMPT_CHARACTERS:
                raise ValueError(
                    f"{name} must have at most {PROMPT_CHARACTERS} tokens, got {len(value)}"
                )


def context(columns: int, gen_length: int, card: Any, sliding: bool = False) -> None:
    """Prompt and generated tokens fit what the model reads (or its fixed length)."""
    if card.length is not None and columns > card.length:
        raise ValueError(
            f"prompt + gen_length must be at most {card.length}, the length of {card.name}, got "
            f"{columns - gen_length} + {gen_length}; leave gen_length out to fill what is left"
        )
    if columns > card.context and not sliding:
        raise ValueError(
            f"prompt + gen_length must be at most {card.context}, the context of {card.name}, got "
            f"{columns - gen_length} + {gen_length}; shorten the prompt or lower gen_length"
        )
