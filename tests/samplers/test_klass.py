"""KLASS on the exact chain: its law against a recursion that remembers the last distributions."""

import math
from itertools import product

import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.chain import MASK, chain, close, distance, law_of, marginals_of


def law_of_klass(threshold, kl_bound, history, size=4):
    """{sequence: chance}, call by call."""
    law: dict[tuple[int, ...], float] = {}

    def fill(canvas, chance, before, stable):
        masked = [i for i in range(size) if canvas[i] == MASK]
        if not masked:
            law[canvas] = law.get(canvas, 0.0) + chance
            return
        p = marginals_of(canvas)
        if before is not None:
            moved = [
                sum(float(a) * math.log(float(a / b)) for a, b in zip(*two, strict=True) if a > 0)
                for two in zip(p, before, strict=True)
            ]
            stable = [n + 1 if kl < kl_bound else 0 for n, kl in zip(stable, moved, strict=True)]
        top = [round(float(row.max()), 6) for row in p]
        places = [i for i in masked if top[i] > threshold and stable[i] >= history]
        places = places or [min(masked, key=lambda i: (-top[i], i))]
        for tokens in product(range(3), repeat=len(places)):
            drawn = dict(zip(places, tokens, strict=True))
            weight = math.prod(float(p[i, v]) for i, v in drawn.items())
            if weight > 0:
                line = tuple(drawn.get(i, token) for i, token in enumerate(canvas))
                fill(line, chance * weight, p, stable)

    fill((MASK,) * size, 1.0, None, [0] * size)
    return law


@pytest.mark.parametrize(
    ("threshold", "kl_bound", "history"),
    [(0.4, 0.05, 1), (0.4, 0.3, 1), (0.5, 0.3, 1), (0.5, 0.45, 1), (0.0, 10.0, 2)],
)
def test_klass_commits_what_is_confident_and_stable(threshold, kl_bound, history):
    values = {"threshold": threshold, "kl_bound": kl_bound, "history": history}
    target = law_of_klass(**values)
    law = law_of("klass", temperature=1.0, join=False, block_length=4, **values)
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5
    one_by_one = law_of_klass(1.0, kl_bound, history)
    assert any(abs(chance - one_by_one[line]) > 1e-3 for line, chance in target.items())


def test_klass_that_never_finds_two_is_exact():
    law = law_of("klass", threshold=1.0, temperature=1.0, join=False, block_length=4)
    assert distance(law) == close(0)


def test_klass_waits_for_history_then_takes_all():
    """A model that never changes its mind: 1 + history calls, then everything confident at once."""
    scale = torch.tensor([9.0, 8.0, 1.0, 7.0, 6.0, 5.0])

    def answer(tokens):
        logits = torch.zeros(len(tokens), 6, 5)
        logits[..., 2] = scale
        return logits

    model = lab.wrap(answer, tiny.card(5, attention="full"))
    for history in (1, 2, 3):
        (one,) = lab.run("klass", model, template=[[4] * 6], history=history, threshold=0.6)
        assert one.commits.sum(-1).tolist() == [*[1] * history, 5 - history, 1]


def test_klass_starts_each_block_anew():
    (one,) = lab.run("klass", chain(), block_length=2, kl_bound=10.0, threshold=0.0, history=1)
    assert one.commits.sum(-1).tolist() == [1, 1, 1, 1]
