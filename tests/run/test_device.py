"""A run computes where its model is: no value is brought back but the loop's own and a Frame's.

A GPU is not needed: tests/kit/far_device.py stands for one, and counts what a GPU would wait for.
"""

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch

import samplers
from lab.models.wrap import Wrapped
from samplers.draw import token_weights
from samplers.noise import Noise
from tests.kit import golden, tiny
from tests.kit.far_device import FAR, FarDevice
from tests.kit.golden import CASES, stored, trace
from tests.kit.laws import only, start

# A step: does the loop go on, which rows are asked, and with a record its Frame.
WAITS = {"without_record": 2, "with_record": 3}
EVERY = ["lab/run/probe.py", "lab/models/model.py", "samplers/"]  # who may ask for a value
FREE = {"temperature": 1.0, "top_p": 0.9}


def title(case):
    return " ".join(map(str, case))


def plan_of(name, model, rows=2, **values):
    """A checked run of a sampler, at temperature 1 where it has one."""
    known = only(name, **{**FREE, "steps": 8, "block_length": 4, **values})
    return start(name, model, golden.PROMPTS[:rows], **{**golden.SETTINGS, **known})


def waits(far, run, record):
    """What each step waited for, and the windows: one list of waits a step."""
    marks, windows, plan = [0], [], run.plan
    if record == "with_record":
        for frame in run:
            marks.append(len(far.waits))
            windows.append(frame.window)
        return [far.waits[a:b] for a, b in pairwise(marks[1:])], windows[1:]
    opened = plan.model.open(plan.canvas, plan.values.get("block_length"))
    noise = Noise(plan.seed, range(len(plan.canvas.tokens)))
    with torch.no_grad():
        for step in plan.sampler.function(opened, opened.canvas, noise, **plan.values):
            marks.append(len(far.waits))
            windows.append(step.window)
    return [far.waits[a:b] for a, b in pairwise(marks)], windows


def keeps_budget(far, run, record, most=None):
    """At most so many waits a step, and one more to see that a block is filled."""
    most = WAITS[record] if most is None else most
    each, windows = waits(far, run, record)
    starts = [block.start for block in run.plan.canvas.blocks()]
    blocks = [sum(start <= window.start for start in starts) for window in windows]
    moved = np.diff(blocks, prepend=blocks[0]) > 0
    assert len(each) > 1
    for step, (several, new) in enumerate(zip(each, moved, strict=True)):
        assert len(several) <= most + new, f"step {step} waits for {several}"
    copies = [one for several in each for one in several if one.operation.endswith("copy to cpu")]
    assert all(one.line.startswith(tuple(EVERY)) for one in copies), copies
    frames = [one for one in copies if one.line.startswith("lab/run/")]
    assert len(frames) == (len(each) if record == "with_record" else 0)


def same_frames(here, there):
    """The frames of two runs hold the same tokens, and numbers that are as near as rounding."""
    for near, far in zip(here, there, strict=True):
        assert np.array_equal(near.tokens, far.tokens) and near.window == far.window
        for field in ("predicted", "score", "confidence", "entropy", "top_probabilities"):
            one, other = getattr(near, field), getattr(far, field)
            assert np.allclose(one, other, atol=1e-6, equal_nan=True) if near.step else one is None


@pytest.mark.parametrize("case", CASES, ids=title)
def test_trace_is_same_on_another_device(case):
    with FarDevice():
        far = trace(*case, device=FAR)
    assert stored()[far.split("\n")[0]] == far


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_same_seed_draws_same_tokens_on_another_device(name):
    here = plan_of(name, golden.network(name))
    with FarDevice():
        there = plan_of(name, golden.network(name, FAR))
        frames = list(there)
    same_frames(here, frames)
    assert here.trajectories()[0].same_tokens(there.trajectories()[0])


