"""Seconds of several ways to do the same work, taken in turn, and ratios of them.

On a CPU they are seconds of this thread (`time.thread_time`, so that other work on the machine
shows less); on a GPU of the wall, with what was asked for done.
"""

from collections.abc import Callable, Mapping
from statistics import quantiles
from time import perf_counter, thread_time
from typing import Any, NamedTuple

import torch

Side = Callable[[], Any]  # one way to do the work
Seconds = dict[str, list[float]]  # of each side in each repeat


class Spread(NamedTuple):
    """The median of the repeats and their quartiles."""

    median: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """As three columns of a table: name, name_low, name_high."""
        return {name: self.median, f"{name}_low": self.low, f"{name}_high": self.high}


NOTHING = Spread(float("nan"), float("nan"), float("nan"))


def measure(sides: Mapping[str, Side], repeats: int, device: torch.device) -> Seconds:
    """Seconds of each side in each repeat; who goes first changes from repeat to repeat.

    The sides should have run once before, so that caches are warm.
    """
    names = list(sides)
    seconds: Seconds = {name: [] for name in names}
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in names[turn:] + names[:turn]:
            began = now(device)
            sides[name]()
            seconds[name].append(now(device) - began)
    return seconds


def now(device: torch.device) -> float:
    """A mark in time, once the device has done all that it was given."""
    if device.type == "cpu":
        return thread_time()
    torch.cuda.synchronize(device)
    return perf_counter()


def ratio(seconds: Seconds, above: str, below: str) -> Spread:
    """What one side takes over what another takes, by the repeats' own ratios.

    A slow minute weighs on both sides of its repeat.
    """
    return spread([a / b for a, b in zip(seconds[above], seconds[below], strict=True)])


def spread(values: list[float]) -> Spread:
    """The median and the quartiles of one value a repeat."""
    low, middle, high = quantiles(values * 2 if len(values) == 1 else values, method="inclusive")
    return Spread(middle, low, high)
