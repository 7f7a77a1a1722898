"""Draw tales, some thousand a second; some are held out by their content (lab.tasks.split)."""

import random
from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate

import torch
from torch import Tensor

from lab.tasks.split import draw_side
from lab.tasks.tales.pattern import REGISTERS, Items, Literal, Slot, Variants
from lab.tasks.tales.process import EOS_ID, LENGTH, Option, closed, some_offers, stage
from lab.tasks.tales.world import Plot

Writer = Callable[[list[int], list[int], Callable[[], float]], None]


@cache
def writer(items: Items) -> Writer:
    """A function that says a pattern: it appends to the text and fills in the binding."""
    parts = [_choice(item) if isinstance(item, Variants) else _words(item) for item in items]
    if len(parts) == 1:
        return parts[0]

    def write(text: list[int], binding: list[int], chance: Callable[[], float]) -> None:
        for part in parts:
            part(text, binding, chance)

    return write


def _words(item: Literal | Slot) -> Writer:
    if isinstance(item, Literal):
        ids = item.ids
        return lambda text, binding, chance: text.extend(ids)
    fills, register = item.fills, item.register

    def known(text: list[int], binding: list[int], chance: Callable[[], float]) -> None:
        text += fills[binding[register]]

    def new(text: list[int], binding: list[int], chance: Callable[[], float]) -> None:
        if binding[register] < 0:
            values = item.candidates(binding)
            binding[register] = values[int(chance() * len(values))]
        text += fills[binding[register]]

    return new if item.domain else known


def _choice(item: Variants) -> Writer:
    bounds = list(accumulate(share for share, _ in item.options))[:-1]
    options = [writer(option) for _, option in item.options]

    def choose(text: list[int], binding: list[int], chance: Callable[[], float]) -> None:
        options[bisect(bounds, chance())](text, binding, chance)

    return choose


class Node:
    """What may follow a plot, ready to write."""

    def __init__(self, matches: tuple[Option, ...]) -> None:
        self.bounds = list(accumulate(option.share for option in matches))[:-1]
        self.writers = [writer(option.items) for option in matches]
        self.after = [places(option.after) for option in matches]


@cache
def node(plot: Plot, stage: int, closed: int) -> Node:
    return Node(some_offers(plot, stage, closed))


@cache
def places(plot: Plot) -> tuple[Plot, list[Node | None]]:
    """A plot and its nodes at each length, as far as they have been needed."""
    return plot, [None] * LENGTH


def tale(chance: Callable[[], float]) -> list[int]:
    """One tale, its end included; chance() is a random number from 0 to 1."""
    text: list[int] = []
    binding = [-1] * REGISTERS
    plot, nodes = places(Plot())
    while True:
        length = len(text)
        here = nodes[length]
        if here is None:
            here = nodes[length] = node(plot, stage(length), closed(plot, length))
        move = bisect(here.bounds, chance())
        here.writers[move](text, binding, chance)
        if text[-1] == EOS_ID:
            return text
        plot, nodes = here.after[move]


def draw(count: int, seed: int, held_out: bool = False) -> Tensor:
    """Tales as ids [count, LENGTH], each padded with its end.

    Training never sees what is held out: the split follows from a tale's content, whatever the
    seed. The probability of a tale given its side is SHARE / (SHARE - 1) or SHARE times larger.
    """
    chance = random.Random(seed).random

    def some(rows: int) -> Tensor:
        tales = (tale(chance) for _ in range(rows))
        return torch.tensor([ids + [EOS_ID] * (LENGTH - len(ids)) for ids in tales])

    return draw_side(some, count, held_out, LENGTH)
