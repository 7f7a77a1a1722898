"""The grid gen_length x block_length x steps x temperature: any combination keeps every law.

A pairwise part runs by default (every pair of values of any two axes); all of it with `-m slow`.
"""

from itertools import combinations, product

import pytest

from tests.kit import tiny
from tests.kit.laws import check, only, record

AXES = {
    "gen_length": (1, 5, 16, 40),
    "block_length": (1, 4, 8, 32),
    "steps": (1, 3, 8, 32),
    "temperature": (0.0, 0.8),
}
GRID = list(product(*AXES.values()))


def pairs_of(point):
    return {(i, j, point[i], point[j]) for i, j in combinations(range(len(point)), 2)}


def pairwise():
    """A short list of points in which every pair of values of two axes occurs, greedily chosen."""
    missing = set().union(*map(pairs_of, GRID))
    points = []
    while missing:
        best = max(GRID, key=lambda point: len(pairs_of(point) & missing))
        points.append(best)
        missing -= pairs_of(best)
    return points


CHOSEN = pairwise()


def runs_and_keeps_every_law(sampler, kind, point):
    values = dict(zip(AXES, point, strict=True))
    gen_length = values.pop("gen_length")
    model = tiny.networks()[kind]
    run = record(
        sampler, model, tiny.prompts([2, 7]), gen_length=gen_length, seed=sum(map(ord, kind)),
        **only(sampler, **values),
    )  # fmt: skip
    check(run)
    for prompt, one in zip(tiny.prompts([2, 7]), run.trajectories(), strict=True):
        assert len(one.output) == gen_length or one.output[-1] in model.card.eos_ids
        assert model.card.mask_id not in one.output
        assert (one.tokens[:, : len(prompt)] == prompt).all()


def test_pairwise_part_has_every_pair():
    assert set().union(*map(pairs_of, CHOSEN)) == set().union(*map(pairs_of, GRID))
    assert len(CHOSEN) < 30 and len(GRID) == 128


@pytest.mark.parametrize("point", CHOSEN, ids=str)
@pytest.mark.parametrize(("sampler", "kind"), tiny.pairs())
def test_any_combination_fills_to_length_within_budget(sampler, kind, point):
    runs_and_keeps_every_law(sampler, kind, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", [p for p in GRID if p not in CHOSEN], ids=str)
@pytest.mark.parametrize(("sampler", "kind"), tiny.pairs())
def test_every_combination_fills_to_length_within_budget(sampler, kind, point):
    runs_and_keeps_every_law(sampler, kind, point)
