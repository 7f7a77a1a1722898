"""BD3LM: block by block, absorbing diffusion inside each (Arriola et al., arXiv:2503.09573)."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step
from .draw import weighing
from .noise import Noise
from .params import (
    AlphaSchedule,
    BlockLength,
    EosEarlyStop,
    NucleusRule,
    Steps,
    Temperature,
    TopK,
    TopP,
)
from .registry import Choice, Flag, Needs, Range, Values, sampler, steps_per_block

FirstHitting = Annotated[
    bool, Flag("Draw when the next position opens instead of walking a grid: one call a token.")
]
BlockGrid = Annotated[
    str,
    Choice(
        (*schedules.GRIDS, "published"),
        "Times; published is the official linspace(1, 0, N) with dt = 1/N, which leaves masks.",
    ),
]
EntropyStop = Annotated[
    float, Range(0.0, 8.0, 0.1, "End a row whose last 256 tokens have less entropy (nats).")
]
SlidingWindow = Annotated[
    bool, Flag("Go on past the model's context by sliding it (positions shift), as published.")
]

ENTROPY_WINDOW = 256


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached or values["first_hitting"])


@sampler(
    title="BD3LM",
    paper="arXiv:2503.09573",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"block_causal"}), time=True),
    layout="first",
    budget=_budget,
    slides=lambda values: values["sliding_window"],
    presets={
        "paper": {"top_p": 0.9, "entropy_stop": 4.0},
        "grid": {"first_hitting": False, "steps": 128},
        "official": {
            "first_hitting": False, "grid": "published", "top_p": 0.9, "entropy_stop": 4.0,
            "sliding_window": True,
        },
    },
)  # fmt: skip
def bd3lm(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 16,
    steps: Steps = 5000,
    first_hitting: FirstHitting = True,
    schedule: AlphaSchedule = "linear",
    grid: BlockGrid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    eos_early_stop: EosEarlyStop = True,
    entropy_stop: EntropyStop | None = None,
    sliding_window: SlidingWindow = False,
) -> Iterator[Step]:
    """Denoise each block given all text left of it; the prompt conditions like any other text.

    First-hitting (Zheng et al. 2024, arXiv:2409.02908) has the distribution of infinitely many
    steps, one call a token. With fewer steps than masked positions it opens several a call and is
    no longer exact; on a grid it is O(1/N) in each block. The preset official breaks docs/laws.md
    P2 (its grid leaves masks) and slides past the context.
    """
    x = canvas.tokens
    ended = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    weigh = weighing(temperature, top_k, top_p, nucleus_rule)
    for block in canvas.blocks():
        frozen = partial(_frozen, canvas, eos_early_stop, ended)
        shared = (denoise, canvas, noise, x, block)
        if first_hitting:
            run = kernels.first_hits(*shared, steps, schedule, weigh, frozen)
        else:
            run = kernels.ancestral(*shared, _times(grid, steps), schedule, weigh, frozen)
        for step in run:
            x = step.tokens
            yield step
        if entropy_stop is not None:
            repetitive = _low_entropy(canvas, x, block.stop, entropy_stop) & ~frozen(x)
            if repetitive.any():
                ended = ended | repetitive
                yield Step(x, block, finished=ended)


def _frozen(canvas: Canvas, eos_early_stop: bool, ended: Tensor, x: Tensor) -> Tensor:
    return ended | canvas.finished(x, eos_early_stop)


def _times(grid: str, steps: int) -> list[tuple[float, float]]:
    if grid == "published":  # dt = 1/N on points 1/(N-1) apart; at its last point, t = 0, it fails
        return [(t, t - 1 / steps) for t in torch.linspace(1, 0, steps).tolist() if t > 0]
    return list(pairwise(schedules.grid(grid, steps)))


def _low_entropy(canvas: Canvas, x: Tensor, stop: int, floor: float) -> Tensor:
    seen = canvas.visible[:, :stop]
    latest = seen.int().argsort(dim=-1, stable=True)[:, -ENTROPY_WINDOW:]
    text = x[:, :stop].gather(-1, latest).sort(-1).values
    count = torch.searchsorted(text, text, right=True) - torch.searchsorted(text, text)
    entropy = -(count.double() / ENTROPY_WINDOW).log().mean(-1)
    return (seen.sum(-1) >= ENTROPY_WINDOW) & (entropy < floor)
