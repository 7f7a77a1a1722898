"""`llada2` beside diffusers' BlockRefinementScheduler on the same logits: what is alike.

Every difference is one that the project chose; each test names the law, or the defect that was
reported of diffusers 0.42.1 (issue 13598) and still stands there.
"""

import inspect

import pytest
import torch
from diffusers import BlockRefinementScheduler, LLaDA2Pipeline

import lab
from samplers.canvas import Canvas
from tests.kit import tiny
from tests.kit.laws import record
from tests.kit.refinement import EOS, MASK, V, canvases, changes, endless, network, ours, theirs

GRID = [
    (block_length, steps, threshold)
    for block_length in (4, 8, 24)
    for steps in (1, 3, 8, 32)
    for threshold in (0.0, 0.2, 0.5, 0.9, 2.0)
]


@pytest.mark.parametrize(("block_length", "steps", "threshold"), GRID)
def test_same_logits_give_same_commits(block_length, steps, threshold):
    answer = network(block_length + steps, scale=0.4)
    settings = {"gen_length": 24, "block_length": block_length, "steps": steps}
    target = theirs(answer, [[], []], threshold=threshold, **settings)
    mine = ours(answer, [[], []], threshold=threshold if threshold <= 1 else None, **settings)
    assert torch.equal(canvases(mine), changes(target))


@pytest.mark.parametrize("editing", [0.05, 0.3, 0.7])
@pytest.mark.parametrize(("block_length", "steps", "threshold"), [(4, 8, 0.3), (8, 16, 2.0)])
def test_same_logits_give_same_edits(block_length, steps, threshold, editing):
    edits = 0
    for seed in range(4):
        answer = network(seed, scale=0.4)
        settings = {"gen_length": 16, "block_length": block_length, "steps": steps}
        target = theirs(answer, [[]], threshold=threshold, editing=editing, max_post_steps=15,
                        **settings)  # fmt: skip
        mine = ours(answer, [[]], threshold=threshold if threshold <= 1 else None,
                    editing_threshold=editing, max_post_steps=16, **settings)  # fmt: skip
        assert torch.equal(canvases(mine), target)
        edits += mine.trajectories()[0].edits.sum()
    assert edits or editing == 0.7


def test_probabilities_they_rank_by_are_our_score():
    answer = network(5, scale=0.4)
    mine = ours(answer, [[]], gen_length=8, block_length=8, steps=4, threshold=None)
    scheduler = BlockRefinementScheduler()
    scheduler.set_timesteps(4, block_length=8)
    blank = torch.full((1, 8), MASK)
    out = scheduler.step(answer(blank), 0, blank, mask_token_id=MASK, threshold=2.0)
    assert mine.frames[1].predicted.tolist() == out.sampled_tokens.tolist()
    score = torch.tensor(mine.frames[1].score)
    torch.testing.assert_close(score.float(), out.sampled_probs)


# What differs.


def test_l1_their_positions_depend_on_longest_neighbour():
    network_of_theirs = tiny.Fake(tiny.constant(5, V))
    network_of_theirs.dtype, network_of_theirs.device = torch.float32, torch.device("cpu")
    pipe = LLaDA2Pipeline(
        model=network_of_theirs, scheduler=BlockRefinementScheduler(), tokenizer=None
    )
    pipe.set_progress_bar_config(disable=True)
    pipe(
        input_ids=torch.tensor([[11, 12, 13], [0, 0, 21]]), mask_token_id=MASK, gen_length=1,
        attention_mask=torch.tensor([[1, 1, 1], [0, 0, 1]]), block_length=4, output_type="seq",
        num_inference_steps=1,
    )  # fmt: skip
    assert network_of_theirs.positions[0].tolist() == [[0, 1, 2, 3]] * 2, "row 1 begins at 2"
    assert network_of_theirs.masks[0].ndim == 2, "block-causal is left to the model (P8)"
    module = tiny.Fake(tiny.constant(5, V))
    record("llada2", lab.wrap(module, tiny.card(V)), [[11, 12, 13], [21]], gen_length=1)
    assert sorted(p.tolist() for p in module.positions) == [[[0, 1]], [[0, 1, 2, 3]]]
    assert all(mask.ndim == 4 for mask in module.masks)


