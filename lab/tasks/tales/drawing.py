"""Draw tales, some thousand a second, and hold out one in SHARE by a hash of its content."""

import random
from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate

import torch
from torch import Tensor

from lab.tasks.tales.pattern import REGISTERS, Alternatives, Items, Literal, Slot
from lab.tasks.tales.process import EOS_ID, LENGTH, Option, closed, some_offers, stage
from lab.tasks.tales.world import Plot

SHARE = 16  # one tale in so many is held out
Writer = Callable[[list[int], list[int], Callable[[], float]], None]


@cache
def writer(items: Items) -> Writer:
    """A function that says a pattern: it appends to the text and fills in the binding."""
    parts = [_choice(item) if isinstance(item, Alternatives) else _words(item) for item in items]
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


def _choice(item: Alternatives) -> Writer:
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


def held(ids: Tensor) -> Tensor:
    """Which of ids [N, LENGTH] are held out: a hash of the content, one in SHARE."""
    weight = torch.randint(1, 2**31, (LENGTH,), generator=torch.Generator().manual_seed(7))
    return ((ids + 1) * weight).sum(1) % 1_000_003 % SHARE == 0


def draw(count: int, seed: int, held_out: bool = False) -> Tensor:
    """Tales as ids [count, LENGTH], each padded with its end.

    Training never sees what is held out: the split follows from a tale's content, whatever the
    seed. The probability of a tale given its side is SHARE / (SHARE - 1) or SHARE times larger.
    """
    chance = random.Random(seed).random
    matches: list[Tensor] = []
    missing = count
    while missing > 0:
        rows = [tale(chance) for _ in range(missing * (SHARE if held_out else 1) + 16)]
        ids = torch.tensor([row + [EOS_ID] * (LENGTH - len(row)) for row in rows])
        matches.append(ids[held(ids) == held_out])
        missing -= len(matches[-1])
    return torch.cat(matches)[:count] if matches else torch.empty(0, LENGTH, dtype=torch.int64)
