"""Intervals and paired tests: how sure one may be of a rate, a mean, or a difference of two.

Rates carry Wilson's score interval (1927), means the percentile bootstrap of 10,000 resamples,
paired rates McNemar's exact test (1947) and families of comparisons Holm's correction (1979).
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy import ndarray

LEVEL = 0.95
RESAMPLES = 10_000
_CHUNK = 1 << 22  # cells of one block of resamples, so that memory stays below 64 MB


class Interval(NamedTuple):
    """An estimate with the two ends of its confidence interval; NaN where nothing was measured."""

    estimate: float
    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def percent(self) -> str:
        """The interval as a share: 98.5 % [97.6, 99.1]."""
        return f"{self.estimate:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}]".replace(
            "%", " %"
        )


class Comparison(NamedTuple):
    """Two settings on the same instances: mean difference a - b, its interval, two-sided p."""

    difference: Interval
    p_value: float


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a rate; ValueError unless 0 <= successes <= trials.

    Without trials the interval is NaN: nothing is known.
    """
    if not 0 <= successes <= trials:
        raise ValueError(
            f"successes must be from 0 to the {trials} trials, got {successes}; count each row once"
        )
    if not trials:
        return NOTHING
    z = _quantile(level)
    share, total = successes / trials, trials + z * z
    centre = (successes + z * z / 2) / total
    half = z * (trials * share * (1 - share) + z * z / 4) ** 0.5 / total
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return Interval(share, low, high)


def mean(values: Sequence[float] | ndarray, level: float = LEVEL, *, seed: int = 0) -> Interval:
    """The mean of values [N] with its percentile bootstrap interval; NaN for none.

    The same values and seed give the same interval.
    """
    sample = np.asarray(values, float)
    if not len(sample):
        return NOTHING
    if (sample == sample[0]).all():
        return Interval(float(sample[0]), float(sample[0]), float(sample[0]))
    means = _resampled_means(sample, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def mcnemar(a: ndarray, b: ndarray, level: float = LEVEL) -> Comparison:
    """Compare two rates on the same instances: solved [N] bool under a and under b.

    p is exact: given how many instances only one of the two solves, each is as likely as the other
    to be that one (binomial, 1/2). The interval is Newcombe's for paired differences, method 10 of
    Newcombe 1998 (Statistics in Medicine 17, 2635).
    """
    first, second = _paired(a, b)
    first, second = first.astype(bool), second.astype(bool)
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    from scipy.special import bdtr  # not above: a page opens without it

    split = only_a + only_b
    p_value = min(1.0, 2 * float(bdtr(min(only_a, only_b), split, 0.5))) if split else 1.0
    return Comparison(_newcombe(first, second, level), p_value)


def paired_bootstrap(a: ndarray, b: ndarray, level: float = LEVEL, *, seed: int = 0) -> Comparison:
    """Compare two means on the same instances, values [N] under a and under b.

    p is the share of resampled mean differences on the other side of 0, doubled, at least one
    resample's share.
    """
    first, second = _paired(a, b)
    difference = first.astype(float) - second.astype(float)
    interval = mean(difference, level, seed=seed)
    if interval.low == interval.high:
        return Comparison(interval, 1.0 if interval.estimate == 0 else 1 / RESAMPLES)
    means = _resampled_means(difference, seed)
    tail = min((means <= 0).mean(), (means >= 0).mean())
    return Comparison(interval, float(min(1.0, max(2 * tail, 1 / RESAMPLES))))


def compare(a: ndarray, b: ndarray, level: float = LEVEL, *, seed: int = 0) -> Comparison:
    """McNemar's test where both hold only 0 and 1, the paired bootstrap otherwise."""
    first, second = _paired(a, b)
    binary = np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()
    if binary:
        return mcnemar(first, second, level)
    return paired_bootstrap(first, second, level, seed=seed)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: each at or below alpha is significant.

    Of m sorted values the i-th (from 0) is multiplied by m - i, and none falls below the one
    before it (Holm 1979, Scandinavian Journal of Statistics 6, 65).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = largest
    return adjusted


def _paired(a: ndarray, b: ndarray) -> tuple[ndarray, ndarray]:
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            f"a comparison needs two lists over the same instances, got {first.shape} and "
            f"{second.shape}; run both settings on the same instances and seeds"
        )
    return first, second


def _resampled_means(sample: ndarray, seed: int) -> ndarray:
    """Means [RESAMPLES] of samples drawn from `sample` [N] with replacement."""
    generator = np.random.default_rng(seed)
    values, counts = np.unique(sample, return_counts=True)
    if len(values) <= 16:  # few values: how often each is drawn is all that matters
        draws = generator.multinomial(len(sample), counts / len(sample), RESAMPLES)
        return draws @ values / len(sample)
    rows = max(1, _CHUNK // len(sample))
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    places = (generator.integers(len(sample), size=(size, len(sample))) for size in sizes)
    means = [sample[place].mean(1) for place in places]
    return np.concatenate(means)


def _newcombe(first: ndarray, second: ndarray, level: float) -> Interval:
    count = len(first)
    rates = first.mean(), second.mean()
    a, b = wilson(int(first.sum()), count, level), wilson(int(second.sum()), count, level)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    association = float(both * neither - only_a * only_b)
    if association > 0:  # a continuity correction, as method 10 has it
        association = max(association - count / 2, 0)
    phi = association / margins**0.5 if margins else 0.0
    down_a, up_a = rates[0] - a.low, a.high - rates[0]
    down_b, up_b = rates[1] - b.low, b.high - rates[1]
    low = (down_a**2 - 2 * phi * down_a * up_b + up_b**2) ** 0.5
    high = (up_a**2 - 2 * phi * up_a * down_b + down_b**2) ** 0.5
    difference = float(rates[0] - rates[1])
    return Interval(difference, difference - float(low), difference + float(high))


def _quantile(level: float) -> float:
    """How many standard deviations hold that share of a normal distribution, half on each side."""
    return NormalDist().inv_cdf((1 + level) / 2)


def trials_for(half_width: float, rate: float = 0.5, level: float = LEVEL) -> int:
    """How many rows a rate needs for a 95 % interval of about +- half_width (Wald's formula)."""
    if not 0 < half_width < 1:
        raise ValueError(f"half_width must be between 0 and 1, got {half_width}; 0.03 is usual")
    return int(np.ceil(_quantile(level) ** 2 * rate * (1 - rate) / half_width**2))
