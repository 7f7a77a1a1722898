"""Tokens from logits: temperature, filters, and a confidence that keeps its digits near 1."""

import math
from fractions import Fraction

import pytest
import torch

from samplers.draw import (
    _lead,
    draw,
    draw_tokens,
    entropy,
    log_margin,
    log_probability,
    log_top,
    most_likely,
    ranking,
    token_weights,
)
from samplers.noise import Noise
from samplers.nucleus import BUCKETED

torch.set_num_threads(1)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_temperature_zero_and_one_in_million_are_greedy():
    logits = random(30, 500)
    for temperature in (0.0, 1e-6):
        weights = token_weights(logits, temperature)
        assert torch.equal(weights.argmax(-1), logits.argmax(-1))
        assert (weights.amax(-1) == 1).all() and torch.isfinite(weights).all()


def test_temperature_divides_logits():
    logits = random(4, 9)
    for temperature in (0.3, 1.0, 2.0):
        torch.testing.assert_close(
            token_weights(logits, temperature), (logits / temperature).softmax(-1)
        )


def test_top_k_keeps_k_tokens_or_all_there_are():
    logits = random(5, 40)
    assert ((token_weights(logits, top_k=3) > 0).sum(-1) == 3).all()
    for k in (40, 41, 200_000):
        assert torch.equal(token_weights(logits, top_k=k), token_weights(logits))


@pytest.mark.parametrize("rule", ["keep_crossing", "drop_crossing"])
def test_top_p_zero_keeps_one_token_and_one_keeps_all(rule):
    logits = random(5, 400)
    for top_p in (0.0, 1e-9):
        weights = token_weights(logits, top_p=top_p, nucleus_rule=rule)
        assert ((weights > 0).sum(-1) == 1).all()
        assert torch.equal(weights.argmax(-1), logits.argmax(-1))
    assert torch.equal(token_weights(logits, top_p=1.0, nucleus_rule=rule), token_weights(logits))


def test_nucleus_rules_differ_in_crossing_token():
    logits = torch.tensor([[0.1, 0.5, 0.4]]).log()
    keep = token_weights(logits, top_p=0.8, nucleus_rule="keep_crossing")
    drop = token_weights(logits, top_p=0.8, nucleus_rule="drop_crossing")
    torch.testing.assert_close(keep, torch.tensor([[0, 5 / 9, 4 / 9]]))
    torch.testing.assert_close(drop, torch.tensor([[0.0, 1.0, 0.0]]))


def test_nucleus_may_be_wider_than_256_tokens():
    logits = torch.zeros(2, 5000)
    inside = (token_weights(logits, top_p=0.5) > 0).sum(-1)
    assert ((inside >= 2500) & (inside <= 2501)).all()


def test_banned_tokens_stay_banned_through_every_filter():
    logits = random(3, 60)
    logits[:, ::2] = -torch.inf
    for filters in ({}, {"top_k": 50}, {"top_p": 0.999}, {"temperature": 2.0}, {"temperature": 0}):
        assert (token_weights(logits, **filters)[:, ::2] == 0).all()


@pytest.mark.parametrize("temperature", [5e-324, 1e-46, 1e-300, 9e-7])
def test_temperature_below_millionth_is_zero(temperature):
    logits, where = random(2, 6, 30), torch.ones(2, 6, dtype=torch.bool)
    weights = token_weights(logits, temperature)
    assert torch.equal(weights, token_weights(logits, 0.0)) and (weights.sum(-1) == 1).all()
    greedy, _ = draw(logits, where, Noise(0, [0, 1]), 0.0)
    assert torch.equal(draw(logits, where, Noise(0, [0, 1]), temperature)[0], greedy)