def test_l2_diffusers_schedule_uses_another_block_length():
    scheduler = BlockRefinementScheduler()
    scheduler.set_timesteps(8)
    blank, target = torch.full((1, 8), MASK), []
    for step in range(8):
        out = scheduler.step(network()(blank), step, blank, mask_token_id=MASK, threshold=2.0)
        blank, _ = out.prev_sample, target.append(int(out.transfer_index.sum()))
    assert target == [4, 4, 0, 0, 0, 0, 0, 0]
    mine = ours(network(), [[]], gen_length=8, block_length=8, steps=8, threshold=None)
    assert mine.trajectories()[0].commits.sum(-1).tolist() == [1] * 8


def test_l2_partial_block_is_shared_out_over_its_masks():
    settings = {"gen_length": 3, "block_length": 8, "steps": 3}
    target = theirs(network(), [[5] * 5], 5, **settings)
    assert (target[1:] != target[:-1]).sum(-1).flatten().tolist() == [3, 0], "a whole block's share"
    mine = ours(network(), [[5] * 5], threshold=None, **settings)
    assert mine.trajectories()[0].commits.sum(-1).tolist() == [1, 1, 1]


def test_l3_l4_what_was_mended_there_since_review():
    """Callback tensors that are there, and an EOS in the first place: no difference any more."""
    source = inspect.getsource(LLaDA2Pipeline.__call__)
    assert all(f"{name} = " in source for name in LLaDA2Pipeline._callback_tensor_inputs)
    special = {"eos_token_id": EOS, "mask_token_id": MASK, "prompt_length": 1}
    done = BlockRefinementScheduler.check_eos_finished(
        torch.tensor([[10, EOS, MASK]]), torch.tensor([[0, EOS]]), torch.tensor([[False, True]]),
        torch.tensor([False]), **special,
    )  # fmt: skip
    assert done.tolist() == [True] == _canvas([10, EOS, MASK]).tolist()


def _canvas(ids):
    x = torch.tensor([ids])
    free = torch.arange(len(ids))[None] > 0
    return Canvas(x, free, torch.ones_like(free), MASK, (EOS,)).finished(x)


def test_l5_diffusers_misses_eos_before_gap():
    row = torch.tensor([[10, 5, EOS]])  # the EOS stood already, this step filled the gap
    done = BlockRefinementScheduler.check_eos_finished(
        row, torch.tensor([[5, 7]]), torch.tensor([[True, False]]), torch.tensor([False]),
        eos_token_id=EOS, mask_token_id=MASK, prompt_length=1,
    )  # fmt: skip
    assert done.tolist() == [False] and _canvas([10, 5, EOS]).tolist() == [True]
    assert _canvas([10, MASK, EOS]).tolist() == [False]


def test_l5_diffusers_edits_row_while_neighbour_has_masks():
    """Their passes are counted for the batch; a row of ours is what it is alone (P6)."""

    def answer(ids):  # endless; sure after a 3, unsure after a 7
        confidence = torch.where(ids[:, :1] == 3, 10.0, 1.0)
        return endless(ids) / 10 * confidence[..., None]

    rows = [[3] * 4, [7] * 4]
    settings = {"gen_length": 4, "block_length": 4, "steps": 8, "threshold": 0.9}
    settings["max_post_steps"] = 0
    target = theirs(answer, rows, 4, editing=0.05, **settings)[-1]
    alone = [theirs(answer, [row], 4, editing=0.05, **settings)[-1, 0] for row in rows]
    assert target[1].equal(alone[1]) and not target[0].equal(alone[0])
    settings.update(editing_threshold=0.05, max_post_steps=1)
    mine = ours(answer, rows, **settings).frames[-1].tokens
    for row, line in zip(rows, mine.tolist(), strict=True):
        assert ours(answer, [row], **settings).frames[-1].tokens[0].tolist() == line


def test_p2_predicted_mask_is_committed_there_and_left():
    def stuck(ids):
        return tiny.constant(MASK, V)(ids)

    target = theirs(stuck, [[]], gen_length=4, block_length=4, steps=4, threshold=0.5)
    assert (target[-1] == MASK).all() and len(target) == 1 + 4, "four calls, nothing written"
    mine = ours(stuck, [[]], gen_length=4, block_length=4, steps=4, threshold=0.5)
    assert MASK not in mine.frames[-1].tokens


