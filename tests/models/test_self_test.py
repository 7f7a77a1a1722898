"""The test that every opened model takes: it asks where it can, and convicts who looks elsewhere.

A model that learned something is asked about masked positions among ordinary tokens, whatever the
size of its vocabulary (docs/laws.md P8).
"""

from functools import cache
from itertools import product

import pytest
import torch

from lab.models.model import Model, ModelCard
from lab.models.self_test import check_attention, ordinary_tokens

SIZES = [*range(2, 41), 97, 512, 4099]
NAMES = ("mask_id", "pad_id", "bos_id", "eos_ids")


ORDERS = {  # which columns (of `wide`) a column sees
    "full": lambda wide: wide[None] >= 0 * wide[:, None],
    "left": lambda wide: wide[None] <= wide[:, None],
    "causal": lambda wide: wide[None] < wide[:, None],
}


@cache
def parameters(size):
    random = torch.Generator().manual_seed(3)
    return torch.randn(size + 1, 8, generator=random), torch.randn(8, size, generator=random)


class Sums(Model):
    """Logits that depend on all columns which `order` lets a column see; the last `special` ids of
    the vocabulary have a meaning."""

    def __init__(self, size, order="full", attention="full", special=0, **facts):
        ids = range(size - special, size)
        known = {
            name: (i,) if name == "eos_ids" else i for name, i in zip(NAMES, ids, strict=False)
        }
        self.card = ModelCard("sums", size, attention=attention, **{**known, **facts})
        self.order, self.seen = ORDERS[order], []

    def forward(self, tokens, visible, window, t, block_length, cache, rows):
        self.seen.extend(tuple(row) for row in tokens.tolist())
        wide = torch.arange(tokens.shape[1])
        vectors, head = parameters(self.card.vocab_size)
        weight = self.order(wide) * (1 + wide) * visible
        return (weight.float() @ vectors[tokens] @ head)[:, window]


@pytest.mark.parametrize("size", SIZES)
def test_honest_model_passes_at_every_vocabulary_size(size):
    for special, order in product(range(min(size, 4) + 1), ("full", "causal")):
        sums = Sums(size, order, order, special)
        left = size - special
        note = check_attention(sums)
        assert len(ordinary_tokens(sums)) == left
        assert bool(note) == (left < 2)
        assert not note or f"two tokens that are not special, it has {left}" in note


@pytest.mark.parametrize("size", SIZES)
def test_liar_is_refused_wherever_it_can_be_asked(size):
    for special in range(min(size - 2, 4) + 1):
        with pytest.raises(ValueError, match=r"does not attend to the right, but its .* is full"):
            check_attention(Sums(size, "left", special=special))
        for order in ("full", "left"):
            with pytest.raises(ValueError, match=r"attends to what comes later, .* is causal"):
                check_attention(Sums(size, order, "causal", special))


def test_replaced_token_differs_whichever_stands_there():
    """On 21 ordinary tokens the one that the first version changed to was there already."""
    sums = Sums(25, special=4)
    assert check_attention(sums) == ""
    whole = [row for row in sums.seen if len(row) == 8]
    pairs = list(zip(whole[::2], whole[1::2], strict=True))
    assert len(pairs) == 3 and all(sum(a != b for a, b in zip(*p, strict=True)) == 1 for p in pairs)
    assert len({a[-1] for a, _ in pairs} | {b[-1] for _, b in pairs}) > 3, "several tokens"
    assert all(row[0] == sums.card.mask_id for row in whole), "a masked position is asked about"


def test_short_context_is_noted_not_refused():
    assert "takes 11 columns, its context is 10" in check_attention(Sums(30, context=10))
