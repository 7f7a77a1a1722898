"""A move: one sentence a tale may go on with, in several wordings, and the state it leads to."""

from collections.abc import Iterator
from typing import NamedTuple

from lab.tasks.tales.lexicon import THINGS, TOYS
from lab.tasks.tales.world import Plot


class Move(NamedTuple):
    """weight: how often among its rivals; texts: wordings; roles: who their letters are."""

    weight: float
    after: Plot
    texts: tuple[str, ...]
    roles: tuple[tuple[str, int], ...]
    link: str = ""


Moves = Iterator[Move]


def move(weight: float, after: Plot, *texts: str, link: str = "", **roles: int) -> Move:
    return Move(weight, after, texts, tuple(sorted(roles.items())), link)


def new_toy(plot: Plot, at: int) -> Iterator[tuple[float, int, Plot]]:
    """A new toy of each kind at a place or with its holder: (share, its number, the plot)."""
    total = sum(len(THINGS[kind]) for kind in TOYS)
    for kind in TOYS:
        yield len(THINGS[kind]) / total, len(plot.things), plot.gain(kind, at)


def newcomer(plot: Plot, at: int) -> Iterator[tuple[float, int, Plot]]:
    """A new person, girl or boy, at a place: (share, its number, the plot)."""
    for sex in "fm":
        yield 0.5, len(plot.cast), plot.enter(sex, at)


def room(plot: Plot, people: int = 0, places: int = 0, things: int = 0) -> bool:
    """Whether a tale may have so many more persons, places and things."""
    return (
        len(plot.cast) + people <= 3
        and plot.places + places <= 4
        and len(plot.things) + things <= 3
    )


def going(plot: Plot, plural: str, single: str = "") -> tuple[str, dict[str, int]]:
    """A sentence in which all who are not at home do something: (its pattern, its roles)."""
    present = plot.present
    if len(present) == 1:
        return f"S.a {single}", {"a": present[0]}
    if len(present) == 2:
        return f"G.ab {plural}", dict(zip("ab", present, strict=True))
    return f"G.abc {plural}", dict(zip("abc", present, strict=True))