@pytest.mark.parametrize("rule", ["keep_crossing", "drop_crossing"])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.9999])
def test_nucleus_of_large_vocabulary_is_that_of_sort(rule, top_p):
    logits = 3 * random(3, BUCKETED + 7)
    logits[1] = logits[1].round()  # many ties: the lower ids come first
    logits[2, 5] = 30.0  # alone beyond top_p
    weights, ids = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
    mass = weights.double().cumsum(-1) / weights.double().sum(-1, keepdim=True)
    inside = (mass if rule == "drop_crossing" else mass - weights.double()) <= top_p
    inside[:, 0] = True
    expected = torch.zeros_like(inside).scatter(-1, ids, inside)
    nucleus = token_weights(logits, top_p=top_p, nucleus_rule=rule)
    assert torch.equal(nucleus > 0, expected)
    torch.testing.assert_close(nucleus.sum(-1), torch.ones(3))


def test_confidence_is_at_temperature_1_unfiltered():
    logits, where = random(2, 6, 30), random(2, 6, seed=1) > 0
    for filters in ({"temperature": 0.0}, {"temperature": 0.3, "top_k": 1}, {"top_p": 0.1}):
        ids, log_p = draw(logits, where, Noise(0, [0, 1]), **filters)
        assert (ids[~where] == -1).all() and (log_p[~where] == -torch.inf).all()
        p = logits.double().log_softmax(-1).gather(-1, ids.clamp(min=0)[..., None])[..., 0]
        torch.testing.assert_close(log_p[where], p[where], atol=1e-6, rtol=1e-6)
    assert torch.equal(log_probability(logits, ids, where), log_p)


# Confidence near 1. A probability of 1 - 1e-20 is 1.0 in float64: its column would decide.


def doubt(logits):
    """1 - p and the probability of the second, of the best token, in exact arithmetic of exp."""
    best, second, *rest = sorted(map(float, logits), reverse=True)
    weights = [Fraction(math.exp(x - best)) for x in (second, *rest)]
    total = 1 + sum(weights)
    return sum(weights) / total, weights[0] / total


@pytest.mark.parametrize("scale", [0.5, 5.0, 20.0, 50.0])
def test_confidence_keeps_its_digits_near_one(scale):
    logits = scale * random(1, 40, 30)
    where = torch.ones(1, 40, dtype=torch.bool)
    log_p = log_probability(logits, logits.argmax(-1), where)[0]
    for row, one in zip(logits[0], log_p.tolist(), strict=True):
        target, _ = doubt(row)
        assert -math.expm1(one) == pytest.approx(float(target), rel=1e-6, abs=0)
    assert torch.equal(log_p, log_top(logits)[0])


@pytest.mark.parametrize("size", [30, 2000])
@pytest.mark.parametrize("scale", [1.0, 20.0, 50.0])
def test_drawn_token_keeps_digits_of_its_confidence(size, scale):
    logits, where = scale * random(2, 60, size), random(2, 60, seed=1) > -1
    ids, log_p = draw(logits, where, Noise(0, [0, 1]))
    token = ids.clamp(min=0)[..., None]
    own = logits.double().gather(-1, token)[..., 0]
    odds = own - logits.double().scatter(-1, token, -torch.inf).logsumexp(-1)
    ours = log_p - (-log_p.expm1()).log()
    torch.testing.assert_close(ours[where], odds[where], atol=1e-6, rtol=1e-9)
    assert (log_p[~where] == -torch.inf).all()


def test_nothing_is_drawn_where_nothing_is_asked():
    noise = Noise(0, [0])
    for temperature in (0.0, 0.5, 1.0):
        ids, log_p = draw(random(1, 3, 40), torch.zeros(1, 3, dtype=torch.bool), noise, temperature)
        assert (ids == -1).all() and (log_p == -torch.inf).all()


@pytest.mark.parametrize("size", [30, 2000])
def test_tokens_are_same_without_their_probabilities(size):
    logits, where = random(2, 9, size), random(2, 9, seed=1) > 0
    for settings in ({"temperature": 0.0}, {}, {"temperature": 0.4, "top_k": 5}, {"top_p": 0.8}):
        both = [one(logits, where, Noise(7, [0, 1]), **settings) for one in (draw, draw_tokens)]
        assert torch.equal(both[0][0], both[1])


