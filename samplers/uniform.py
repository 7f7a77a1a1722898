"""Uniform diffusion: every token may still be noise (UDLM, Schiff et al., arXiv:2412.10193)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from . import schedules
from .canvas import Canvas, Denoiser, Step, write
from .draw import token_weights
from .kernels import chosen, leave_one_out, model_time, noise_spread, reverse
from .noise import Noise, choose
from .params import AlphaSchedule, Grid, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, Range, Values, sampler, steps_per_block

Corrector = Annotated[
    int,
    Range(
        0,
        64,
        1,
        "Gibbs corrector: after each step redraw this many uniformly drawn positions, at one "
        "call more; 0 is off.",
    ),
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

    The plug-in step of UDLM for a leave-one-out model; a full posterior is divided by q(z_t | x)
    first, which is the mixture of DiscreteDDIM (the same kernel). The corrector redraws positions
    from alpha_s r + (1 - alpha_s) / K, r leave-one-out at s: one position leaves p_s invariant
    (arXiv:2605.22765). EOS is applied when the run is settled.
    """
    x, curve = canvas.tokens, schedules.get(schedule)
    spread = noise_spread(denoise.card, x.device)
    for window in canvas.blocks():
        free = canvas.writable[:, window]
        prior = spread.expand(*free.shape, len(spread))
        x = write(x, window, free, noise.categorical(prior, free, "prior"))
        yield Step(x, window)

        def clean_at(x: Tensor, masses: list[float], window: slice = window) -> Tensor:
            t = model_time(denoise.card, torch.tensor(masses[0]), x)
            logits = denoise(x, window=window, t=t)
            if denoise.card.posterior == "full":
                logits = leave_one_out(
                    logits, x[:, window], canvas.writable[:, window], None, masses, spread
                )
            return token_weights(logits, temperature, top_k, top_p, nucleus_rule)

        for t, s in pairwise(schedules.grid(grid, steps)):
            alphas = curve.alpha(torch.tensor([t, s])).tolist()
            if s == 0:
                alphas[1] = 1.0
            now, then = ([alpha, 0.0, 1 - alpha] for alpha in alphas)
            clean = clean_at(x, now)
            ids = noise.categorical(reverse(clean, x[:, window], None, now, then, spread), free)
            x = write(x, window, free, ids)
            yield Step(x, window, chosen(ids, clean, None, then, spread))
            if corrector and s > 0:
                redraw = choose(free, torch.full((len(x),), corrector, device=x.device), noise)
                clean = clean_at(x, then)
                ids = noise.categorical(then[0] * clean + then[2] * spread, redraw, "corrector")
                x = write(x, window, redraw, ids)
                yield Step(x, window, chosen(ids, clean, None, then, spread))
