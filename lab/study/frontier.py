"""Quality against cost: which settings nothing beats, and what is best under a budget."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from lab.study.statistics import Comparison, Interval, compare, holm, mean, wilson

ALPHA = 0.05


class Scores(NamedTuple):
    """One setting's measurements: the score of each row [N], and the mean cost of a row.

    Row i is of the same instance as row i of any other setting of the case, which may have fewer.
    """

    score: ndarray
    cost: float

    def score_interval(self) -> Interval:
        """Wilson's where every score is 0 or 1, the bootstrap's otherwise."""
        known = self.score[~np.isnan(self.score)]
        if len(known) and np.isin(known, (0, 1)).all():
            return wilson(int(known.sum()), len(known))
        return mean(known)


class Rival(NamedTuple):
    """A setting held against the best: difference best - rival, Holm's adjusted p."""

    name: str
    comparison: Comparison
    adjusted_p: float

    @property
    def distinguishable(self) -> bool:
        """Whether the best is better than chance would have it."""
        return self.adjusted_p < ALPHA


class Best(NamedTuple):
    """The best setting under a budget, its score and mean cost, and the others allowed by it."""

    name: str
    score: Interval
    cost: float
    rivals: tuple[Rival, ...]

    @property
    def indistinguishable(self) -> tuple[str, ...]:
        """The settings that the rows cannot tell from the best."""
        return tuple(rival.name for rival in self.rivals if not rival.distinguishable)


def frontier(cost: ndarray, score: ndarray) -> ndarray:
    """Which points [N] nothing beats: no other is at least as good and as cheap, and one better.

    NaN points are never on it.
    """
    cost, score = np.asarray(cost, float), np.asarray(score, float)
    known = ~(np.isnan(cost) | np.isnan(score))
    cheaper = cost[:, None] <= cost[None]
    better = score[:, None] >= score[None]
    strictly = (cost[:, None] < cost[None]) | (score[:, None] > score[None])
    beaten = (cheaper & better & strictly & known[:, None]).any(0)
    return known & ~beaten


def band(
    settings: Mapping[str, Scores],
    budgets: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ndarray:
    """The best mean score at each budget [K] with its bootstrap band: [K, 3] estimate, low, high.

    Instances are resampled together for all settings, which were measured on the same ones. NaN
    where nothing fits the budget.
    """
    names = list(settings)
    scores = np.stack([settings[name].score for name in names])  # [settings, N]
    costs = np.array([settings[name].cost for name in names])
    allowed = np.less_equal(costs[None], np.asarray(budgets, float)[:, None])  # [K, settings]
    generator = np.random.default_rng(seed)
    count = scores.shape[1]
    drawn = generator.multinomial(count, np.full(count, 1 / count), resamples) / count
    means = np.concatenate([scores.mean(1)[None], drawn @ scores.T])  # [1 + resamples, settings]
    best = np.where(allowed[:, None], means[None], -np.inf).max(-1)  # [K, 1 + resamples]
    best = np.where(allowed.any(1)[:, None], best, np.nan)
    ends = np.quantile(best[:, 1:], [(1 - level) / 2, (1 + level) / 2], axis=1)
    return np.stack([best[:, 0], *ends], 1)


def best_under(settings: Mapping[str, Scores], budget: float) -> Best | None:
    """The setting of highest mean score whose mean cost is at most `budget`; None if none is.

    Of equal scores the cheapest. Every other allowed setting is held against it on the same
    instances, with Holm's correction over all of them.
    """
    allowed = {
        name: each
        for name, each in settings.items()
        if each.cost <= budget and not np.isnan(each.score).any()
    }
    if not allowed:
        return None
    ranked = sorted(allowed, key=lambda name: (-allowed[name].score.mean(), allowed[name].cost))
    first = allowed[ranked[0]]
    comparisons = [paired(first, allowed[name]) for name in ranked[1:]]
    adjusted = holm([each.p_value for each in comparisons])
    rivals = tuple(map(Rival, ranked[1:], comparisons, adjusted))
    return Best(ranked[0], first.score_interval(), first.cost, rivals)


def paired(a: Scores, b: Scores) -> Comparison:
    """Compare two settings on the rows that both have."""
    rows = min(len(a.score), len(b.score))
    return compare(a.score[:rows], b.score[:rows])
