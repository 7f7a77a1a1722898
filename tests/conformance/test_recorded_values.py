"""What is recorded of a call is what the model's distribution says, at any level of its logits."""

import numpy as np
import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.laws import record

V = 12


def answer(ids):
    """Logits [B, T, V] in steps of 1/8, so that no added level of these tests rounds them."""
    column = torch.arange(ids.shape[1])[:, None]
    return (((7 * torch.arange(V) + 3 * column) % 11) / 8).expand(*ids.shape, V)


def first_frame(level):
    model = lab.wrap(lambda ids: answer(ids) + level, tiny.card(V, attention="full"))
    return record("max_prob", model, [[0]], gen_length=6).frames[1]


@pytest.mark.parametrize("level", [1e3, -1e3, 1e5])
def test_entropy_and_confidence_do_not_depend_on_level(level):
    plain, raised = first_frame(0.0), first_frame(level)
    p = answer(torch.zeros(1, 7, dtype=torch.int64)).double()[..., : V - 1].softmax(-1)
    entropy = torch.special.entr(p).sum(-1)[0, 1:].numpy()
    assert np.allclose(plain.entropy[0], entropy, atol=1e-5)
    assert np.allclose(raised.entropy, plain.entropy, atol=1e-5)
    assert np.allclose(raised.confidence, plain.confidence, atol=1e-6)
    assert np.allclose(raised.top_probabilities, plain.top_probabilities, atol=1e-6)
