"""How far what a sampler writes is from the truth: distances, their noise floor, their slope.

Distances of distributions in nats (KL) or between 0 and 1 (total variation). A distance estimated
from N rows is never 0, even for perfect rows: `noise_floor` says what N perfect rows would give.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

DRAWS = 200  # of N perfect rows, for the noise floor


class Distance(NamedTuple):
    """Total variation and KL(found || truth) in nats; KL is infinite where the truth forbids."""

    total_variation: float
    kl: float


class Floor(NamedTuple):
    """What perfect rows give: the mean distance and the one that 95 % of draws stay below."""

    mean: Distance
    high: Distance


class Slope(NamedTuple):
    """d log(distance) / d log(calls) with its standard error, and how many points it rests on."""

    value: float
    error: float
    points: int


def distance(found: ndarray, truth: ndarray) -> Distance:
    """Between probabilities found [M] and truth [M]; what `found` lacks to 1 is outside the truth.

    Outputs that the truth does not list at all therefore count as wrong, and make KL infinite.
    """
    found, truth = np.asarray(found, float), np.asarray(truth, float)
    outside = max(0.0, 1.0 - float(found.sum()))
    variation = (float(np.abs(found - truth).sum()) + outside) / 2
    if outside > 1e-9 or (found[truth <= 0] > 0).any():
        return Distance(variation, float("inf"))
    here = found > 0
    return Distance(variation, float((found[here] * np.log(found[here] / truth[here])).sum()))


def frequencies(rows: ndarray, sequences: ndarray) -> ndarray:
    """How often each of sequences [M, T] stands among rows [N, T], as shares [M] of N."""
    table = {tuple(sequence): number for number, sequence in enumerate(sequences.tolist())}
    counts = np.zeros(len(sequences))
    for row in rows.tolist():
        number = table.get(tuple(row))
        if number is not None:
            counts[number] += 1
    return counts / max(len(rows), 1)


def noise_floor(truth: ndarray, rows: int, *, seed: int = 0) -> Floor:
    """The distance of `rows` perfect rows from truth [M], over DRAWS simulated samples."""
    truth = np.asarray(truth, float)
    generator = np.random.default_rng(seed)
    samples = generator.multinomial(rows, truth / truth.sum(), DRAWS) / rows
    found = np.array([distance(sample, truth) for sample in samples])
    return Floor(Distance(*found.mean(0)), Distance(*np.quantile(found, 0.95, axis=0)))


class Rates(NamedTuple):
    """Distances of the transitions found from those of the chain, weighted by how often each
    state is left: the axes of arXiv:2602.19619. `transitions`: how many were counted."""

    kl_rate: float
    tv_rate: float
    transitions: int


def transition_rates(rows: ndarray, transition: ndarray) -> Rates:
    """Compare transitions within rows [N, T] with those of a chain, transition [V, V].

    kl_rate = sum_i w_i KL(p(.|i) || q(.|i)), tv_rate likewise, w_i the share of transitions out of
    i. The plug-in estimate is biased upwards by about V (V - 1) / (2 n) nats for n transitions:
    hold it against rows drawn from the chain itself. Ids outside 0..V-1 are left out.
    """
    size = len(transition)
    rows = np.asarray(rows)
    before, after = rows[:, :-1].ravel(), rows[:, 1:].ravel()
    inside = (before >= 0) & (before < size) & (after >= 0) & (after < size)
    counts = np.zeros((size, size))
    np.add.at(counts, (before[inside], after[inside]), 1)
    left = counts.sum(1)
    if not left.sum():
        return Rates(float("nan"), float("nan"), 0)
    kl = tv = 0.0
    for state in np.flatnonzero(left):
        each = distance(counts[state] / left[state], transition[state])
        share = left[state] / left.sum()
        kl, tv = kl + share * each.kl, tv + share * each.total_variation
    return Rates(kl, tv, int(left.sum()))


def slope(calls: Sequence[float], distances: Sequence[float], floor: float = 0.0) -> Slope:
    """Fit log distance against log calls on the last points that lie above twice the floor.

    At least two and at most four points, those of most calls; NaN where there are fewer.
    """
    usable = [
        (calls_, distance_)
        for calls_, distance_ in sorted(zip(calls, distances, strict=True))
        if distance_ > max(2 * floor, 0.0) and np.isfinite(distance_) and distance_ > 0
    ][-4:]
    if len(usable) < 2:
        return Slope(float("nan"), float("nan"), len(usable))
    x, y = np.log(np.array(usable)).T
    x = x - x.mean()
    value = float((x * y).sum() / (x * x).sum())
    residual = y - y.mean() - value * x
    freedom = len(usable) - 2
    error = float(np.sqrt((residual**2).sum() / freedom / (x * x).sum())) if freedom else 0.0
    return Slope(value, error, len(usable))
