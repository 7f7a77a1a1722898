"""Distances, their noise floor and their slope, against hand computations."""

import numpy as np
import pytest

from lab.study.truth import (
    distance,
    frequencies,
    noise_floor,
    slope,
    transition_rates,
)

TRUTH = np.array([0.5, 0.3, 0.2])
CHAIN = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])


def test_distance_equals_hand_computation():
    outcome = distance(np.array([0.4, 0.4, 0.2]), TRUTH)
    assert outcome.total_variation == pytest.approx(0.1)
    assert outcome.kl == pytest.approx(0.4 * np.log(0.8) + 0.4 * np.log(4 / 3))
    assert distance(TRUTH, TRUTH) == (0.0, 0.0)


def test_what_truth_does_not_list_is_wrong():
    outcome = distance(np.array([0.5, 0.3, 0.1]), TRUTH)
    assert outcome.total_variation == pytest.approx(0.1) and outcome.kl == float("inf")
    assert distance(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == (0.5, float("inf"))


def test_frequencies_count_rows_and_leave_out_unlisted_ones():
    rows = np.array([[0, 1], [0, 1], [2, 2], [1, 0]])
    assert frequencies(rows, np.array([[0, 1], [1, 0]])).tolist() == [0.5, 0.25]


def test_noise_floor_holds_perfect_rows():
    floor = noise_floor(TRUTH, 500)
    random = np.random.default_rng(9)
    seen = [
        distance(random.multinomial(500, TRUTH) / 500, TRUTH).total_variation for _ in range(400)
    ]
    assert floor.mean.total_variation == pytest.approx(np.mean(seen), rel=0.1)
    assert 0.92 < np.mean(np.array(seen) <= floor.high.total_variation) < 0.98
    assert noise_floor(TRUTH, 5000).mean.total_variation < floor.mean.total_variation / 2


def rows_of(chain, count, length, seed):
    random = np.random.default_rng(seed)
    rows = np.zeros((count, length), int)
    for column in range(1, length):
        edges = chain[rows[:, column - 1]].cumsum(1)
        rows[:, column] = (random.random((count, 1)) > edges).sum(1)
    return rows


def test_transition_rates_of_perfect_rows_are_their_bias():
    outcome = transition_rates(rows_of(CHAIN, 400, 50, 1), CHAIN)
    assert outcome.transitions == 400 * 49
    assert 0 < outcome.kl_rate < 3 * 3 * 2 / (2 * outcome.transitions)
    assert outcome.tv_rate < 0.01


def test_transition_rates_equal_weighted_sum():
    other = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    rows = rows_of(other, 4000, 50, 2)
    share = (rows[:, :-1] == 0).mean()
    kl = 0.6 * np.log(0.6 / 0.7) + 0.3 * np.log(0.3 / 0.2)
    outcome = transition_rates(rows, CHAIN)
    assert outcome.kl_rate == pytest.approx(share * kl, rel=0.1)
    assert outcome.tv_rate == pytest.approx(share * 0.1, abs=0.003)


def test_states_count_as_often_as_they_are_left():
    rows = np.array([[0, 0, 0, 0, 1, 2]])  # 0 is left four times, 1 once
    chain = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.4, 0.3, 0.3]])
    of_0 = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.25)
    of_1 = np.log(1 / 0.5)
    outcome = transition_rates(rows, chain)
    assert outcome.kl_rate == pytest.approx(0.8 * of_0 + 0.2 * of_1)
    assert outcome.tv_rate == pytest.approx(0.8 * 0.25 + 0.2 * 0.5)


def test_forbidden_transition_makes_kl_rate_infinite():
    chain = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert transition_rates(np.array([[0, 2]]), chain).kl_rate == float("inf")
    assert np.isnan(transition_rates(np.array([[3, 3]]), chain).kl_rate)


@pytest.mark.parametrize("exponent", [-1.0, -0.5])
def test_slope_is_exponent_above_floor(exponent):
    calls = [2, 4, 8, 16, 32, 64]
    distances = [0.3 * n**exponent for n in calls]
    assert slope(calls, distances).value == pytest.approx(exponent)
    floor = distances[-2] / 1.5
    outcome = slope(calls, [max(d, floor) for d in distances], floor)
    assert outcome.value == pytest.approx(exponent) and outcome.points == 4


def test_slope_needs_two_points_above_floor():
    assert np.isnan(slope([2, 4], [0.1, 0.01], floor=0.02).value)