@pytest.mark.parametrize("scale", [1.0, 10.0, 30.0, 90.0])
@pytest.mark.parametrize("size", [1023, 1024, 1300, 4097])
def test_sharp_large_vocabulary_keeps_its_digits(size, scale):
    """A CPU reads a large one from a softmax, which errs by less than a tenth of a tie."""
    logits = scale * random(40, size, seed=size)
    logits[0, 1:] = -torch.inf
    best, top = logits.double().max(-1, keepdim=True)
    target = logits.double().scatter(-1, top, -torch.inf).logsumexp(-1) - best[:, 0]
    for odds in (_lead(logits).odds, -torch.log(torch.expm1(-log_top(logits[None]))[0] ** -1)):
        torch.testing.assert_close(odds, target, atol=1e-6, rtol=1e-9)
    assert torch.equal(_lead(logits).best, best[:, 0])


@pytest.mark.parametrize("size", [3, 1023, 1024, 1030, 4096, 4097])
def test_most_likely_is_first_of_largest(size):
    logits = random(50, size).mul_(2).round_()  # many ties
    logits[:7, -1] = 99.0
    logits[3:7, 2] = 99.0
    assert torch.equal(most_likely(logits), logits.argmax(-1))
    assert most_likely(logits)[:7].tolist() == [size - 1] * 3 + [2] * 4


@pytest.mark.parametrize("scale", [0.5, 5.0, 20.0])
def test_margin_keeps_its_digits_near_one(scale):
    logits = scale * random(1, 40, 30)
    for row, one in zip(logits[0], log_margin(logits)[0].tolist(), strict=True):
        others, second = doubt(row)
        assert -math.expm1(one) == pytest.approx(float(others + second), rel=1e-5, abs=0)


@pytest.mark.parametrize("scale", [5.0, 20.0])
def test_confident_positions_are_ranked_as_in_exact_arithmetic(scale):
    """The most confident of 12 columns: float32 let the column decide in 56 and 80 of 100 rows."""
    logits = scale * random(60, 12, 50, seed=3)
    where = torch.ones(60, 12, dtype=torch.bool)
    _, log_p = draw(logits, where, Noise(0, range(60)), 0.0)
    exact = [min(range(12), key=lambda column: doubt(row[column])[0]) for row in logits]
    assert ranking(log_p).argmax(-1).tolist() == exact


def test_real_ties_stay_ties():
    """The same confidence at another level, which float32 rounds, or off by its last digit."""
    same = torch.tensor([[9.0, 1.1, 2.3], [1.1, 2.3, 9.0], [109.0, 101.1, 102.3]])
    logits = torch.cat([same, same[:1] * (1 + 2**-23)])[None]
    _, log_p = draw(logits, torch.ones(1, 4, dtype=torch.bool), Noise(0, [0]), 0.0)
    assert len(ranking(log_p).unique()) == 1 < len(log_p.unique())
    assert ranking(log_p + torch.tensor([0, 1e-4, 0, 0])).argmax() == 1
    assert ranking(torch.tensor([-torch.inf, 0.0])).tolist() == [-math.inf, math.inf]
    assert ranking(log_margin(torch.ones(1, 1, 3))).isfinite(), "no margin at all is still ranked"


def test_one_possible_token_is_certain():
    logits = torch.full((1, 2, 5), -torch.inf)
    logits[..., 3] = 7.0
    ids, log_p = draw(logits, torch.ones(1, 2, dtype=torch.bool), Noise(0, [0]))
    assert ids.tolist() == [[3, 3]] and log_p.tolist() == [[0, 0]]
    assert log_top(logits).tolist() == log_margin(logits).tolist() == [[0, 0]]
    assert entropy(logits).tolist() == [[0, 0]]


def test_entropy_keeps_its_digits_and_ignores_level():
    logits = torch.tensor([[[0.0, 0.0, -torch.inf], [60.0, 0.0, 0.0], [1060.0, 1000.0, 1000.0]]])
    spread, sharp, raised = entropy(logits)[0].tolist()
    assert spread == pytest.approx(math.log(2)) and sharp == raised
    assert sharp == pytest.approx(2 * math.exp(-60) * (60 + 1), rel=1e-6)
