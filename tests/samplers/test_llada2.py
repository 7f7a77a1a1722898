"""llada2's own rules: thresholds and editing, where None is off and 0.0 is a value (law P9)."""

import numpy as np
import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.laws import check, record

OLD, NEW, MASK, V = 5, 6, 15, 16


def second_thoughts(sure, oscillate=False):
    """A model that says OLD of a masked position, and NEW with probability `sure` where OLD
    stands."""

    def answer(ids):
        p = torch.full((*ids.shape, V - 1), (1 - sure) / (V - 2))
        said = torch.where(ids == OLD, NEW, OLD if oscillate else NEW)
        said = torch.where(ids == MASK, OLD, said)
        p.scatter_(-1, said[..., None], sure)
        return torch.cat([p.log(), torch.zeros(*ids.shape, 1)], -1)

    return lab.wrap(tiny.Fake(answer), tiny.card(V, corruption="hybrid", eos_ids=(2,)))


def run(model, **settings):
    given = {"gen_length": 8, "block_length": 4, "steps": 4, "threshold": None, **settings}
    made = record("llada2", model, [[3, OLD]], **given)
    check(made)
    return made.trajectories()[0]


def test_no_threshold_for_editing_never_edits():
    one = run(second_thoughts(0.99), editing_threshold=None)
    assert one.output == [OLD] * 8 and not one.edits.any() and one.calls[-1] == 8


@pytest.mark.parametrize("sure", [0.3, 0.99])
def test_an_editing_threshold_of_zero_edits_whenever_another_is_most_likely(sure):
    one = run(second_thoughts(sure), editing_threshold=0.0)
    assert one.output == [NEW] * 8 and one.edits.sum() == 8
    assert one.tokens[-1, :2].tolist() == [3, OLD], "the prompt is never edited"


def test_editing_needs_more_than_its_threshold():
    assert not run(second_thoughts(0.6), editing_threshold=0.7).edits.any()
    assert run(second_thoughts(0.8), editing_threshold=0.7).edits.sum() == 8


def test_a_block_is_settled_by_the_call_that_finds_nothing():
    # In each block: four to fill, edits on the way, one call that edits the last, one that finds
    # nothing; the first block has two masked positions beside the prompt's two tokens.
    one = run(second_thoughts(0.9), editing_threshold=0.0)
    last = {int(block): int(one.calls[one.block == block][-1]) for block in set(one.block)}
    assert [last[0], last[1] - last[0], last[2] - last[1]] == [2 + 2, 4 + 2, 2 + 2]


@pytest.mark.parametrize("most", [0, 1, 5])
def test_a_network_that_never_agrees_with_itself_stops_after_max_post_steps(most):
    one = run(second_thoughts(0.9, oscillate=True), editing_threshold=0.0, max_post_steps=most)
    assert one.calls[-1] == 8 + 3 * most and MASK not in one.output


def test_a_threshold_of_zero_commits_all_at_once_and_none_only_the_share():
    model = second_thoughts(0.2)
    assert run(model, threshold=0.0).calls[-1] == 3
    assert run(model, threshold=None).calls[-1] == 8
    assert run(model, threshold=0.3).calls[-1] == 8, "never confident enough: the share alone"
    assert run(model, threshold=0.1, steps=32).calls[-1] == 3


def test_with_editing_an_eos_counts_when_the_block_is_settled():
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


def test_without_a_threshold_the_most_confident_masked_go_first():
    def answer(ids):
        logits = torch.zeros(*ids.shape, V)
        logits[..., 5] = torch.arange(ids.shape[1]) * 1.0
        return logits

    model = lab.wrap(tiny.Fake(answer), tiny.card(V))
    made = record("llada2", model, [[]], gen_length=4, block_length=4, steps=4, threshold=None)
    assert made.trajectories()[0].committed_step[-1].tolist() == [4, 3, 2, 1]
    assert np.isnan(made.frames[2].score[0, 3]), "a filled place is not ranked"
