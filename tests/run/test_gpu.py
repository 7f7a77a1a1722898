"""On a GPU: what the CPU writes, and no step waits longer than its budget. Skipped where none is.

tests/run/test_device.py holds the same on any machine, by a device that stands for a GPU.
"""

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch

import lab
import samplers
from samplers.noise import Noise
from tests.kit import golden, tiny
from tests.kit.golden import CASES, stored, trace
from tests.run.test_device import WAITS, plan_of, same_frames, title

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = torch.device("cuda")
CALL = "called a synchronizing CUDA operation"


@pytest.mark.parametrize("case", CASES, ids=title)
def test_trace_is_same_on_gpu(case):
    there = trace(*case, device=GPU)
    assert stored()[there.split("\n")[0]] == there


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_same_seed_draws_same_tokens_on_gpu(name):
    same_frames(plan_of(name, golden.network(name)), plan_of(name, golden.network(name, GPU)))


def waits(plan):
    """How often each step made the processor wait."""
    opened = plan.model.open(plan.canvas, plan.values.get("block_length"))
    noise, each = Noise(plan.seed, range(len(plan.canvas.tokens))), []
    steps = plan.sampler.function(opened, opened.canvas, noise, **plan.values)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        while True:
            with warnings.catch_warnings(record=True) as seen, torch.no_grad():
                warnings.simplefilter("always")
                if next(steps, None) is None:
                    return each
            each.append(sum(CALL in str(one.message) for one in seen))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_run_waits_no_more_often_than_budget(name):
    timed = samplers.get(name).needs.time
    run = plan_of(name, golden.network(name, GPU, time_conditioned=timed))
    each, blocks = waits(run.plan), len(run.plan.canvas.blocks())
    rewards = len(each) * samplers.get(name).needs.reward  # a checker runs on the CPU
    assert len(each) > 1
    assert sum(each) <= WAITS["without_record"] * len(each) + blocks + rewards, each


@pytest.fixture(scope="module")
def on_gpu():
    """Every kind of tiny checkpoint, and the same on the GPU."""
    models = {}
    for kind, model in tiny.networks().items():
        far = deepcopy(model)
        for part in vars(far).values():
            if isinstance(part, torch.nn.Module):
                part.to(GPU)
        models[kind] = model, far
    return models


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_calls_answer_as_on_cpu(on_gpu, kind):
    near, far = (tiny.changed(model, block_lengths=(4,)) for model in on_gpu[kind])
    random = torch.Generator().manual_seed(0)
    for call in range(4):
        ids = torch.randint(5, 40, (1, 12 + call), generator=random)
        window = slice(3, 9)
        one, other = near.denoise(ids, window=window), far.denoise(ids, window=window)
        assert other.device.type == "cuda"
        assert torch.allclose(one, other.cpu(), atol=1e-4), call


@pytest.mark.parametrize(("name", "kind"), tiny.pairs())
def test_run_of_checkpoint_is_same_on_gpu(on_gpu, name, kind):
    near, far = on_gpu[kind]
    timed = samplers.get(name).needs.time
    runs = [
        plan_of(name, tiny.changed(model, time_conditioned=timed), temperature=0.0)
        for model in (near, far)
    ]
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one.tokens, other.tokens) and one.window == other.window


def test_shipped_models_open_on_gpu():
    for name in ("stories-mdlm", "stories-draft", "sudoku6-mdlm"):
        assert lab.load(name, device="cuda").device.type == "cuda"
