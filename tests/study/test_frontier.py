"""The frontier by brute force, the best under a budget, and what cannot be told from it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.study.frontier import Scores, band, best_under, frontier

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(POINTS)
def test_frontier_equals_brute_force(points):
    cost = np.array([c for c, _ in points], float)
    score = np.array([s for _, s in points], float)
    for (c, s), member in zip(points, frontier(cost, score), strict=True):
        beaten = any(a <= c and b >= s and (a, b) != (c, s) for a, b in points)
        assert member == (not beaten)


def test_points_without_number_are_not_on_frontier():
    assert frontier([1.0, np.nan, 0.5], [0.2, 0.9, np.nan]).tolist() == [True, False, False]


def rates(*shares, count=200):
    """Settings a, b, ... that solve the first share of the instances, at 10, 20, ... calls."""
    return {
        "abcdef"[i]: Scores((np.arange(count) < share * count).astype(float), 10.0 * (i + 1))
        for i, share in enumerate(shares)
    }


def test_best_under_budget_names_what_it_cannot_be_told_from():
    best = best_under(rates(0.5, 0.95, 0.94, 1.0), 30)
    assert best.name == "b" and best.cost == 20
    assert best.score.low < 0.95 < best.score.high
    assert best.indistinguishable == ("c",)
    assert [rival.name for rival in best.rivals if rival.distinguishable] == ["a"]


def test_of_equal_scores_cheapest_is_best():
    assert best_under(rates(0.9, 0.9), 100).name == "a"


def test_nothing_fits_budget_below_every_cost():
    assert best_under(rates(0.9), 5) is None
    assert np.isnan(band(rates(0.9), [5])).all()


def test_comparisons_are_corrected_for_their_number():
    one = best_under({"a": rates(1.0)["a"], "b": rates(0.97)["a"]}, 100)
    many = best_under({"a": rates(1.0)["a"], **{f"b{i}": rates(0.97)["a"] for i in range(20)}}, 100)
    assert one.rivals[0].distinguishable and not many.rivals[0].distinguishable


def test_band_holds_best_score_at_every_budget():
    outcome = band(rates(0.5, 0.9), [5, 10, 20])
    assert np.isnan(outcome[0]).all()
    assert outcome[1, 0] == 0.5 and outcome[2, 0] == 0.9
    assert (outcome[1:, 1] < outcome[1:, 0]).all() and (outcome[1:, 0] < outcome[1:, 2]).all()
    assert 0.05 < outcome[1, 2] - outcome[1, 1] < 0.2


def test_setting_of_fewer_rows_is_compared_on_those_it_has():
    many, few = rates(0.5, count=200)["a"], Scores(np.ones(20), 10.0)
    best = best_under({"many": many, "few": few}, 10)
    assert best.name == "few" and best.indistinguishable == ("many",)
    assert best.rivals[0].comparison.difference.estimate == 0  # the first 20 of many are solved
