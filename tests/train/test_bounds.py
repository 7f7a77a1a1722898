"""Bounds: error bars, and the noise ranges of least variance."""

from functools import partial

import pytest
import torch

from lab.train import bounds, evaluate
from lab.train.corpus import generator, pack, windows
from lab.train.objectives import absorb, ar, drafts
from tests.kit.stories import STORIES


def test_noise_range_clips_share_of_masks(learner, tokenizer):
    tokens = torch.zeros(400, 32, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(3), block_length=8, noise_range=(0.25, 0.75))
    count = (noisy == 1).view(400, 4, 8)[:, 1:].sum(2)
    assert count.min() == 3 and count.max() == 6
    torch.testing.assert_close(weight[:, 8:].view(400, 3, 8)[..., 0], 8 / count.float())
    rows = windows(pack(tokenizer, STORIES), 64, 32, generator(8))
    ranges = bounds.noise_ranges(learner, rows, tokenizer.mask_token_id, 8)
    assert [each[2] for each in ranges] == sorted(each[2] for each in ranges)
    assert len(ranges) == 11 + 9 + 7 + 5 + 3 + 1
    assert ranges[-1][0] == 0.0 and ranges[0][0] > 0.2, "few masks, weighted high, stray most"


def test_joint_model_has_exact_value_and_bounds_of_blocks(learner, tokenizer):
    rows, known = windows(pack(tokenizer, STORIES), 6, 24, generator(3)), tokenizer.mask_token_id
    card = {"attention": "causal", "joint_length": 8}
    values, _ = evaluate.evaluate(learner, card, known, rows)
    each = {"exact": partial(ar, mask_id=known)} | {
        f"block mode, length {width}": partial(drafts, mask_id=known, block_length=width)
        for width in (4, 8)
    }
    expected = {name: bounds.bound(learner, rows, problem) for name, problem in each.items()}
    assert values == expected and len(set(expected.values())) == 3
    alone, _ = evaluate.evaluate(learner, {"attention": "causal"}, known, rows)
    assert list(alone) == ["exact"]


def test_error_bar_is_spread_of_independent_chunks():
    chunks = [torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])]
    assert bounds.estimate(chunks) == pytest.approx((2.5, 0.5))
    assert bounds.estimate(chunks[:1]) == pytest.approx((2.0, 1.0))