@pytest.mark.parametrize("record", WAITS)
@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_step_waits_for_no_more_values_than_budget(name, record):
    # Told the time, a model is asked at every point of a grid: no step passes without a call.
    timed = samplers.get(name).needs.time
    with FarDevice() as far:
        model = golden.network(name, FAR, time_conditioned=timed)
        keeps_budget(far, plan_of(name, model), record)


@pytest.mark.parametrize("case", CASES, ids=title)
def test_every_rule_keeps_budget_of_its_steps(case):
    name, values = case
    with FarDevice() as far:
        run = plan_of(name, golden.network(name, FAR), **values)
        each, _ = waits(far, run, "without_record")
    blocks = len(run.plan.canvas.blocks())
    rewards = len(each) * samplers.get(name).needs.reward  # a checker runs on the CPU
    idle = max(0, run.plan.values.get("steps", 0) * blocks - len(each))  # nothing opened: no call
    assert sum(map(len, each)) <= WAITS["without_record"] * (len(each) + idle) + blocks + rewards


@pytest.mark.parametrize(("name", "kind"), tiny.pairs())
def test_checkpoint_makes_no_step_wait(name, kind):
    model = deepcopy(tiny.networks()[kind])  # opened before: transformers loads by way of meta
    with FarDevice() as far:
        far.send(model.network)
        model = tiny.changed(model, time_conditioned=samplers.get(name).needs.time)
        for part in ("draft_model", "head"):
            if hasattr(model, part):
                far.send(getattr(model, part))
        # One row, as the page has it: a call is for that row, so only the loop's own wait is left,
        # and with a draft how much of it stands, with several canvases which are asked about.
        several = ("dflash", "adaptive_parallel", "freedave", "fk_steering", "self_speculation")
        most = 2 if name in several else 1
        keeps_budget(far, plan_of(name, model, rows=1), "without_record", most)
        assert model.device == FAR


@pytest.mark.parametrize("rule", ["keep_crossing", "drop_crossing"])
def test_top_p_wider_than_256_tokens_is_same_on_another_device(rule):
    logits = torch.randn(3, 5, 2000, generator=torch.Generator().manual_seed(0))
    here = token_weights(logits, top_p=0.9, nucleus_rule=rule)
    with FarDevice() as far:
        there = token_weights(far.send(logits), top_p=0.9, nucleus_rule=rule)
        assert not far.waits
        torch.testing.assert_close(there.cpu(), here)


def test_run_refuses_broken_answers_on_another_device():
    """What a CPU says within the call is known here with the values of the step."""

    def broken(tokens):
        return torch.full((*tokens.shape, golden.V), torch.nan, device=tokens.device)

    with FarDevice():
        run = plan_of("mdlm", Wrapped(broken, golden.network("mdlm").card, device=FAR))
        with pytest.raises(ValueError, match="answered with NaN"):
            list(run)
        assert run.steps(0) == 0


def test_run_refuses_impossible_draws_on_another_device(monkeypatch):
    monkeypatch.setattr("samplers.draw._weigh", lambda logits, *rest, **named: logits * 0)
    with FarDevice():
        run = plan_of("mdlm", golden.network("mdlm", FAR))
        with pytest.raises(ValueError, match="cannot draw"):
            list(run)


def test_far_device_counts_what_gpu_waits_for():
    with FarDevice() as far:
        x = far.send(torch.arange(4))
        quiet = [x + 1, x[1:], x.sum(), torch.zeros(2, device=FAR), x[far.send(torch.arange(2))],
                 torch.arange(2).to(FAR, non_blocking=True)]  # fmt: skip
        assert all(one.device == FAR for one in quiet) and not far.waits
        for ask in (bool, int, lambda x: x.tolist()):
            ask(x.sum())
        for ask in (lambda: x[x > 1], lambda: x.nonzero(), lambda: torch.arange(2).to(FAR)):
            ask()
        assert len(far.waits) == 6
        for mixed in (lambda: x + torch.arange(4), lambda: x[torch.arange(2)]):
            with pytest.raises(RuntimeError, match="two devices"):
                mixed()
        with pytest.raises(TypeError, match="copy it to the CPU"):
            x.numpy()
