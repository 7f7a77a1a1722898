"""Intervals and tests against scipy and published worked examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.study.statistics import (
    compare,
    holm,
    mcnemar,
    mean,
    paired_bootstrap,
    trials_for,
    wilson,
)


def close(value, digits=4):
    return pytest.approx(value, abs=0.6 * 10**-digits)


def test_wilson_equals_newcombes_table():
    # Newcombe 1998 (Statistics in Medicine 17, 857), table I, method 3.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, trials), ends in published.items():
        outcome = wilson(successes, trials)
        assert (outcome.low, outcome.high) == (close(ends[0]), close(ends[1]))
        assert outcome.estimate == successes / trials


def test_wilson_refuses_more_successes_than_trials():
    with pytest.raises(ValueError, match="from 0 to the 3 trials, got 4"):
        wilson(4, 3)
    assert np.isnan(wilson(0, 0).estimate)


def test_bootstrap_mean_agrees_with_scipy():
    values = np.random.default_rng(3).gamma(2.0, 1.5, 120)
    ours = mean(values, seed=1)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.estimate == pytest.approx(values.mean())
    assert abs(ours.low - theirs.low) < 0.05 * width and abs(ours.high - theirs.high) < 0.05 * width
    assert mean(values, seed=1) == ours != mean(values, seed=2)


def test_bootstrap_of_few_values_agrees_with_scipy():
    values = np.repeat([0.0, 0.5, 1.0], [30, 10, 60])
    ours = mean(values)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_mean_of_equal_values_has_no_width():
    assert mean([2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert np.isnan(mean([]).low)


def pairs(both, only_a, only_b, neither):
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    return a, b


def test_mcnemar_is_exact_binomial():
    # Fay 2011, R package exact2x2, mcnemar.exact: 21 and 9 discordant pairs, p = 0.04277.
    outcome = mcnemar(*pairs(51, 21, 9, 100))
    assert outcome.p_value == close(0.04277, 5)
    assert outcome.p_value == pytest.approx(stats.binomtest(21, 30).pvalue)


def test_paired_interval_equals_newcombes_table():
    # Newcombe 1998 (Statistics in Medicine 17, 2635), table II, method 10: 36, 12, 2 and 0.
    outcome = mcnemar(*pairs(36, 12, 2, 0)).difference
    assert outcome == (close(0.2), close(0.0569), close(0.3404))


def test_paired_interval_covers_true_difference():
    random, covered = np.random.default_rng(8), 0
    for _ in range(400):
        common = random.random(80)
        a, b = common < 0.8, np.where(random.random(80) < 0.3, random.random(80), common) < 0.7
        covered += 0.1 in mcnemar(a, b).difference
    assert covered >= 0.93 * 400


def test_equal_settings_cannot_be_distinguished():
    solved = np.array([1, 0, 1, 1])
    assert mcnemar(solved, solved).p_value == 1.0
    assert paired_bootstrap(solved * 1.5, solved * 1.5).p_value == 1.0


def test_comparison_needs_same_instances():
    with pytest.raises(ValueError, match="over the same instances"):
        compare(np.ones(3), np.ones(4))


def test_rates_take_mcnemar_and_means_bootstrap():
    a, b = pairs(10, 5, 1, 4)
    assert compare(a, b) == mcnemar(a, b)
    assert compare(a * 0.5, b * 0.5) == paired_bootstrap(a * 0.5, b * 0.5)


def test_bootstrap_p_value_agrees_with_t_test():
    random = np.random.default_rng(4)
    a = random.normal(0.25, 1, 200)
    b = random.normal(0, 1, 200)
    assert paired_bootstrap(a, b).p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def test_holm_equals_published_example():
    # R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm").
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    # Wikipedia, "Holm-Bonferroni method": only the first hypotheses of p = .01, .04, .03, .005.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_falls_below_p_nor_above_bonferroni(p_values):
    for p_value, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p_value <= adjusted <= min(1.0, len(p_values) * p_value) + 1e-12


def test_rate_of_one_half_within_3_points_needs_1068_rows():
    assert trials_for(0.03) == 1068
    with pytest.raises(ValueError, match="between 0 and 1"):
        trials_for(0)
