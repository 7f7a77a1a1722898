"""What written tokens were drawn from: the model's probabilities after temperature and filters."""

import numpy as np
import pytest
import torch

import samplers
from lab.record.draw_cells import Draws
from tests.kit import golden, tiny
from tests.kit.far_device import FAR, FarDevice
from tests.kit.laws import record, start

V = 40
FROM_ONE = np.array([1, 0])  # steps are counted from 1, positions from 0
LOGITS = 2 * torch.randn(1, 64, V, generator=torch.Generator().manual_seed(1))
CASES = [
    ("llada", {"temperature": 0.7, "top_p": 0.8, "block_length": 6}),
    ("mdlm", {"temperature": 1.3, "top_k": 3, "steps": 6}),
    ("bd3lm", {"top_p": 0.5, "block_length": 4}),
    ("autoregressive", {"temperature": 0.4, "top_k": 30, "top_p": 0.9}),
    ("self_speculation", {"temperature": 0.8}),
    ("hybrid", {"temperature": 0.5, "steps": 9}),
    ("uniform", {"top_p": 0.9, "steps": 9}),
    ("remdm", {"top_k": 2, "steps": 9, "eta": 0.3}),
]


def answers(ids):
    """Logits [B, T, V] that depend on the column alone."""
    return LOGITS[:, : ids.shape[1]].expand(len(ids), -1, -1)


def run_of(name, **values):
    return record(name, tiny.wrapped(name, answers, V), [[5, 6]], gen_length=12, seed=4, **values)


def filtered(p, temperature=1.0, top_k=None, top_p=None, nucleus_rule="keep_crossing"):
    """Probabilities [V] after temperature, top-k and nucleus, token by token."""
    weights = [x ** (1 / temperature) if x else 0.0 for x in p]
    order = sorted(range(len(p)), key=lambda i: -weights[i])[:top_k]
    whole, mass, result = sum(weights[i] for i in order), 0.0, np.zeros(len(p))
    for rank, i in enumerate(order):
        before, mass = mass, mass + weights[i] / whole
        reached = mass if nucleus_rule == "drop_crossing" else before
        if top_p is None or reached <= top_p or not rank:
            result[i] = weights[i]
    return result / result.sum()


def probabilities(run, position):
    """What the model says of a position, in float64."""
    logits = LOGITS[0, position].double().numpy().copy()
    logits[[i for i in (run.card["mask_id"], run.card["pad_id"]) if i is not None]] = -np.inf
    return np.exp(logits) / np.exp(logits).sum()


def cells(draws: Draws) -> list[list[int]]:
    return np.stack([draws.step, draws.position], -1).tolist()


@pytest.mark.parametrize(("name", "values"), CASES)
def test_draws_are_filtered_probabilities_of_what_was_written(name, values):
    (run,) = run_of(name, **values).trajectories()
    events = np.argwhere(run.commits | run.edits) + FROM_ONE
    assert len(events) >= 10 and cells(run.draws) == events.tolist()
    rule = {k: run.settings["params"][k] for k in ("temperature", "top_k", "top_p", "nucleus_rule")}
    for step, position in events.tolist():
        p, ids = probabilities(run, position), run.top_ids[step - 1, position]
        assert np.allclose(run.top_probabilities[step - 1, position], p[ids], atol=1e-5)
        after = filtered(p, **rule)
        assert np.allclose(run.draws.at(step, position), after[ids], atol=1e-5)
        assert after[run.tokens[step, position]] > 0 or name in ("hybrid", "uniform")


def test_noise_that_model_agrees_with_is_drawn():
    def few(ids):
        return LOGITS[:, : ids.shape[1], :6].expand(len(ids), -1, -1)

    run = record("uniform", tiny.wrapped("uniform", few, 6), [[1, 2]], gen_length=40, seed=4,
                 steps=9, temperature=0.5).trajectories()[0]  # fmt: skip
    events = np.argwhere(run.commits | run.edits)
    assert any(run.tokens[step, place] == run.tokens[step + 1, place] for step, place in events)
    assert cells(run.draws) == (events + FROM_ONE).tolist()


