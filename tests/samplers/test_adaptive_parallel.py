"""APD: a draft without weight changes nothing; how far one stands, beside plain loops."""

import numpy as np
import pytest
import torch

import lab
from samplers.noise import Noise
from tests.kit import tiny
from tests.kit.chain import PI, A
from tests.kit.golden import EOS, MASK, V, answer, following
from tests.kit.laws import check, record

BLOCK = 4
PROMPTS = [[1, 2], [0], [2, 2, 1]]
MODELS = {
    "chain": lambda: lab.oracle(PI, A, length=14, draft_length=BLOCK),
    "formula": lambda: lab.wrap(
        following, tiny.card(V, attention="causal", eos_ids=(EOS,), draft_length=BLOCK),
        draft_model=answer,
    ),
    "qwen3": lambda: tiny.eos_rich(tiny.networks()[tiny.DRAFTED]),
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lookahead", [2, 3, 9])
@pytest.mark.parametrize("name", MODELS)
def test_without_weight_of_draft_text_is_autoregressive(name, lookahead, temperature):
    model, settings = MODELS[name](), {"gen_length": 10, "temperature": temperature, "seed": 6}
    plain = lab.run("autoregressive", model, PROMPTS, **settings)
    run = record("adaptive_parallel", model, PROMPTS, lookahead=lookahead, mixture=0.0, **settings)
    check(run)
    for one, target in zip(run.trajectories(), plain, strict=True):
        assert one.tokens[-1].tolist() == target.tokens[-1].tolist()
        assert one.calls[-1] <= target.calls[-1]


def by_loops(mixture, temperature, lookahead, luck):
    """The canvases of one row behind its prompt [4]; luck [10]."""

    def pick(p, column):
        p = p ** (1 / temperature)
        return int(np.searchsorted(np.cumsum(p / p.sum()), luck[column - 1], side="right"))

    def probabilities(model, canvas):
        return model(torch.tensor([canvas]))[0, :, : V - 1].double().softmax(-1).numpy()

    x, seen, width = [4] + [MASK] * 10, [], 1
    while MASK in x:
        first = x.index(MASK)
        stop = min(first + width, len(x))
        q = probabilities(answer, x[: stop - 1]) if stop - first > 1 else []
        draft = {i: pick(q[i], i) for i in range(first, stop - 1)}
        p = probabilities(following, [draft.get(i, token) for i, token in enumerate(x[:stop])])
        for i in range(first, stop):
            mixed = q[i] ** mixture * p[i] ** (1 - mixture) if i < stop - 1 else p[i]
            x[i] = pick(mixed, i)
            if x[i] != draft.get(i):
                break
        seen.append(list(x))
        width = min(lookahead, BLOCK)
    return seen


@pytest.mark.parametrize("temperature", [0.4, 1.0])
@pytest.mark.parametrize("mixture", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("lookahead", [3, 100])
def test_mixture_decides_how_far_draft_stands(lookahead, mixture, temperature):
    card = tiny.card(V, attention="causal", draft_length=BLOCK)
    model = lab.wrap(following, card, draft_model=answer)
    luck = Noise(2, [0]).uniform(torch.ones(1, 10, dtype=torch.bool))[0].tolist()
    (one,) = lab.run("adaptive_parallel", model, [[4]], gen_length=10, lookahead=lookahead, seed=2,
                     mixture=mixture, temperature=temperature)  # fmt: skip
    assert one.tokens[1:].tolist() == by_loops(mixture, temperature, lookahead, luck)


def test_more_weight_of_draft_takes_fewer_calls():
    model = lab.oracle(PI, A, length=40, draft_length=8)
    calls = [sum(one.calls[-1] for one in lab.run("adaptive_parallel", model, rows=20, mixture=r))
             for r in (0.0, 0.7, 1.0)]  # fmt: skip
    assert calls[0] > calls[1] > calls[2]
    assert calls[2] == 20 * (1 + 39 // 8 + 1)
