"""Objectives against exact laws: masks, weights, what is scored, what a block attends to."""

import pytest
import torch

from lab.train.corpus import generator, pack, windows
from lab.train.learner import Learner
from lab.train.objectives import absorb, ar, bd3lm, block_causal, drafts, edit, joint, mdlm
from lab.train.problem import Problem
from lab.train.replacement_noise import hybrid, hybrid_noise, uniform, uniform_noise
from samplers.schedules import Hybrid
from tests.kit.chain import DATA as P
from tests.kit.chain import MASK, PI
from tests.kit.chain import SEQUENCES as X
from tests.kit.stories import STORIES


@pytest.mark.parametrize("block_length", [4, 6, 16])
def test_exact_masking_counts(block_length):
    tokens = torch.zeros(200, 16, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(1), block_length=block_length)
    masked = noisy == 1
    assert not masked[:, 0].any()
    for first in range(0, 16, block_length):
        size = min(block_length, 16 - first) - (first == 0)
        part = slice(first, first + block_length)
        count = masked[:, part].sum(1)
        assert count.min() == 1 and count.max() == size
        torch.testing.assert_close(weight[:, part][:, -1], size / count.float())


@pytest.mark.parametrize("masking", ["exact", "independent"])
def test_weights_make_every_token_count_once(masking):
    tokens = torch.zeros(40_000, 8, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(2), block_length=4, masking=masking, low=0.02)
    mean = (weight * (noisy == 1)).mean(0)
    assert mean[0] == 0
    torch.testing.assert_close(mean[1:], torch.ones(7), atol=0.06, rtol=0)


def chain_nll(problem: Problem, block_length: int = 4, context: bool = True) -> float:
    """The loss of `problem`, whose tokens are all 0, when the chain's exact posterior answers.

    The patterns of masks are the problem's own; the tokens under them run over all 81 sequences by
    their chance. The posterior sees the blocks before and the own block's shown tokens, or nothing.
    """
    masked_here = problem.inputs[:, :4] == MASK
    weight = (problem.weight * problem.loss_mask)[:, :4] / len(masked_here)
    pattern = (masked_here * 2 ** torch.arange(4)).sum(1)
    share = torch.zeros(16, 4, dtype=torch.float64).index_add(0, pattern, weight.double())
    total = 0.0
    for code, column in share.nonzero().tolist():
        known = torch.tensor([not code >> other & 1 for other in range(4)])
        first = column - column % block_length
        known[:first], known[first + block_length :] = True, False
        fits = (X[:, None] == X[None])[:, :, known & context].all(-1) * P  # [81, 81]
        right = (fits * (X[:, None, column] == X[None, :, column])).sum(1)
        total += float(share[code, column] * (P * -(right / fits.sum(1)).log()).sum())
    return total


@pytest.mark.parametrize("masking", ["exact", "independent"])
@pytest.mark.parametrize("block_length", [4, 2])
def test_absorbing_objectives_equal_entropy(masking, block_length):
    truth = float(-(P * (P / torch.tensor(PI).double()[X[:, 0]]).log()).sum())
    tokens = torch.zeros(2_000_000, 4, dtype=torch.int64)
    options = {"masking": masking, "low": 1e-3}
    tolerance = 1e-3 if masking == "exact" else 5e-3  # 1/t strays more
    if block_length == 4:
        problem = mdlm(tokens, MASK, generator(4), **options)
    else:
        problem = bd3lm(tokens, MASK, generator(4), block_length=block_length, **options)
    assert chain_nll(problem, block_length) == pytest.approx(truth, abs=tolerance)
    wrong = chain_nll(problem, block_length, context=False)
    assert wrong > truth + 0.5, "a wrong posterior went unseen"


def test_ar_is_stock_loss(learner, tokenizer):
    rows = windows(pack(tokenizer, STORIES), 4, 24, generator(8))
    problem = ar(rows, tokenizer.mask_token_id, generator(9))
    plain = Learner(learner.network, ())
    with torch.no_grad():
        stock = learner.network(input_ids=rows, labels=rows).loss
        torch.testing.assert_close(plain(problem), stock)
        half = ar(rows, tokenizer.mask_token_id, generator(9), prefix=12)
        labels = rows.clone()
        labels[:, :12] = -100
        torch.testing.assert_close(plain(half), learner.network(input_ids=rows, labels=labels).loss)


def test_joint_loss_is_next_token_and_weighted_blocks(learner, tokenizer):
    """In one pass: what stands before a block is the very text that is read causally."""
    rows, mask = windows(pack(tokenizer, STORIES), 4, 24, generator(8)), tokenizer.mask_token_id
    for prefix in (1, 6):
        known = {"mask_id": mask, "prefix": prefix}
        both = joint(rows, random=generator(9), block_length=4, block_weight=0.7, **known)
        with torch.no_grad():
            following = learner(ar(rows, random=generator(9), **known))
            blocks = learner(drafts(rows, random=generator(9), block_length=4, **known))
            torch.testing.assert_close(learner(both), following + 0.7 * blocks)
            assert following > 0 and blocks > 0
    plain, own = (each(rows, mask, generator(9), block_length=4) for each in (bd3lm, drafts))
    assert torch.equal(plain.inputs, own.inputs) and torch.equal(plain.weight, own.weight)
    columns = torch.arange(24)
    assert torch.equal(own.attention[24:, 24:], columns[:, None] >= columns)
    assert torch.equal(own.attention[:24], plain.attention[:24])


