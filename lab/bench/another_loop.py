"""Hold any other decoding loop against a sampler: tokens, calls, order, and where they part.

    from lab.bench.another_loop import compare
    print(compare(lambda model, ids: generate(model, ids, steps=8, gen_length=16),
                  "llada", "capitals", "The capital of", gen_length=9, steps=8))

The loop gets a stand-in for its network: called with ids [1, T] it answers with `.logits`, as
transformers' models do, and notes what it was asked.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lab.models.load import resolve
from lab.models.model import Model
from lab.run.plan import plan
from lab.run.recorder import Recorder
from lab.run.request import RunRequest

Loop = Callable[["Stand", Tensor], Any]


class Stand:
    """What another loop takes for its network; canvases: what it was asked about, [1, T] each.

    shifted: the loop shifts logits right by one itself, as Dream's does.
    """

    def __init__(self, model: Model, shifted: bool = False):
        self.device, self.config = model.device, SimpleNamespace(**vars(model.card))
        self.canvases: list[Tensor] = []
        self._model, self._shifted = model, shifted

    def __call__(self, input_ids: Tensor, *_: Any, **__: Any) -> SimpleNamespace:
        self.canvases.append(input_ids.detach().cpu().clone())
        logits = self._model.denoise(input_ids)
        if self._shifted:
            logits = torch.cat([logits[:, 1:], logits[:, -1:]], 1)
        return SimpleNamespace(logits=logits)


class SideBySide(NamedTuple):
    """One row written twice. canvases: ours and theirs, from before the first call to the end.

    parts: the step after which they first differ, None where they never do; places: the positions
    that differ then. order: the step in which each generated position was written last.
    """

    calls: tuple[int, int]
    canvases: tuple[Tensor, Tensor]
    order: tuple[list[int], list[int]]
    same_tokens: bool
    parts: int | None
    places: tuple[int, ...]

    def __str__(self) -> str:
        same = sum(a == b for a, b in zip(*self.order, strict=True))
        lines = [
            f"tokens: {'the same' if self.same_tokens else 'not the same'}",
            f"calls: ours {self.calls[0]}, theirs {self.calls[1]}",
            f"order: {same} of {len(self.order[0])} positions in the same step",
        ]
        if self.parts is None:
            return "\n".join([*lines, "they never part"])
        ours, theirs = (each[self.parts].tolist() for each in self.canvases)
        where = "; ".join(f"position {i}: ours {ours[i]}, theirs {theirs[i]}" for i in self.places)
        return "\n".join([*lines, f"they part in step {self.parts} at {where}"])


@torch.no_grad()
def compare(
    loop: Loop,
    sampler: str,
    model: Model | str,
    prompt: Any,
    *,
    gen_length: int | None = None,
    shifted: bool = False,
    seed: int = 0,
    **params: Any,
) -> SideBySide:
    """Run a sampler, then `loop(model, ids [1, P])` on the same model and prompt.

    The loop returns the ids [1, T] that it ends with (or an object that has them as `sequences`).
    What it feeds in parts, a cache at its side, is compared by its calls and its end alone.
    ValueError as `lab.run` raises it, and where the loop returns another length.
    """
    _, opened = resolve(model, sampler)
    request = RunRequest(sampler, opened, prompt, gen_length=gen_length, seed=seed, params=params)
    run = Recorder(plan(request))
    for _ in run:
        pass
    (one,) = run.trajectories()
    ours, free = torch.as_tensor(one.tokens).long(), torch.as_tensor(one.writable)
    stand = Stand(opened, shifted)
    ids = ours[0][: int(free.int().argmax())][None].to(opened.device)
    answer = loop(stand, ids)
    end = torch.as_tensor(getattr(answer, "sequences", answer)).detach().cpu().reshape(-1)
    if len(end) != len(free):
        raise ValueError(
            f"the loop must return prompt and text, {len(free)} ids, got {len(end)}; give it the "
            "gen_length of the run"
        )
    seen = [each[0] for each in stand.canvases if each.shape[-1] == len(end)]
    theirs = torch.stack([*(seen or [ours[0]]), end])
    return _compared(ours, theirs, free, (int(one.calls[-1]), len(stand.canvases)))


def _compared(ours: Tensor, theirs: Tensor, free: Tensor, calls: tuple[int, int]) -> SideBySide:
    order = tuple(_last_write(canvases)[free].tolist() for canvases in (ours, theirs))
    length = max(len(ours), len(theirs))
    padded = [
        torch.cat([each, each[-1:].expand(length - len(each), -1)]) for each in (ours, theirs)
    ]
    differ = (padded[0] != padded[1]) & free
    steps = differ.any(-1).nonzero().flatten().tolist()
    parts = steps[0] if steps else None
    places = () if parts is None else tuple(differ[parts].nonzero().flatten().tolist())
    return SideBySide(
        calls, (padded[0], padded[1]), (order[0], order[1]), not bool(differ[-1].any()), parts,
        places,
    )  # fmt: skip


def _last_write(canvases: Tensor) -> Tensor:
    """The step [T] in which each position changed last; 0: never."""
    steps = torch.arange(1, len(canvases))[:, None]
    return torch.where(canvases[1:] != canvases[:-1], steps, 0).amax(0)
