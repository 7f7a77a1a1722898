"""Saber beside plain loops over one row, on a model whose answers change with all tokens."""

import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.chain import close, distance, law_of
from tests.kit.golden import MASK, V, answer

LENGTH = 12


def probabilities(canvas):
    logits = answer(torch.tensor([canvas]))[0].double()
    return logits[:, : V - 1].softmax(-1)


def by_loops(block_length, least, published):
    """The canvases of one row, each with its prompt."""
    x, recorded, seen = [4] + [MASK] * LENGTH, {}, []
    for start in range(1, LENGTH + 1, block_length):
        block = range(start, min(start + block_length, LENGTH + 1))
        before = dict.fromkeys(block, 0.0)
        while any(x[i] == MASK for i in block):
            p = probabilities(x)
            top, best = (each.tolist() for each in p.max(-1))
            masked = [i for i in block if x[i] == MASK]
            written = [i for i in block if x[i] != MASK]
            mean = sum(recorded.values()) / len(recorded) if recorded else 1.0
            ordered = sorted(masked, key=lambda i: -top[i])
            commit = [i for i in masked if top[i] > mean]
            commit = commit if len(commit) >= least else ordered[:least]
            now = {i: top[i] if published or x[i] == MASK else float(p[i, x[i]]) for i in block}
            for i in commit:
                x[i], recorded[i] = best[i], top[i]
            if any(x[i] == MASK for i in block):
                count = min(max(least // 2, (len(commit) + 7) // 8), len(commit) - 1)
                candidates = written + (commit if published else [])
                rise = {i: round(now[i] - before[i], 5) for i in candidates}
                for i in sorted(candidates, key=lambda i: (rise[i], i))[:count]:
                    x[i] = MASK
            before = now
            seen.append(list(x))
    return seen


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("least", [1, 2, 3, 5])
@pytest.mark.parametrize("block_length", [5, 12])
def test_saber_commits_above_mean_and_backtracks(block_length, least, published):
    model = lab.wrap(answer, tiny.card(V, attention="full"))
    preset = "official" if published else None
    (one,) = lab.run("saber", model, [[4]], gen_length=LENGTH, block_length=block_length,
                     least=least, preset=preset)  # fmt: skip
    assert one.tokens[1:].tolist() == by_loops(block_length, least, published)
    assert one.remasks.any() or block_length == 5 or least == 1


def test_saber_on_certain_tokens_has_known_error():
    """A table never doubts what it wrote; all at once is the product of the marginals."""
    assert distance(law_of("saber", block_length=4, least=4, temperature=1.0)) == close(0.49171)


def test_saber_takes_at_most_call_for_each_position():
    model = lab.wrap(answer, tiny.card(V, attention="full"))
    for least in (1, 2, 4):
        (one,) = lab.run("saber", model, [[4]], gen_length=LENGTH, least=least)
        assert one.calls[-1] <= LENGTH and (one.tokens[-1] != MASK).all()
