"""What a run holds beside its model: tensors, counted byte by byte, and the record's arrays."""

import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import samplers
from lab.bench.costs import Tape, opened, replay, sample
from lab.run.recorder import Recorder
from tests.kit import tiny
from tests.kit.laws import only, start

V, WIDTH = 3000, 24
CANVAS = WIDTH * V * 4  # bytes of one row's logits
MOST = 3  # canvases of logits that a run may hold beside what its model's calls hold
LINE = 64  # bytes that a record may take a step and position


class Held(TorchDispatchMode):
    """The most bytes that lived at once in tensors made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self.bytes = 0
        self._users: Counter[int] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        memory = tensor.untyped_storage()
        place, size = memory.data_ptr(), memory.nbytes()
        if not size:
            return
        if not self._users[place]:
            self.bytes += size
            self.most = max(self.most, self.bytes)
        self._users[place] += 1
        weakref.finalize(tensor, self._drop, place, size)

    def _drop(self, place: int, size: int) -> None:
        self._users[place] -= 1
        if not self._users[place]:
            self.bytes -= size


LOGITS = 3 * torch.randn(1, 100, V, generator=torch.Generator().manual_seed(0))


def answers(ids):
    """Logits [B, T, V] that the model holds anyway."""
    return LOGITS[:, : ids.shape[1]].expand(len(ids), -1, -1)


def plan_of(name):
    settings = only(name, steps=8, block_length=WIDTH, temperature=1.0)
    model = tiny.wrapped(name, answers, V)
    return start(name, model, [[5, 6]], gen_length=WIDTH, **settings).plan


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_run_holds_few_canvases_of_logits_beside_its_model(name):
    plan = plan_of(name)
    tape = Tape(opened(plan))
    sample(plan, tape)
    with Held() as alone:
        replay(opened(plan), tape)
    with Held() as run:
        sample(plan, opened(plan))
    with Held() as record:
        for _ in Recorder(plan):
            pass
    assert alone.most >= CANVAS
    answer = CANVAS * plan.sampler.canvases_at_once(plan.values)
    for held in (run, record):
        assert (held.most - alone.most) / answer <= MOST


def test_bytes_are_counted_once_and_until_they_go():
    with Held() as held:
        one = torch.zeros(100, dtype=torch.float64)
        view, other = one[10:], one + 1
        assert held.bytes == 1600
        del one, other
        assert held.bytes == 800 and held.most == 1600
        del view
        assert held.bytes == 0


def test_record_takes_few_bytes_per_position():
    run = Recorder(plan_of("llada2"))
    for _ in run:
        pass
    (trajectory,) = run.trajectories()
    held = [value for value in vars(trajectory).values() if isinstance(value, np.ndarray)]
    cells = trajectory.predicted.size
    assert len(held) > 10 and sum(value.nbytes for value in held) <= LINE * cells
