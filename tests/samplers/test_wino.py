"""WINO: its law on the exact chain by recursion, its canvases beside plain loops."""

import math
from itertools import product

import pytest
import torch

import lab
from tests.kit import tiny
from tests.kit.chain import DATA, MASK, SEQUENCES, close, law_of, marginals_of, posterior
from tests.kit.golden import MASK as LAST
from tests.kit.golden import V, answer

LENGTH = 12


def support(canvas, i):
    """The chance of the token at place i given all others."""
    seen = torch.tensor([MASK if j == i else token for j, token in enumerate(canvas)])
    fits = ((seen == MASK) | (seen == SEQUENCES)).all(-1)
    return float(posterior(DATA * fits, 4)[i, canvas[i]])


def law_of_wino(threshold, verify):
    """{sequence: chance}; what is remembered is how many the call before committed."""
    law: dict[tuple[int, ...], float] = {}

    def fill(canvas, chance, last):
        masked = [i for i in range(4) if canvas[i] == MASK]
        if not masked:
            law[canvas] = law.get(canvas, 0.0) + chance
            return
        p = marginals_of(canvas)
        written = {i: support(canvas, i) for i in range(4) if i not in masked}
        for tokens in product(range(3), repeat=len(masked)):
            drawn = dict(zip(masked, tokens, strict=True))
            weight = math.prod(float(p[i, v]) for i, v in drawn.items())
            if weight < 1e-15:
                continue
            score = {i: float(p[i, v]) for i, v in drawn.items()}
            commit = [i for i in masked if score[i] > threshold + 1e-6]
            commit = commit or [min(masked, key=lambda i: (-round(score[i], 6), i))]
            weak = [i for i, s in written.items() if s < verify - 1e-6]
            weak.sort(key=lambda i: (round(written[i], 6), i))
            back = weak[: last - 1] if len(commit) > 1 and last > 1 else []
            line = tuple(
                drawn[i] if i in commit else MASK if i in back else token
                for i, token in enumerate(canvas)
            )
            fill(line, chance * weight, len(commit))

    fill((MASK,) * 4, 1.0, 0)
    return law


def test_wino_revokes_what_others_do_not_support():
    target, plain = law_of_wino(0.3, 0.9), law_of_wino(0.3, 0.0)
    law = law_of("wino", temperature=1.0, join=False, threshold=0.3, verify=0.9)
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5
    assert any(abs(chance - plain.get(line, 0)) > 1e-3 for line, chance in target.items())


def by_loops(block_length, threshold, verify):
    """The canvases of one row, each with its prompt."""
    x, seen = [4] + [LAST] * LENGTH, []

    def p(canvas):
        return answer(torch.tensor([canvas]))[0, :, : V - 1].double().softmax(-1)

    for start in range(1, LENGTH + 1, block_length):
        block, last = range(start, min(start + block_length, LENGTH + 1)), 0
        while masked := [i for i in block if x[i] == LAST]:
            top, best = p(x).max(-1)
            ordered = sorted(masked, key=lambda i: (-float(top[i]), i))
            most = min(max(int(0.7 * len(masked)), 5), 20)
            commit = [i for i in ordered if top[i] > threshold][:most] or ordered[:1]
            alone = {i: float(p([*x[:i], LAST, *x[i + 1 :]])[i, x[i]])
                     for i in block if x[i] != LAST}  # fmt: skip
            weak = sorted((i for i in alone if alone[i] < verify), key=lambda i: alone[i])
            back = weak[: last - 1] if len(commit) > 1 and last > 1 else []
            for i in commit:
                x[i] = int(best[i])
            for i in back:
                x[i] = LAST
            last = len(commit)
            seen.append(list(x))
    return seen


@pytest.mark.parametrize("verify", [0.2, 0.9])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("block_length", [5, 12])
def test_wino_commits_and_revokes_as_plain_loops_do(block_length, threshold, verify):
    model = lab.wrap(answer, tiny.card(V, attention="full"), leave_one_out=tiny.alone(answer, LAST))
    (one,) = lab.run("wino", model, [[4]], gen_length=LENGTH, block_length=block_length,
                     threshold=threshold, verify=verify)  # fmt: skip
    assert one.tokens[1:].tolist() == by_loops(block_length, threshold, verify)
    assert one.remasks.any() or threshold == 0.8 or block_length == 5
    assert one.calls[-1] <= LENGTH


def test_wino_has_known_error():
    law = law_of("wino", temperature=1.0, join=False)
    assert float((law.of(SEQUENCES) - DATA).abs().sum() / 2) == close(0.5698)
