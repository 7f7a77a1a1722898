"""GIDD's self-correction beside the official loop, written out plainly."""

import pytest
import torch

import samplers
from samplers.canvas import Canvas
from samplers.noise import Noise
from samplers.registry import Sampler
from tests.kit import tiny

V, MASK, WIDTH = 12, 11, 6


class Network:
    """A denoiser whose answer depends on all tokens, so that corrections go on for a while."""

    def __init__(self, seed):
        random = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(WIDTH, V, WIDTH, V, generator=random)
        self.card = tiny.card(V, attention="full", corruption="hybrid", noise_ids=tuple(range(11)))

    def __call__(self, tokens, *, window, t=None, rows=None, guidance=None):
        columns = torch.arange(WIDTH)
        logits = torch.stack([self.weights[columns, row].sum(0) for row in tokens])
        return logits.index_fill(-1, torch.tensor([MASK]), -torch.inf)


def official(network, z, noise, temperature, patience, steps):
    """One row at a time: draw all, write the most likely change, stop as the published code does.

    Agreement is taken after the change; the change that exceeds the patience is not written.
    """
    best, waited, lines = 0.0, 0, [z.tolist()]
    where = torch.ones(1, WIDTH, dtype=torch.bool)
    for _ in range(steps):
        logits = network(z[None], window=slice(0, WIDTH))
        weights = (logits / temperature).softmax(-1)
        ids = noise.categorical(weights, where, "correction")[0]
        score = (ids != z) * weights[0].gather(-1, ids[:, None])[:, 0]
        after = z.clone()
        after[score.argmax()] = ids[score.argmax()]
        agreement = float((after == logits[0].argmax(-1)).double().mean())
        best, waited = (agreement, 0) if agreement > best else (best, waited + 1)
        if waited > patience:
            break
        unchanged = torch.equal(after, z)
        z = after
        lines.append(z.tolist())
        if unchanged:
            break
    return lines


def ours(network, z, noise, temperature, patience, steps):
    """The tokens after each call of the correction of `hybrid`, one row."""
    x = z[None]
    free = torch.ones_like(x, dtype=torch.bool)
    canvas = Canvas(x, free, free, MASK)
    run = _correct(network, canvas, noise, x, slice(0, WIDTH), steps, temperature, patience)
    return [z.tolist(), *(step.tokens[0].tolist() for step in run)]


def _correct(*arguments):
    hybrid = samplers.get("hybrid")
    assert isinstance(hybrid, Sampler)
    module = __import__("samplers.hybrid", fromlist=["correct"])
    return module.correct(*arguments)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_self_correction_stops_as_published(patience):
    ended = set()
    for seed in range(20):
        network = Network(seed)
        z = torch.randint(0, MASK, (WIDTH,), generator=torch.Generator().manual_seed(seed))
        theirs = official(network, z, Noise(seed, [0]), 1.5, patience, 40)
        mine = ours(network, z, Noise(seed, [0]), 1.5, patience, 40)
        assert mine[: len(theirs)] == theirs
        assert all(line == theirs[-1] for line in mine[len(theirs) :]) and len(mine) < 42
        ended.add(len(mine) > len(theirs))
    assert True in ended, "some row ran out of patience"
