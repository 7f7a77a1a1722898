"""GIDD's bound and weights: the entropy of a known chain, the paper's closed forms."""

import itertools

import numpy
import pytest
import torch

from lab.train import gidd
from lab.train.corpus import generator, pack, windows
from lab.train.replacement_noise import hybrid
from tests.kit.chain import DATA as P
from tests.kit.chain import MASK
from tests.kit.chain import SEQUENCES as X
from tests.kit.stories import STORIES


def integral(curve_of, convert: bool) -> float:
    """Integrate GIDD's bound over the chain with exact posteriors, 60 nodes in s (t = sin^2)."""
    z = torch.tensor(list(itertools.product(range(4), repeat=4)))
    low = 2 / numpy.pi * numpy.arcsin(1e-2)
    node, share = numpy.polynomial.legendre.leggauss(60)
    s = low + (1 - 2 * low) * (node + 1) / 2
    total = 0.0
    for unit, part in zip(s, share * (1 - 2 * low) / 2, strict=True):
        t = torch.tensor(numpy.sin(numpy.pi / 2 * unit) ** 2)
        jacobian = numpy.pi / 2 * numpy.sin(numpy.pi * unit)
        level = curve_of(t)
        kernel = torch.zeros(3, 4, dtype=torch.float64) + level.each
        kernel[:, MASK] = level.mask
        kernel[range(3), range(3)] += level.alpha
        chance = kernel[X[:, None], z[None]]  # [81, 256, 4]
        joint = P[:, None] * chance.prod(-1)
        for column in range(4):
            table = torch.stack([joint[X[:, column] == v].sum(0) for v in range(3)], 1)
            log_full = torch.cat([table, torch.zeros(256, 1)], 1).log()
            possible = joint.sum(0) > 0
            pair = [(v, k) for v in range(3) for k in range(256) if possible[k]]
            clean, index = (torch.tensor(each) for each in zip(*pair, strict=True))
            noisy, curve = z[index, column], curve_of(t.expand(len(pair)))
            answer = log_full[index].log_softmax(1)
            if convert:
                answer = gidd.leave_one_out(answer, noisy, curve, MASK)
            value = gidd.integrand(answer, noisy, clean, curve, MASK)
            total += part * jacobian * float((value * table[index, clean]).sum())
    return total


@pytest.mark.parametrize(("p_uniform", "expected"), [(0.1, 3.46594), (0.2, 3.42587)])
def test_gidd_bound_equals_entropy(p_uniform, expected):
    def curve(t):
        return gidd.marginal(t, p_uniform, 4)

    assert integral(curve, convert=True) == pytest.approx(expected, abs=1e-3)
    assert integral(curve, convert=False) > expected + 0.5, "a full posterior was taken"


def test_uniform_bound_equals_entropy():
    """With the exact posterior UDLM's bound is the chain's entropy, less what t < 1e-4 holds."""
    entropy = -float((P * P.log()).sum())

    def curve(t):
        return gidd.uniform_marginal(t, 4)

    assert integral(curve, convert=True) == pytest.approx(entropy, abs=5e-3)
    assert integral(curve, convert=False) > entropy + 0.5, "a full posterior was taken"


def test_gidd_weights_are_papers_closed_forms():
    time, p_uniform, size = torch.tensor([0.1, 0.5, 0.83]).double(), 0.2, 12
    curve = gidd.marginal(time, p_uniform, size)
    others = size - 1
    c = 2 * p_uniform / (1 - p_uniform) * (time * (1 - time)).sqrt()
    slope = 0.5 * (1 - 2 * time) / (time * (1 - time)) * c
    mask, clean, other = (torch.full((3,), token) for token in (MASK, 5, 7))
    rest = 1 - time
    expected = {
        mask: 1 / (time * rest),
        clean: (c + rest * slope) / others / (rest * (rest + c / others)),
        other: (c + rest * slope) / (rest * c),
    }
    for noisy, value in expected.items():
        torch.testing.assert_close(gidd.weight(noisy, clean, curve, MASK), value)
    weights = [gidd.dynamic(z, clean, time, p_uniform, size, MASK) for z in (mask, other, clean)]
    assert weights[0].tolist() == [2, 2, 2] and weights[1].tolist() == [1, 1, 1]
    torch.testing.assert_close(weights[2], 0.5 / size * (torch.sigmoid(-time) / 2).exp())


@pytest.mark.parametrize("weighting", ["elbo", "clip", "dynamic"])
def test_hybrid_losses_of_paper(learner, tokenizer, weighting):
    rows, size = windows(pack(tokenizer, STORIES), 3, 16, generator(8)), len(tokenizer)
    mask_id = tokenizer.mask_token_id
    problem = hybrid(
        rows, mask_id, generator(6), vocab_size=size, p_uniform=0.3, weighting=weighting
    )
    time = problem.divergence.time[:, 1:].flatten()
    with torch.no_grad():
        loss, log_loo = learner(problem), learner.logits(problem).double().log_softmax(1)
    curve = gidd.marginal(time, 0.3, size)
    clean, noisy = rows[:, 1:].flatten(), problem.inputs[:, 1:].flatten()
    each = gidd.integrand(log_loo, noisy, clean, curve, mask_id)
    elbo = gidd.weight(noisy, clean, curve, mask_id)
    used = {
        "elbo": elbo,
        "clip": elbo.clamp(max=2.0),
        "dynamic": gidd.dynamic(noisy, clean, time, 0.3, size, mask_id),
    }[weighting]
    assert (elbo > 2).any() and (noisy != clean)[noisy != mask_id].any()
    torch.testing.assert_close(loss, (each / elbo * used).mean())


def test_full_and_leave_one_out_are_each_others_inverse():
    log_full = torch.randn(5, 6, generator=generator(1)).double().log_softmax(1)
    noisy = torch.tensor([0, 1, MASK, 4, 5])
    curve = gidd.marginal(torch.full((5,), 0.4), 0.2, 6)
    log_loo = gidd.leave_one_out(log_full, noisy, curve, MASK)
    assert (log_loo[2] == log_full[2]).all() and (log_loo[0, 0] < log_full[0, 0] - 1).all()
    torch.testing.assert_close(gidd.full(log_loo, noisy, curve, MASK), log_full)