def test_edit_corrupts_what_is_shown_and_asks_for_all(tokenizer):
    tokens = torch.full((400, 32), 7)
    size = len(tokenizer)
    problem = edit(tokens, 0, generator(6), vocab_size=size, p_uniform=0.2, block_length=8)
    noisy, masked_here = problem.inputs[:, :32], problem.inputs[:, :32] == 0
    assert torch.equal(problem.inputs[:, 32:], tokens), "the context of later blocks must be clean"
    unmasked = ~masked_here
    unmasked[:, 0] = False
    share = float((noisy != 7)[unmasked].float().mean())
    assert share == pytest.approx(0.2 * (size - 2) / (size - 1), abs=0.01)
    assert problem.loss_mask[:, 1:32].all() and not problem.loss_mask[:, 0].any()
    assert not problem.loss_mask[:, 32:].any()
    assert problem.weight[:, :32][unmasked].unique().tolist() == [0.5]
    whole = (~masked_here).view(400, 4, 8).all(2)[:, 1:].float().mean()
    assert 0.2 < whole < 0.3, "a quarter of the blocks has no masks left, as an editor finds them"
    masked = bd3lm(tokens, 0, generator(6), block_length=8).weight[:, :32]
    assert torch.equal(problem.weight[:, :32][masked_here], masked[masked_here])


def test_hybrid_weight_depends_on_what_is_seen_alone():
    tokens = torch.randint(3, (64, 32), generator=generator(5))
    problem = hybrid(tokens, MASK, generator(6), vocab_size=4, p_uniform=0.3)
    seen = problem.inputs != MASK
    assert (problem.inputs != tokens)[seen].any()
    assert problem.weight[seen].unique().tolist() == [0.5]
    assert problem.loss_mask[:, 1:].all() and not problem.loss_mask[:, 0].any()


def test_hybrid_noise_has_gidds_shares():
    tokens = torch.zeros(4000, 33, dtype=torch.int64)
    noisy = hybrid_noise(tokens, torch.full((4000,), 0.5), 2, 6, 0.2, generator(7))[:, 1:]
    alpha, mask, uniform = (float(v) for v in Hybrid(0.2).at(torch.tensor(0.5)))
    share = torch.bincount(noisy.flatten(), minlength=6) / noisy.numel()
    expected = torch.full((6,), uniform / 5)
    expected[0] += alpha
    expected[2] = mask
    torch.testing.assert_close(share, expected.float(), atol=0.006, rtol=0)


@pytest.mark.parametrize("block_length", [4, 8])
def test_one_pass_equals_one_block_at_time(learner, tokenizer, block_length):
    rows = windows(pack(tokenizer, STORIES), 3, 24, generator(8))
    problem = bd3lm(rows, tokenizer.mask_token_id, generator(9), block_length=block_length)
    with torch.no_grad():
        once = learner.logits(problem)
        scored = problem.loss_mask[:, :24]
        together = torch.zeros(*scored.shape, once.shape[1])
        together[scored] = once
        for first in range(0, 24, block_length):
            block = slice(first, first + block_length)
            inputs = rows.clone()
            inputs[:, block] = problem.inputs[:, block]
            inputs = inputs[:, : block.stop]
            only = torch.zeros_like(inputs, dtype=torch.bool)
            only[:, block] = scored[:, block]
            alone = learner.logits(
                Problem(inputs, torch.arange(block.stop), block_causal(block.stop, block_length),
                        only, inputs, only.float(), 1)
            )  # fmt: skip
            torch.testing.assert_close(together[:, block][scored[:, block]], alone)


def test_loss_is_weighted_mean_without_banned_tokens(learner, tokenizer):
    rows = windows(pack(tokenizer, STORIES), 2, 16, generator(10))
    problem = mdlm(rows, tokenizer.mask_token_id, generator(11))
    with torch.no_grad():
        logits, loss = learner.logits(problem), learner(problem)
    assert logits[:, [tokenizer.mask_token_id, tokenizer.pad_token_id]].eq(-torch.inf).all()
    nats = -logits.log_softmax(1).gather(1, rows[problem.loss_mask][:, None])[:, 0]
    torch.testing.assert_close(loss, (nats * problem.weight[problem.loss_mask]).sum() / (2 * 15))


@pytest.mark.parametrize("objective", [mdlm, bd3lm, drafts, joint, edit, hybrid, uniform])
@pytest.mark.parametrize("prefix", [0, 1, 3])
def test_prefix_stays_clean_and_unscored(objective, prefix):
    tokens = torch.randint(5, (400, 8), generator=generator(2))
    sizes = {"vocab_size": 6} if objective in (edit, hybrid, uniform) else {}
    blocks = {"block_length": 4} if objective in (bd3lm, drafts, joint, edit) else {}
    problem = objective(tokens, 5, generator(3), prefix=prefix, **sizes, **blocks)
    noisy, scored = problem.inputs[:, :8], problem.loss_mask[:, :8]
    assert (noisy[:, :prefix] == tokens[:, :prefix]).all()
    assert not scored[:, :prefix].any()
    assert (noisy[:, prefix:] != tokens[:, prefix:]).any(0).all()
    assert scored[:, prefix:].any(0).all()
    assert problem.tokens == 400 * (8 - prefix)


def test_uniform_noise_spreads_over_all_but_mask():
    tokens, time = torch.zeros(4000, 8, dtype=torch.int64), torch.full((4000,), 0.6)
    noisy = uniform_noise(tokens, time, 2, 4, generator(1), prefix=0)
    share = torch.bincount(noisy.flatten(), minlength=4) / noisy.numel()
    torch.testing.assert_close(share, torch.tensor([0.6, 0.2, 0.0, 0.2]), atol=0.01, rtol=0)
