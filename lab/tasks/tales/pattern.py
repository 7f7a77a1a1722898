"""Sentence patterns, compiled: words, slots to fill and choices; to read with and to write with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from lab.tasks.tales import lexicon

# Registers of a binding: who and what the numbers of a plot are, by word id; -1: not yet known.
NAME, PLACE, COLOUR, NOUN, BEAST, REGISTERS = 0, 3, 7, 10, 13, 14
EMPTY = (-1,) * REGISTERS
Binding = tuple[int, ...]


def text_ids(text: str) -> tuple[int, ...]:
    """The ids of words separated by spaces."""
    return tuple(lexicon.INDEX[word] for word in text.split())


@cache
def fills(form: str) -> dict[int, tuple[int, ...]]:
    """For each word a register may hold, what a slot of this form says."""
    things = {noun: verbs for kind in lexicon.THINGS.values() for noun, verbs in kind.items()}
    table = {
        "N": {name: name for names in lexicon.NAMES.values() for name in names},
        "C": {word: word for word in (*lexicon.COLOURS, *lexicon.TASTES)},
        "U": {noun: noun for noun in things},
        "V": {noun: verbs[0] for noun, verbs in things.items()},
        "W": {noun: verbs[1] for noun, verbs in things.items()},
        "P": {place: place for place in lexicon.PLACES},
        "I": {place: f"{how} the {place}" for place, (how, _) in lexicon.PLACES.items()},
        "L": {place: spot for place, (_, spot) in lexicon.PLACES.items()},
        "B": {beast: beast for beast in lexicon.BEASTS},
        "R": lexicon.BEASTS,
    }[form]
    return {lexicon.INDEX[key]: text_ids(text) for key, text in table.items()}


class Literal(NamedTuple):
    """Words as they stand."""

    ids: tuple[int, ...]


class Slot(NamedTuple):
    """What a register says in this form. With a domain it is free, and chosen from there.

    group: the registers whose values it must not repeat.
    """

    register: int
    form: str
    domain: tuple[int, ...] = ()
    group: range = range(0)

    @property
    def fills(self) -> dict[int, tuple[int, ...]]:
        """What it says of each value."""
        return fills(self.form)

    def candidates(self, binding: Sequence[int]) -> list[int]:
        """The values it may take, all alike probable."""
        used = [binding[i] for i in self.group]
        return [value for value in self.domain if value not in used]


class Variants(NamedTuple):
    """One of several sequences of items, with its probability."""

    options: tuple[tuple[float, Items], ...]


Item = Literal | Slot | Variants
Items = tuple[Item, ...]


def walk(
    items: Items, tokens: Sequence[int], start: int, binding: Binding
) -> Iterator[tuple[float, int, int, Binding]]:
    """Every way to read tokens[start:] with this pattern: (probability, end, next, binding).

    next is -1 where the pattern is complete, at `end`; where the tokens end first, it is the word
    that would follow, and what comes after is summed over.
    """
    stack: list[tuple[float, Items, int, Binding]] = [(1.0, items, start, binding)]
    while stack:
        share, items, at, binding = stack.pop()
        if not items:
            yield share, at, -1, binding
            continue
        first, rest = items[0], items[1:]
        if isinstance(first, Variants):
            stack += [(share * p, option + rest, at, binding) for p, option in first.options]
            continue
        if isinstance(first, Slot) and binding[first.register] < 0:
            values = first.candidates(binding)
            for value in values:
                bound = (*binding[: first.register], value, *binding[first.register + 1 :])
                stack.append((share / len(values), items, at, bound))
            continue
        ids = first.ids if isinstance(first, Literal) else first.fills[binding[first.register]]
        here = tuple(tokens[at : at + len(ids)])
        if here == ids:
            stack.append((share, rest, at + len(ids), binding))
        elif here == ids[: len(here)]:  # the tokens end within
            yield share, at + len(here), ids[len(here)], binding


@cache
def longest(items: Items) -> int:
    """How many words a pattern can have at most."""
    count = 0
    for item in items:
        if isinstance(item, Literal):
            count += len(item.ids)
        elif isinstance(item, Slot):
            count += max(len(item.fills[value]) for value in item.domain or item.fills)
        else:
            count += max(longest(option) for _, option in item.options)
    return count


def spell(
    items: Items, binding: Binding, likely: frozenset[int] = frozenset()
) -> Iterator[tuple[float, tuple[int, ...], Binding]]:
    """Every way to say a pattern: (probability, words, binding).

    With words that are likely, a free slot takes only those of its values that are among them, or
    the first where none is.
    """
    stack: list[tuple[float, Items, tuple[int, ...], Binding]] = [(1.0, items, (), binding)]
    while stack:
        share, items, said, binding = stack.pop()
        if not items:
            yield share, said, binding
            continue
        first, rest = items[0], items[1:]
        if isinstance(first, Variants):
            stack += [(share * p, option + rest, said, binding) for p, option in first.options]
        elif isinstance(first, Literal):
            stack.append((share, rest, said + first.ids, binding))
        elif binding[first.register] >= 0:
            stack.append((share, rest, said + first.fills[binding[first.register]], binding))
        else:
            values = first.candidates(binding)
            picked = [value for value in values if value in likely] if likely else values
            for value in picked or values[:1]:
                bound = (*binding[: first.register], value, *binding[first.register + 1 :])
                stack.append((share / len(values), items, said, bound))
