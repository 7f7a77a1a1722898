"""MDLM: ancestral sampling of absorbing diffusion (Sahoo et al. 2024, arXiv:2406.07524)."""

import math
from collections.abc import Callable, Iterator
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
    EosEarlyStop,
    Grid,
    NucleusRule,
    SamplingEps,
    Steps,
    Temperature,
    TopK,
    TopP,
)
from .registry import Needs, Range, Revision, Values, sampler, steps_per_block

Stride = Annotated[
    int, Range(1, 1024, 1, "Denoise all that is left, keep so many tokens, mask the rest again.")
]


def _revises(values: Values) -> Revision | None:
    return "remasks" if values["stride"] else None


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    calls = steps_per_block(values, masked, cached) + bool(values["sampling_eps"])
    return calls * math.ceil(columns / (values["stride"] or columns or 1))


@sampler(
    title="MDLM (absorbing)",
    paper="arXiv:2406.07524",
    guarantee="O(1/N)",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), time=True),
    layout="whole",
    revises=_revises,
    budget=_budget,
    presets={
        "paper": {"steps": 1000},
        "semi_autoregressive": {"stride": 32},
        "official": {"sampling_eps": 1e-5},
    },
)
def mdlm(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    schedule: AlphaSchedule = "loglinear",
    grid: Grid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    stride: Stride | None = None,
    sampling_eps: SamplingEps = 0.0,
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Open every masked position independently, as the reverse of the noise process would.

    From t to s a masked position turns into token v with p(v) (alpha_s - alpha_t) / (1 - alpha_t)
    and stays masked with (1 - alpha_s) / (1 - alpha_t) (eq. 7). The grid ends at s = 0, where
    nothing stays. Positions are not ranked. A row that did not change needs no new call: its p(x0)
    is cached. The preset official ends its grid at 1e-5 and spends one call more on what is left;
    it does not hold the float32 Gumbel noise of the official code, which truncates the tail.
    """
    x = canvas.tokens
    times = [sampling_eps + (1 - sampling_eps) * t for t in schedules.grid(grid, steps)]
    weigh = weighing(temperature, top_k, top_p, nucleus_rule)
    (block,) = canvas.blocks() or [slice(0, 0)]
    for start in range(block.start, block.stop, stride or block.stop):
        window, stop = slice(start, block.stop), start + (stride or block.stop)
        frozen = _frozen(canvas, start, stop, eos_early_stop)
        run = kernels.ancestral(
            denoise, canvas, noise, x, window, list(pairwise(times)), schedule, weigh, frozen
        )
        for step in run:
            x = step.tokens
            yield step
        remaining = canvas.masked(x, window, frozen(x))
        for step in kernels.noise_removal(denoise, x, window, remaining, schedule, sampling_eps):
            x = step.tokens
            yield step
        remask = _beyond(canvas, stop) & ~frozen(x)[:, None]
        if stop < block.stop and remask.any():
            x = x.masked_fill(remask, canvas.mask)
            yield Step(x, window)


def _beyond(canvas: Canvas, stop: int) -> Tensor:
    column = torch.arange(canvas.tokens.shape[1], device=canvas.tokens.device)
    return canvas.writable & (column >= stop)


def _frozen(
    canvas: Canvas, start: int, stop: int, eos_early_stop: bool
) -> Callable[[Tensor], Tensor]:
    """Which rows [B] of a canvas are done with this window."""
    if stop >= canvas.tokens.shape[1]:
        return lambda x: canvas.finished(x, eos_early_stop)
    # An EOS in columns that will be masked again ends no row; a row that keeps nothing waits.
    idle, beyond = ~canvas.writable[:, start:stop].any(-1), _beyond(canvas, stop)
    return lambda x: idle | canvas.finished(x.masked_fill(beyond, canvas.mask), eos_early_stop)