def test_cooling_is_that_of_its_call():
    whole = run_of("renoise", temperature=0.8, cooling=0.25, steps=5, block_length=6,
                   stop_entropy=None, entropy_bound=1.0)  # fmt: skip
    (run,) = whole.trajectories()
    calls = set()
    for step, position in cells(run.draws):
        first = np.flatnonzero(run.block == run.block[step - 1])[0]
        call = run.calls[step - 1] - (run.calls[first - 1] if first else 0) - 1
        temperature = 0.8 * (0.25 + 0.75 * (5 - call) / 5)
        p, ids = probabilities(run, position), run.top_ids[step - 1, position]
        after = filtered(p, temperature)[ids]
        assert np.allclose(run.draws.at(step, position), after, atol=1e-5), call
        calls.add(int(call))
    assert calls == set(range(5)) and len(set(run.block.tolist())) == 2


@pytest.mark.parametrize("name", ["llada", "mdlm", "hybrid", "bd3lm"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nothing_is_recorded_where_filters_change_nothing(name, temperature):
    run = run_of(name, temperature=temperature, steps=4)
    assert all(frame.after_filters is None for frame in run.frames)
    assert run.trajectories()[0].draws is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("llada2", {"penalty_lambda": 1.0}),
        ("hybrid", {"min_p": 0.1}),
        ("hybrid", {"self_correction": True}),
        ("threshold", {"credit": 0.7}),
        ("llada", {"forbid_eos": True}),
        ("adaptive_parallel", {"mixture": 0.5}),
    ],
)
def test_draws_shaped_by_more_than_filters_are_left_out(name, values):
    sampler = samplers.get(name)
    free = {"temperature": 0.7, "top_p": 0.9}
    assert sampler.filters(sampler.bind(free | values)) is None
    off = {key: type(value)() for key, value in values.items() if key != "credit"}
    assert sampler.filters(sampler.bind(free | off)).top_p == 0.9


def test_every_row_has_its_own_draws():
    prompts = [[60, 61, 62], [70]]
    run = record("llada", tiny.networks()["full-absorbing"], prompts, gen_length=9, seed=2,
                 temperature=0.7, block_length=4)  # fmt: skip
    for row in run.trajectories():
        events = np.argwhere(row.commits) + FROM_ONE
        assert len(events) >= 4 and cells(row.draws) == events.tolist()
        for step, position in events.tolist():
            p = row.top_probabilities[step - 1, position].astype(float)
            after = row.draws.at(step, position)
            assert np.allclose(after / after[0], (p / p[0]) ** (1 / 0.7), atol=1e-5)


def test_live_draws_add_up_to_all():
    live = start("mdlm", tiny.wrapped("mdlm", answers, V), [[5]], gen_length=12, steps=12, top_k=2)
    parts = []
    for number, _ in enumerate(live):
        if number % 3 == 0:
            parts.append(live.steps_since(0, sum(len(part.calls) for part in parts)))
    parts.append(live.steps_since(0, sum(len(part.calls) for part in parts)))
    (run,) = live.trajectories()
    known = [part.draws for part in parts if part.draws]
    for mine, whole in zip(map(np.concatenate, zip(*known, strict=True)), run.draws, strict=True):
        assert np.array_equal(mine, whole)
    later = run.steps_since(4).draws
    assert cells(later) == [cell for cell in cells(run.draws) if cell[0] > 4] != cells(run.draws)
    assert run.draws.at(1, 0) is None and run.draws.at(99, 3) is None


@pytest.mark.parametrize("name", ["llada", "hybrid", "renoise"])
def test_draws_are_same_on_another_device(name):
    def plan_of(model):
        values = {"temperature": 0.7, "top_p": 0.9, "steps": 5}
        return start(name, model, golden.PROMPTS[:2], **{**golden.SETTINGS, **values})

    here = plan_of(golden.network(name))
    list(here)
    with FarDevice():
        there = plan_of(golden.network(name, FAR))
        list(there)
    for near, far in zip(here.trajectories(), there.trajectories(), strict=True):
        assert cells(near.draws) == cells(far.draws) and cells(near.draws)
        assert np.allclose(near.draws.probabilities, far.draws.probabilities, atol=1e-6)
