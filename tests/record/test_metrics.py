"""The numbers of hand-made runs, worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lab.record.metrics import (
    HEADINGS,
    Metrics,
    distinct,
    entropy,
    metrics,
    table,
    written_confidence,
)
from tests.kit.trajectories import EOS, ids, make


def test_numbers_of_run_that_edits_and_remasks():
    run = make(["a____", "ab_c_", "ad_c_", "ad___", "adcec"], prompt=1, calls=[1, 2, 2, 4])
    result = metrics(run)
    assert (result.calls, result.tokens, result.edits, result.remasks) == (4, 4, 1, 1)
    assert result.tokens_per_call == 1.0
    assert result.seconds == pytest.approx(0.4) and result.model_seconds == pytest.approx(0.28)
    assert result.other_seconds == pytest.approx(0.12)
    assert result.tokens_per_second == pytest.approx(4 / 0.4)
    # Written in step 2 at position 1, in step 4 at 2, 3 and 4: (step + position / 100) / 10.
    assert result.confidence == pytest.approx((0.201 + 0.402 + 0.403 + 0.404) / 4, rel=1e-6)
    assert result.entropy == pytest.approx(-(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25)))
    assert (result.distinct_1, result.distinct_2, result.distinct_3) == (0.75, 1.0, 1.0)


def test_tokens_count_up_to_eos_and_text_leaves_it_out():
    run = make(["____", "ab$c"], output=ids("ab$"))
    result = metrics(run)
    assert result.tokens == 3 and result.tokens_per_call == 3.0
    assert result.entropy == pytest.approx(math.log(2)) and result.distinct_1 == 1.0
    assert result.confidence == pytest.approx((0.1 + 0.101 + 0.102) / 3, rel=1e-6)


def test_stopped_run_counts_neither_masks_nor_noise():
    assert metrics(make(["___", "a__"], output=ids("a__"))).tokens == 1
    assert math.isnan(metrics(make(["___", "_$_"], output=ids("_$_"))).entropy)
    noisy = make(["abc", "dbc"], ["d--"], corruption="uniform", mask_id=None)
    assert metrics(noisy).tokens == 1
    assert metrics(noisy).confidence == pytest.approx(0.1, rel=1e-6)


def test_run_that_never_began_has_no_ratios():
    result = metrics(make(["a__"], prompt=1))
    assert (result.calls, result.tokens, result.seconds, result.edits) == (0, 0, 0.0, 0)
    assert math.isnan(result.tokens_per_call) and math.isnan(result.tokens_per_second)
    assert math.isnan(result.confidence) and math.isnan(result.entropy)
    assert math.isnan(result.distinct_3)


def test_confidence_at_commit_is_of_step_that_wrote_token():
    run = make(["a__", "ab_", "abc"], prompt=1)
    expected = [np.nan, 0.101, 0.202]
    assert np.allclose(written_confidence(run), expected, rtol=1e-6, equal_nan=True)
    unknown = replace(run, confidence=np.full((2, 3), np.nan))
    assert math.isnan(metrics(unknown).confidence)


@pytest.mark.parametrize(
    "line, expected",
    [
        ("aaaa", (0.25, 1 / 3, 0.5)),
        ("abab", (0.5, 2 / 3, 1)),
        ("abcd", (1, 1, 1)),
        ("a", (1, None, None)),
    ],
)
def test_distinct_n_grams(line, expected):
    for n, share in enumerate(expected, 1):
        result = distinct(ids(line), n)
        assert math.isnan(result) if share is None else result == share


def test_entropy_is_in_nats():
    assert entropy([7, 7, 7]) == 0.0 and str(entropy([7])) == "0.0"
    assert entropy([1, 2, 3, 4]) == pytest.approx(math.log(4))
    assert math.isnan(entropy([]))


def test_table_has_one_readable_line_run():
    runs = [make(["__", "ab"]), make(["__", "a_", "a$"], sampler="llada2", row=1)]
    frame = table(runs)
    assert frame.Sampler.tolist() == ["mdlm", "llada2"] and frame.Row.tolist() == [0, 1]
    assert frame["Tokens per call"].tolist() == [2.0, 1.0]
    assert frame["Mean confidence at commit"].tolist() == [0.1005, 0.1505]
    assert frame["Model calls"].dtype.kind == "i"
    assert list(table([]).columns) == list(frame.columns)
    assert HEADINGS.keys() == set(Metrics._fields) - {"seconds"}
    assert EOS not in frame["Tokens"].tolist()
