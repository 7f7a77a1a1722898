"""Every limit in one place: pure checks shared by the app, the API, the shell and lab.run.

Each raises ValueError with the field, the rule, the value and the way out, before any work.
"""

import unicodedata
from numbers import Real
from typing import Any

from samplers.registry import shown

PROMPT_CHARACTERS = 20_000
PROMPTS = 100_000
GEN_LENGTH = 8192
ROWS = 100_000
SEED = 2**63 - 1
FIRST_ROW = 2**62  # the rows after it still count in 64 bits
WORK = 2_000_000_000  # calls x columns x rows: hours on a laptop
CELLS = 50_000_000  # columns x rows of one canvas: half a gigabyte before any model is called
LOGITS = 500_000_000  # rows x window x vocabulary of one call: two gigabytes
APP_WORK = 4_000_000  # the same over all panels of one press of Run: minutes on two cores


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in [low, high]; 8.0 is one, True, NaN, 2.5 and "8" are not."""
    if isinstance(value, Real) and not isinstance(value, bool) and low <= value <= high:
        number = int(value)
        if number == value:
            return number
    raise ValueError(f"{name} must be a whole number from {low} to {high}, got {shown(value)}")


def text(name: str, value: Any, most: int = PROMPT_CHARACTERS) -> str:
    """Text that can be written out again: no lone surrogate, no NUL, not too long."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {type(value).__name__}")
    if len(value) > most:
        raise ValueError(f"{name} must be at most {most} characters, got {len(value)}; shorten it")
    for place, character in enumerate(value):
        if character == "\0" or unicodedata.category(character) == "Cs":
            raise ValueError(
                f"{name} must not hold NUL or half a surrogate pair, got U+{ord(character):04X} "
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
                for said in turn.values() if isinstance(turn, dict) else ():
                    text(name, said)
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


def work(calls: int, columns: int, rows: int, most: int = WORK) -> int:
    """Model calls x columns x rows, at most `most`."""
    total = calls * columns * rows
    if total > most:
        raise ValueError(
            f"the work must be at most {most:,} (model calls x columns x rows), got {calls} x "
            f"{columns} x {rows} = {total:,}; lower steps, gen_length or rows"
        )
    return total


def logits(rows: int, width: int, vocabulary: int) -> None:
    """What one call answers fits in memory: rows x window x vocabulary."""
    cells = rows * width * vocabulary
    if cells > LOGITS:
        raise ValueError(
            f"one call's logits must be at most {LOGITS:,} (rows x window x vocabulary), got "
            f"{rows} x {width} x {vocabulary} = {cells:,}; run fewer rows at a time, continuing "
            "with first_row"
        )
