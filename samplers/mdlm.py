"""MDLM: ancestral sampling of absorbing diffusion (Sahoo et al. 2024, arXiv:2406.07524)."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from . import schedules
from .canvas import Canvas, Denoiser, Step
from .draw import token_weights
from .kernels import ancestral, noise_removal
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
    int,
    Range(
        1,
        1024,
        1,
        "Semi-autoregressive: denoise all that is left, keep this many tokens, mask the rest "
        "again.",
    ),
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
    """Unmask every masked position independently with the chance that the noise process leaves it
    by then.

    From t to s a masked position turns into token v with p(v) (alpha_s - alpha_t) / (1 - alpha_t)
    and stays masked with (1 - alpha_s) / (1 - alpha_t) (eq. 7). The grid ends at s = 0, where
    nothing stays. Positions are not ranked. A row that did not change needs no new call: its p(x0)
    is cached. The preset official ends its grid at 1e-5 and spends one call more on what is left.
    """
    x = canvas.tokens
    times = [sampling_eps + (1 - sampling_eps) * t for t in schedules.grid(grid, steps)]
    weigh = partial(
        token_weights, temperature=temperature, top_k=top_k, top_p=top_p, nucleus_rule=nucleus_rule
    )
    (block,) = canvas.blocks() or [slice(0, 0)]
    for start in range(block.start, block.stop, stride or block.stop):
        window, kept = slice(start, block.stop), start + (stride or block.stop)
        frozen = partial(_frozen, canvas, start, kept, eos_early_stop)
        pairs = list(pairwise(times))
        for step in ancestral(denoise, canvas, noise, x, window, pairs, schedule, weigh, frozen):
            x = step.tokens
            yield step
        left = canvas.masked(x, window, frozen(x))
        for step in noise_removal(denoise, x, window, left, schedule, sampling_eps):
            x = step.tokens
            yield step
        again = _beyond(canvas, kept) & ~frozen(x)[:, None]
        if again.any():
            x = x.masked_fill(again, canvas.mask_id)
            yield Step(x, window)


def _beyond(canvas: Canvas, kept: int) -> Tensor:
    column = torch.arange(canvas.tokens.shape[1], device=canvas.tokens.device)
    return canvas.writable & (column >= kept)


def _frozen(canvas: Canvas, start: int, kept: int, eos_early_stop: bool, x: Tensor) -> Tensor:
    # An EOS in columns that will be masked again ends no row; a row that keeps nothing waits.
    idle = ~canvas.writable[:, start:kept].any(-1)
    done = canvas.finished(x.masked_fill(_beyond(canvas, kept), canvas.mask_id))
    return idle | (done & eos_early_stop)
