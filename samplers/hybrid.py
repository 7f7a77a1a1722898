"""Hybrid diffusion, mask and uniform noise together (GIDD, von Ruette et al., arXiv:2503.04482)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step, write
from .draw import log_probability, ranking, token_weights
from .noise import Noise
from .params import NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Flag, Needs, Range, Values, filters_unless, sampler, steps_per_block

PUniform = Annotated[
    float, Range(0.0, 0.99, 0.01, "Uniform share of the noise at t = 1/2, as in training; 0: MDLM.")
]
Gamma = Annotated[
    float, Range(0.1, 2.0, 0.1, "How sharply uniform noise gathers round t = 1/2; 1 is published.")
]
ClipNoise = Annotated[
    float, Range(1.0, 50.0, 1.0, "p_uniform is at least exp(-clip_noise); 20 is published.")
]
Rule = Annotated[
    str,
    Choice(
        ("auto", "plug_in", "mixture"),
        "Reverse step for a leave-one-out (plug_in) or a full posterior (mixture); auto fits.",
    ),
]
HybridGrid = Annotated[
    str,
    Choice(
        (*schedules.GRIDS, "published"),
        "Times; published is the official grid: one point late, its last step leaves noise.",
    ),
]
MinP = Annotated[
    float, Range(0.0, 0.5, 0.001, "Drop outcomes of a step less likely than this; 0 is off.")
]
SelfCorrection = Annotated[
    bool, Flag("After the run replace the most confidently wrong token, one a call, until stable.")
]
CorrectionTemperature = Annotated[
    float, Range(0.01, 2.0, 0.01, "Temperature of self-correction; 0.1 and 0.5 were published.")
]
Patience = Annotated[
    int, Range(1, 512, 1, "Self-correction: most calls in a row without better agreement.")
]

RULES = {"plug_in": "loo", "mixture": "full"}


def check(values: dict[str, Any], card: Any) -> None:
    """Refuse the rule that the model's posterior does not fit: it would be biased (TV .16 flat)."""
    posterior = RULES.get(values["rule"])
    if posterior and card.posterior != posterior:
        raise ValueError(
            f"hybrid: rule {values['rule']} needs a model with posterior {posterior}, this one has "
            f"{card.posterior}; leave rule at auto"
        )


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=False) * (2 if values["self_correction"] else 1)


@sampler(
    title="Hybrid (mask + uniform)",
    paper="arXiv:2503.04482",
    guarantee="O(N^-1/2)",
    needs=Needs(frozenset({"hybrid"}), frozenset({"full"}), time=True),
    layout="whole",
    revises="edits",
    budget=_budget,
    check=check,
    draws=filters_unless("min_p", "self_correction"),
    presets={
        "p_uniform_0.2": {"p_uniform": 0.2},
        "self_correction": {"self_correction": True},
        "official": {"grid": "published"},
    },
)
def hybrid(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    p_uniform: PUniform = 0.1,
    gamma: Gamma = 1.0,
    clip_noise: ClipNoise = 20.0,
    rule: Rule = "auto",
    grid: HybridGrid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    min_p: MinP = 0.0,
    self_correction: SelfCorrection = False,
    correction_temperature: CorrectionTemperature = 0.1,
    patience: Patience = 32,
) -> Iterator[Step]:
    """Redraw every writable position at every step: masks open, wrong tokens are noised away.

    q(z_s = j | z_t) is proportional to q(z_t | z_s = j) q_s(j), q_s = alpha_s r + beta_s pi_s,
    where r is the leave-one-out posterior (eq. 12); a full one is divided by q(z_t | x) first. The
    last step goes to s = 0, which leaves no mask and no noise; the preset official stands still
    there and leaves noise (docs/laws.md P2, P3). EOS is applied when the run is settled.
    """
    x = canvas.tokens
    (window,) = canvas.blocks() or [slice(0, 0)]
    free = canvas.writable[:, window]
    mixture = schedules.Hybrid(p_uniform, gamma, clip_noise)
    spread = kernels.noise_spread(denoise.card, x.device)
    for t, s in _times(grid, steps) if canvas.blocks() else []:
        logits = denoise(x, window=window, t=torch.full((len(x),), t, device=x.device))
        z = x[:, window]
        now, then = (schedules.masses(mixture, time) for time in (t, s))
        # A token that the noise never places came from the model: it is certain, and stays.
        redrawn = free & ((z == canvas.mask_id) | (spread[z] > 0))
        if denoise.card.posterior == "full":
            logits = kernels.leave_one_out(logits, z, redrawn, canvas.mask_id, now, spread)
        clean = token_weights(logits, temperature, top_k, top_p, nucleus_rule)
        weights = kernels.reverse(clean, z, canvas.mask_id, now, then, spread)
        ids = noise.categorical(_without_unlikely(weights, min_p), redrawn)
        x = write(x, window, redrawn, ids)
        yield Step(x, window, kernels.predictions(ids, clean, canvas.mask_id, then, spread))
        del logits, clean, weights  # before the model wants the room
    if self_correction:
        yield from correct(
            denoise, canvas, noise, x, window, steps, correction_temperature, patience
        )


def _without_unlikely(weights: Tensor, min_p: float) -> Tensor:
    if not min_p:
        return weights
    share = weights / weights.sum(-1, keepdim=True)
    return weights * (share >= share.amax(-1, keepdim=True).clamp(max=min_p))


def correct(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    x: Tensor,
    window: slice,
    steps: int,
    temperature: float,
    patience: int,
) -> Iterator[Step]:
    """Change one token a call, the one most confidently wrong (GIDD's self-correction).

    A row stops when its draw changes nothing, or, as published, when the share of tokens that are
    the argmax has not grown for more than `patience` calls, the last of which changes nothing. A
    search for a fixed point, not a sampler of p.
    """
    free = canvas.writable[:, window]
    going = free.any(-1)
    best = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    waited = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for _ in range(steps):
        if not going.any():
            return
        time = torch.full((len(x),), 0.01, device=x.device)  # the published t0
        logits = denoise(x, window=window, rows=going, t=time)
        here = free & going[:, None]
        ids = noise.categorical(token_weights(logits, temperature), here, "correction")
        log_p = log_probability(logits / temperature, ids, here & (ids != x[:, window]))
        change = kernels.top_k(ranking(log_p), 1)
        after = write(x, window, change, ids)
        agree = (logits.argmax(-1) == after[:, window]) & here
        share = agree.sum(-1).double() / here.sum(-1).clamp(min=1)
        waited = torch.where(share > best, 0, waited + 1)
        best = torch.maximum(best, share)
        going = going & (waited <= patience)
        x = after.where(going[:, None], x)
        going = going & change.any(-1)
        yield Step(x, window, ids, log_p.exp().where(here, torch.nan))


def _times(grid: str, steps: int) -> list[tuple[float, float]]:
    if grid == "published":  # linspace(e, 1 - e), read one point late; e = 1e-4
        points = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) * (1 - 2e-4) + 1e-4).tolist()
        return [(points[i], points[max(0, i - 1)]) for i in range(steps - 1, -1, -1)]
    return list(pairwise(schedules.grid(grid, steps)))
