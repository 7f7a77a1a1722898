"""Another loop beside a sampler: the stand-in that it calls, and where the two part."""

from types import SimpleNamespace

import pytest
import torch

import lab
from lab.bench.another_loop import compare
from tests.kit import tiny
from tests.kit.golden import MASK, V, answer

LENGTH = 8
MODEL = lab.wrap(answer, tiny.card(V, attention="full"))


def most_confident(count, *, left=False, shifted=False, parts=False):
    """A plain loop: `count` positions a call, the most confident or the leftmost."""

    def loop(model, ids):
        x = torch.cat([ids, torch.full((1, LENGTH), MASK)], 1)
        while (masked := x == MASK).any():
            logits = model(x[:, 1:] if parts else x, attention_mask=None).logits
            if parts:
                logits = model(input_ids=x).logits
            if shifted:
                logits = torch.cat([logits[:, :1], logits[:, :-1]], 1)
            confidence, best = logits.softmax(-1).max(-1)
            score = -torch.arange(x.shape[1]).float()[None] if left else confidence
            most = score.where(masked, -torch.inf).topk(min(count, int(masked.sum()))).indices
            x = x.scatter(1, most, best.gather(1, most))
        return SimpleNamespace(sequences=x) if shifted else x

    return loop


def against(loop, steps, **more):
    return compare(loop, "llada", MODEL, [[4, 1]], gen_length=LENGTH, steps=steps,
                   block_length=LENGTH, **more)  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 4])
def test_same_loop_never_parts(count):
    for more in ({}, {"shifted": True}):
        result = against(most_confident(count, **more), LENGTH // count, **more)
        assert result.same_tokens and result.parts is None and not result.places
        assert result.calls == (LENGTH // count,) * 2 and result.order[0] == result.order[1]
        assert "they never part" in str(result)


def test_loops_part_where_orders_do():
    result = against(most_confident(1, left=True), LENGTH)
    ours, theirs = result.canvases
    assert result.parts == int((ours != theirs).any(-1).nonzero()[0])
    assert [i for i in range(LENGTH + 2) if ours[result.parts, i] != theirs[result.parts, i]] == [
        *result.places
    ]
    assert result.order[1] == list(range(1, LENGTH + 1)) != result.order[0]
    assert f"they part in step {result.parts} at position" in str(result)


def test_other_pace_is_other_number_of_calls():
    result = against(most_confident(4), LENGTH)
    assert result.calls == (LENGTH, 2) and result.parts == 1 and len(result.places) == 3


def test_calls_about_part_of_canvas_count_and_are_not_compared():
    result = against(most_confident(2, parts=True), LENGTH // 2)
    assert result.calls == (4, 8) and result.parts is None


def test_loop_that_returns_other_length_is_refused():
    with pytest.raises(ValueError, match="must return prompt and text, 10 ids, got 2"):
        against(lambda model, ids: ids, 4)
