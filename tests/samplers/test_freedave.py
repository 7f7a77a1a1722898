"""FreeDave writes what one token a call writes, whatever is drafted: greedy and drawn."""

from dataclasses import replace

import pytest
import torch

import lab
from lab.run import limits
from lab.run.plan import plan
from lab.run.request import RunRequest
from lab.study.correctness import check as correct
from tests.kit import tiny
from tests.kit.chain import chain
from tests.kit.golden import EOS, V, answer
from tests.kit.laws import check, record

DRAFTS = [2, 3, 8]


def fixed(tokens):
    """A model that never changes its mind: the third token, most confident at the left."""
    logits = torch.zeros(*tokens.shape, 5)
    logits[..., 2] = torch.arange(tokens.shape[1], 0, -1.0)
    return logits


MODELS = {
    "formula": lambda: lab.wrap(answer, tiny.card(V, attention="full", eos_ids=(EOS,))),
    "chain": lambda: chain(length=14),
    "qwen3": lambda: tiny.eos_rich(tiny.networks()["full-absorbing"]),
}
PROMPTS = [[1, 2], [0], [2, 2, 1]]


def both(name, drafts, **values):
    model = MODELS[name]()
    runs = [record("freedave", model, PROMPTS, gen_length=10, block_length=16, drafts=n, **values)
            for n in (1, drafts)]  # fmt: skip
    for run in runs:
        check(run)
    return [run.trajectories() for run in runs]


@pytest.mark.parametrize("drafts", DRAFTS)
@pytest.mark.parametrize("name", MODELS)
def test_greedy_freedave_writes_what_max_prob_writes(name, drafts):
    plain = lab.run("max_prob", MODELS[name](), PROMPTS, gen_length=10, temperature=0.0)
    for runs in both(name, drafts, temperature=0.0):
        for one, target in zip(runs, plain, strict=True):
            assert one.tokens[-1].tolist() == target.tokens[-1].tolist()
            assert one.output == target.output


@pytest.mark.parametrize("drafts", DRAFTS)
@pytest.mark.parametrize("temperature", [0.3, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_drawn_text_does_not_depend_on_drafts(name, temperature, drafts):
    one, several = both(name, drafts, temperature=temperature, seed=4)
    assert [run.tokens[-1].tolist() for run in one] == [run.tokens[-1].tolist() for run in several]
    assert sum(len(run.tokens) for run in several) < sum(len(run.tokens) for run in one)
    for run in several:
        assert (run.calls[-1] >= run.commits.sum()) and not run.edits.any()


def test_freedave_keeps_law_of_data():
    assert correct("freedave", [{"drafts": 3}]).agrees


@pytest.mark.parametrize(("drafts", "calls"), [(1, [1] * 8), (3, [1, 3, 3, 1]), (4, [1, 4, 3])])
def test_every_canvas_of_round_is_call(drafts, calls):
    model = lab.wrap(fixed, tiny.card(5, attention="full"))
    (one,) = lab.run("freedave", model, [[1]], gen_length=8, drafts=drafts)
    assert torch.tensor([0, *one.calls]).diff().tolist() == calls
    assert one.commits.sum(-1).tolist() == ([1] * 8 if drafts == 1 else calls)


def test_worst_case_is_declared_budget():
    """A model whose mind changes at every token: every draft but the first is in vain."""

    def fickle(tokens):
        logits = torch.zeros(*tokens.shape, 9)
        place = (tokens == 8).sum(-1, keepdim=True) + torch.arange(tokens.shape[1])
        return logits.scatter(-1, (place % 8)[..., None], 5.0)

    model = lab.wrap(fickle, tiny.card(9, attention="full"))
    run = record("freedave", model, [[1]], gen_length=6, drafts=3)
    check(run)
    assert run.frames[-1].calls.tolist() == [1 + 3 + 3 + 3 + 2 + 1]


def test_canvases_of_row_count_against_limit(monkeypatch):
    model = lab.wrap(fixed, tiny.card(5, attention="full"))
    monkeypatch.setattr(limits, "LOGITS", replace(limits.LOGITS, most=319))
    request = RunRequest("freedave", model, [[1], [1]], gen_length=8)
    with pytest.raises(ValueError, match="got 8 x 8 x 5 = 320"):
        plan(request)
    plan(replace(request, params={"drafts": 3}))
