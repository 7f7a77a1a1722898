"""The words of a model whose vocabulary is a list, checked before a tokenizer is made of them."""

from collections.abc import Sequence

MASK = "<mask>"


def characters(names: Sequence[str], eos_id: int | None) -> bool:
    """Whether every name is one character, the one at `eos_id` left out."""
    return all(len(name) == 1 for i, name in enumerate(names) if i != eos_id)


def check_words(names: Sequence[str], eos_id: int | None) -> None:
    """ValueError where names repeat, are empty, contain white space or are the mask's.

    Of single characters, white space may be one.
    """
    letters = characters(names, eos_id)
    for name in names:
        if not name or (not letters and name.split() != [name]) or names.count(name) > 1:
            raise ValueError(
                f"vocabulary must be names without white space, each once, got {name!r}; rename it"
            )
    if MASK in names:
        raise ValueError(f"vocabulary must not contain {MASK!r}, the mask has it; rename it")