def test_p4_filter_makes_everything_certain_there():
    answer = network(3, scale=0.2)
    drawn = {"temperature": 1.0, "top_k": 1}
    settings = {"gen_length": 8, "block_length": 8, "steps": 8, "threshold": 0.9}
    filtered = changes(theirs(answer, [[]], **settings, **drawn))
    plain = changes(theirs(answer, [[]], **settings))
    assert (len(filtered), len(plain)) == (1 + 1, 1 + 8), "the same tokens, greedily, are unsure"
    mine = ours(answer, [[]], **settings, **drawn)
    assert torch.equal(canvases(mine), plain)


@pytest.mark.parametrize("configured", [None, 0.5])
def test_p9_none_and_zero_mean_something_else_there(configured):
    """None falls back on the scheduler's own setting, 0.0 switches editing off; here None is off
    and 0.0 edits whenever another token is likelier."""
    scheduler = BlockRefinementScheduler(editing_threshold=configured)
    scheduler.set_timesteps(4, block_length=4)
    block, logits = torch.full((1, 4), 6), tiny.constant(7, V)(torch.full((1, 4), 6))

    def edits(threshold):
        out = scheduler.step(logits, 0, block, mask_token_id=MASK, editing_threshold=threshold)
        return int(out.editing_transfer_index.sum())

    assert edits(None) == (4 if configured else 0) and edits(0.0) == 0 and edits(0.1) == 4
    first = {"gen_length": 4, "block_length": 4, "steps": 1, "threshold": None}

    def answer(ids):  # 6 of a masked position, 7 once something stands there
        return torch.nn.functional.one_hot(torch.where(ids == MASK, 6, 7), V).float() * 10

    for threshold, target in ((None, 6), (0.0, 7)):
        last = ours(answer, [[]], **first, editing_threshold=threshold).frames[-1]
        assert last.tokens[0].tolist() == [target] * 4


def test_p9_no_threshold_is_scheduler_own_there():
    scheduler = BlockRefinementScheduler(threshold=0.1)
    scheduler.set_timesteps(4, block_length=4)
    blank = torch.full((1, 4), MASK)
    out = scheduler.step(tiny.constant(7, V)(blank), 0, blank, mask_token_id=MASK, threshold=None)
    assert int(out.transfer_index.sum()) == 4
    mine = ours(tiny.constant(7, V), [[]], gen_length=4, block_length=4, steps=4, threshold=None)
    assert mine.trajectories()[0].commits.sum(-1).tolist() == [1] * 4


def test_minimal_topk_is_read_there_and_never_used():
    scheduler = BlockRefinementScheduler()
    scheduler.set_timesteps(4, block_length=4)
    blank = torch.full((1, 4), MASK)
    counts = [scheduler.step(network()(blank), 0, blank, mask_token_id=MASK, threshold=2.0,
                            minimal_topk=k).transfer_index.sum() for k in (1, 4)]  # fmt: skip
    assert counts == [1, 1]
    mine = ours(network(), [[]], gen_length=4, block_length=4, steps=1, threshold=None)
    assert mine.trajectories()[0].commits.sum(-1).tolist() == [4], "here: fewer steps"


@pytest.mark.parametrize("most", [0, 1, 5])
def test_p3_endless_edit_gets_one_pass_more_there(most):
    """max_post_steps counts calls here; theirs stops once it has gone beyond it."""
    settings = {"gen_length": 4, "block_length": 4, "steps": 8, "max_post_steps": most}
    target = theirs(endless, [[]], editing=0.5, **settings)
    mine = ours(endless, [[]], threshold=None, editing_threshold=0.5, **settings)
    assert len(target) == 1 + 4 + most + 1 and len(mine.frames) == 1 + 4 + most


def test_p3_last_scheduled_step_ends_block_unverified_there():
    """Their stop rule looks at the masks before the step: the pass that edits never comes."""
    settings = {"gen_length": 4, "block_length": 4, "steps": 4, "max_post_steps": 3}
    assert len(theirs(endless, [[]], editing=0.5, **settings)) == 1 + 4
    mine = ours(endless, [[]], threshold=None, editing_threshold=0.5, **settings)
    assert len(mine.frames) == 1 + 4 + 3


def test_p3_diffusers_spends_calls_on_filled_blocks():
    settings = {"gen_length": 16, "block_length": 4, "steps": 4, "threshold": 0.0}
    target = theirs(network(1), [[]], **settings)
    assert (len(target), len(changes(target))) == (1 + 8, 1 + 4)
    assert ours(network(1), [[]], **settings).frames[-1].calls.tolist() == [4]
