"""llada2's thresholds and editing: None is off, 0.0 is a value (docs/laws.md P9)."""

import numpy as np
import pytest
import torch

import lab
import samplers
from tests.kit import tiny
from tests.kit.laws import check, record

OLD, NEW, MASK, V = 5, 6, 15, 16


def second_thoughts(confidence, oscillate=False):
    """A model that predicts OLD of a mask, and NEW with probability `confidence` where OLD is."""

    def answer(ids):
        p = torch.full((*ids.shape, V - 1), (1 - confidence) / (V - 2))
        best = torch.where(ids == OLD, NEW, OLD if oscillate else NEW)
        best = torch.where(ids == MASK, OLD, best)
        p.scatter_(-1, best[..., None], confidence)
        return torch.cat([p.log(), torch.zeros(*ids.shape, 1)], -1)

    return lab.wrap(tiny.Fake(answer), tiny.card(V, corruption="hybrid", eos_ids=(2,)))


def run(model, **settings):
    values = {"gen_length": 8, "block_length": 4, "steps": 4, "threshold": None, **settings}
    result = record("llada2", model, [[3, OLD]], **values)
    check(result)
    return result.trajectories()[0]


def test_editing_threshold_none_never_edits():
    one = run(second_thoughts(0.99), editing_threshold=None)
    assert one.output == [OLD] * 8 and not one.edits.any() and one.calls[-1] == 8


@pytest.mark.parametrize("confidence", [0.3, 0.99])
def test_editing_threshold_zero_edits_whenever_argmax_differs(confidence):
    one = run(second_thoughts(confidence), editing_threshold=0.0)
    assert one.output == [NEW] * 8 and one.edits.sum() == 8
    assert one.tokens[-1, :2].tolist() == [3, OLD], "the prompt is never edited"


def test_editing_needs_more_than_its_threshold():
    assert not run(second_thoughts(0.6), editing_threshold=0.7).edits.any()
    assert run(second_thoughts(0.8), editing_threshold=0.7).edits.sum() == 8


def test_block_is_settled_by_call_that_changes_nothing():
    # In each block: four to fill, edits on the way, one call that edits the last, one that finds
    # nothing; the first block has two masked positions beside the prompt's two tokens.
    one = run(second_thoughts(0.9), editing_threshold=0.0)
    last = {int(block): int(one.calls[one.block == block][-1]) for block in set(one.block)}
    assert [last[0], last[1] - last[0], last[2] - last[1]] == [2 + 2, 4 + 2, 2 + 2]


@pytest.mark.parametrize("most", [0, 1, 5])
def test_endless_edits_stop_after_max_post_steps(most):
    one = run(second_thoughts(0.9, oscillate=True), editing_threshold=0.0, max_post_steps=most)
    assert one.calls[-1] == 8 + 3 * most and MASK not in one.output


def test_threshold_zero_commits_all_and_none_share():
    model = second_thoughts(0.2)
    assert run(model, threshold=0.0).calls[-1] == 3
    assert run(model, threshold=None).calls[-1] == 8
    assert run(model, threshold=0.3).calls[-1] == 8, "never confident enough: the share alone"
    assert run(model, threshold=0.1, steps=32).calls[-1] == 3


def test_editing_counts_eos_when_block_is_settled():
    def answer(ids):
        logits = torch.zeros(*ids.shape, V)
        logits[..., 5] = 6
        if ids.shape[1] > 3 and (ids[:, 1:4] == MASK).any():
            logits[:, 1, 2] = 20  # an EOS first, until the block is full
        return logits

    model = lab.wrap(tiny.Fake(answer), tiny.card(V, corruption="hybrid", eos_ids=(2,)))
    settings = {"gen_length": 6, "block_length": 4, "steps": 4, "threshold": None}
    edited = record("llada2", model, [[3]], editing_threshold=0.5, **settings)
    check(edited)
    assert edited.trajectories()[0].output == [5] * 6, "the EOS was edited away in its own block"
    plain = record("llada2", model, [[3]], **settings)
    assert plain.trajectories()[0].output == [2]


def test_most_confident_positions_are_committed_first():
    def answer(ids):
        logits = torch.zeros(*ids.shape, V)
        logits[..., 5] = torch.arange(ids.shape[1]) * 1.0
        return logits

    model = lab.wrap(tiny.Fake(answer), tiny.card(V))
    result = record("llada2", model, [[]], gen_length=4, block_length=4, steps=4, threshold=None)
    assert result.trajectories()[0].committed_step[-1].tolist() == [4, 3, 2, 1]
    assert np.isnan(result.frames[2].score[0, 3]), "a filled position is not ranked"


@pytest.mark.parametrize(("name", "calls"), [("threshold", 1), ("llada2", 4), ("sdar", 4)])
def test_threshold_includes_equality_as_its_help_says(name, calls):
    """Confidence exactly 1/2: `threshold` commits at least it, llada2 and sdar only above it."""

    def answer(ids):
        logits = torch.full((*ids.shape, V), -torch.inf)
        logits[..., 5:7] = 0.0
        return logits

    needs = samplers.get(name).needs
    model = lab.wrap(tiny.Fake(answer), tiny.card(V, attention=min(needs.attention)))
    settings = {"threshold": 0.5, "temperature": 0.0, "block_length": 4}
    result = record(name, model, [[]], gen_length=4, **settings)
    assert result.frames[-1].calls.tolist() == [calls]
    (param,) = (p for p in samplers.get(name).params if p.name == "threshold")
    assert ("at least" in param.help) == (name == "threshold") and ("above" in param.help) == (
        name != "threshold"
    )
