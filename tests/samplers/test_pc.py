"""PC-Sampler on the exact chain by recursion, and beside plain loops."""

import math
from itertools import product

import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.chain import DATA, MASK, SEQUENCES, close, distance, law_of, marginals_of
from tests.kit.golden import MASK as LAST
from tests.kit.golden import OCCURRENCES, V, answer

LENGTH = 12


def law_of_pc(shares, decay, most):
    """{sequence: chance}; call n fills shares[n] positions, by the tokens drawn there."""
    law: dict[tuple[int, ...], float] = {}
    often = sum(marginals_of((MASK,) * 4)) / 4

    def fill(canvas, chance, call):
        masked = [i for i in range(4) if canvas[i] == MASK]
        if not masked:
            law[canvas] = law.get(canvas, 0.0) + chance
            return
        p = marginals_of(canvas)
        for tokens in product(range(3), repeat=len(masked)):
            drawn = dict(zip(masked, tokens, strict=True))
            weight = math.prod(float(p[i, v]) for i, v in drawn.items())
            if weight < 1e-15:
                continue
            score = {i: math.exp(-decay * i)
                     * min(-float(p[i, v]) * math.log(float(often[v]) + 1e-9), most)
                     for i, v in drawn.items()}  # fmt: skip
            order = sorted(masked, key=lambda i: (-round(math.log(score[i]), 5), i))
            commit = order[: shares[call]]
            line = tuple(drawn[i] if i in commit else token for i, token in enumerate(canvas))
            fill(line, chance * weight, call + 1)

    fill((MASK,) * 4, 1.0, 0)
    return law


@pytest.mark.parametrize(("decay", "most"), [(0.25, 10.0), (0.0, 10.0), (2.0, 10.0), (0.1, 0.4)])
@pytest.mark.parametrize("shares", [(2, 2), (2, 1, 1), (1, 1, 1, 1)])
def test_pc_fills_what_is_near_and_says_something(shares, decay, most):
    target = law_of_pc(shares, decay, most)
    law = law_of("pc", steps=len(shares), temperature=1.0, decay=decay, most_surprise=most)
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5


def test_pc_has_known_error():
    """One token a call and no decay: the order looks at the draw."""
    assert distance(law_of("pc", steps=4, temperature=1.0, decay=0.0)) == close(0.3554)
    assert distance(law_of("pc", steps=4, temperature=1.0, decay=10.0)) == close(0)


def test_pc_orders_as_plain_loops_do():
    """Two blocks, two a call; decay counts from the start of each block."""
    model = lab.wrap(answer, tiny.card(V, attention="full"), frequencies=OCCURRENCES)
    (one,) = lab.run("pc", model, [[4]], gen_length=LENGTH, block_length=6, steps=3, decay=0.3)
    x, seen = [4] + [LAST] * LENGTH, []
    for block in (range(1, 7), range(7, 13)):
        for _ in range(3):
            p, best = answer(torch.tensor([x]))[0, :, : V - 1].double().softmax(-1).max(-1)
            score = {
                i: math.exp(-0.3 * (i - block[0]))
                * min(-float(p[i]) * math.log(float(OCCURRENCES[best[i]]) + 1e-9), 10.0)
                for i in block if x[i] == LAST
            }  # fmt: skip
            for i in sorted(score, key=lambda i: -score[i])[:2]:
                x[i] = int(best[i])
            seen.append(list(x))
    assert one.tokens[1:].tolist() == seen
    assert [int(n) for n in one.commits.sum(-1)] == [2] * 6


def test_frequencies_of_exact_models_are_those_of_data():
    often = lab.oracle([0.5, 0.3, 0.2], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]],
                       length=4).frequencies()  # fmt: skip
    counts = torch.stack([(v == SEQUENCES).double().mean(-1) @ DATA for v in range(3)])
    assert torch.allclose(often[:3], counts, atol=1e-6) and often[3] == 0
