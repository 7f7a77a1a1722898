"""Uniform diffusion: every token may still be noise (UDLM, Schiff et al., arXiv:2412.10193)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step, write
from .draw import token_weights
from .noise import Noise, choose
from .params import AlphaSchedule, Grid, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, Range, Values, sampler, steps_per_block

Corrector = Annotated[
    int, Range(0, 64, 1, "Positions redrawn after each step (Gibbs), at one call more; 0 is off.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=False) * (2 if values["corrector"] else 1)


@sampler(
    title="Uniform (UDLM)",
    paper="arXiv:2412.10193",
    guarantee="O(1/N)",
    needs=Needs(frozenset({"uniform"}), frozenset({"full"}), time=True),
    layout="whole",
    revises="edits",
    budget=_budget,
    presets={"gibbs_corrector": {"corrector": 1}},
)
def uniform(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    schedule: AlphaSchedule = "linear",
    grid: Grid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    corrector: Corrector = 0,
) -> Iterator[Step]:
    """Start from uniform tokens and redraw every position at every step.

    The plug-in step of UDLM on a leave-one-out posterior r; a full one is divided by q(z_t | x)
    first, the mixture of DiscreteDDIM (the same kernel). The corrector redraws positions
    from alpha_s r + (1 - alpha_s) / K, r leave-one-out at s: one position leaves p_s invariant
    (arXiv:2605.22765). EOS is applied when the run is settled.
    """
    x, curve = canvas.tokens, schedules.get(schedule)
    spread = kernels.noise_spread(denoise.card, x.device)
    for window in canvas.blocks():
        free = canvas.writable[:, window]
        x = write(x, window, free, kernels.fresh(free, spread, noise, "prior"))
        yield Step(x, window)

        def clean_at(x: Tensor, masses: list[float], window: slice = window) -> Tensor:
            t = kernels.model_time(denoise.card, masses[0], x)
            logits, free = denoise(x, window=window, t=t), canvas.writable[:, window]
            if denoise.card.posterior == "full":
                logits = kernels.leave_one_out(logits, x[:, window], free, None, masses, spread)
            return token_weights(logits, temperature, top_k, top_p, nucleus_rule)

        for t, s in pairwise(schedules.grid(grid, steps)):
            now, then = (_masses(curve, time) for time in (t, s))
            clean = clean_at(x, now)
            weights = kernels.reverse(clean, x[:, window], None, now, then, spread)
            ids = noise.categorical(weights, free)
            x = write(x, window, free, ids)
            yield Step(x, window, kernels.predictions(ids, clean, None, then, spread))
            if corrector and s > 0:
                redraw = choose(free, torch.full_like(x[:, 0], corrector), noise, corrector)
                clean = clean_at(x, then)
                ids = noise.categorical(then[0] * clean + then[2] * spread, redraw, "corrector")
                x = write(x, window, redraw, ids)
                yield Step(x, window, kernels.predictions(ids, clean, None, then, spread))
            del clean, weights  # before the model wants the room


def _masses(curve: Any, t: float) -> list[float]:
    """The marginal at t: alpha, nothing on a mask, what is spread over the noise ids."""
    alpha = float(curve.alpha(torch.tensor(t))) if t else 1.0
    return [alpha, 0.0, 1 - alpha]
