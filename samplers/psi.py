"""Psi-samplers: ancestral steps mixed with renoising, under any noise (arXiv:2602.21185)."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step, write
from .draw import weighing
from .noise import Noise
from .params import AlphaSchedule, Grid, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

Strategy = Annotated[
    str,
    Choice(
        ("cap", "rescale", "constant", "share"),
        "How much is renoised: sigma at most eta, eta times the most possible, eta always, or the "
        "share eta of every step.",
    ),
]
Eta = Annotated[float, Range(0.0, 1.0, 0.001, "Strength of renoising; 0 is ancestral sampling.")]
Hold = Annotated[
    float, Range(0.01, 0.99, 0.01, "Time that stands still in a middle phase, the only renoising.")
]
HoldAfter = Annotated[float, Range(0.0, 1.0, 0.01, "Share of the steps before time is held.")]
HoldShare = Annotated[float, Range(0.0, 1.0, 0.01, "Share of the steps in which time is held.")]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=False)


@sampler(
    title="Psi (renoising)",
    paper="arXiv:2602.21185",
    guarantee="floor",
    needs=Needs(frozenset({"absorbing", "uniform", "hybrid"}), frozenset({"full"}), time=True),
    layout="whole",
    revises="edits",
    budget=_budget,
    presets={
        "ancestral": {"eta": 0.0},
        "paper_cap": {"eta": 0.01, "steps": 256, "top_p": 0.9},
        "paper_rescale": {"strategy": "rescale", "eta": 0.05, "steps": 256, "top_p": 0.9},
        "paper_loop": {
            "strategy": "constant", "eta": 0.01, "steps": 256, "top_p": 0.95, "hold": 0.1,
        },
    },
)  # fmt: skip
def psi(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    strategy: Strategy = "cap",
    eta: Eta = 0.01,
    hold: Hold | None = None,
    hold_after: HoldAfter = 0.45,
    hold_share: HoldShare = 0.5,
    schedule: AlphaSchedule = "linear",
    grid: Grid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
) -> Iterator[Step]:
    """From t to s draw from kappa q(z_s | z_t) + (1 - kappa) q(z_s | x), x from the model at z_t.

    The ancestral step, mixed with one that denoises all the way and noises again. kappa = 1 - sigma
    / (1 - alpha_s), sigma as in ReMDM, which this is under masks. A hybrid model's card states its
    noise; `schedule` is for the others. EOS is applied when the run is settled.
    """
    x, card = canvas.tokens, denoise.card
    mask_id = None if card.corruption == "uniform" else canvas.mask_id
    spread = kernels.noise_spread(card, x.device)
    weigh = weighing(temperature, top_k, top_p, nucleus_rule, normalised=True)
    timed = card.corruption != "absorbing" or card.time_conditioned
    for window in canvas.blocks():
        free = canvas.writable[:, window]
        if mask_id is None:
            x = write(x, window, free, kernels.fresh(free, spread, noise, "prior"))
            yield Step(x, window)
        logits, stale = torch.empty(0), free.any(-1)
        for t, s in pairwise(_times(steps, grid, hold, hold_after, hold_share)):
            z, now, then = x[:, window], _masses(card, schedule, t), _masses(card, schedule, s)
            masked = free & (z == mask_id) if mask_id is not None else torch.zeros_like(free)
            if some_stale := bool((rows := stale & (masked.any(-1) | timed)).any()):
                time = _time(card, t, now[0], x)
                logits = kernels.latest(denoise(x, window=window, rows=rows, t=time), rows, logits)
            clean = _clean(logits, z, free & ~masked, card, mask_id, now, spread, weigh)
            kappa = 1.0 if hold is not None and t > s else _kappa(strategy, eta, now[0], then[0])
            ids = noise.categorical(_mixture(kappa, clean, z, mask_id, now, then, spread), free)
            changed = ((ids != z) & free).any(-1)
            stale = (stale & ~rows) | changed | (timed & free.any(-1))
            if timed or some_stale or changed.any():
                x = write(x, window, free, ids)
                yield Step(x, window, kernels.predictions(ids, clean, mask_id, then, spread))
            del clean  # before the model wants the room


def _times(
    steps: int, grid: str, hold: float | None, hold_after: float, hold_share: float
) -> list[float]:
    """Times from 1 to 0; with `hold` they fall to it, stand still there for a while, fall on."""
    if hold is None:
        return schedules.grid(grid, steps)
    power = schedules.GRIDS[grid]
    middle = hold ** (1 / power)
    before = min(max(round(hold_after * steps), 1), steps)
    last = max(steps - before - round(hold_share * steps), min(1, steps - before))
    points = [
        *(1 - (1 - middle) * i / before for i in range(before)),
        *[middle] * (steps - before - last + 1),
        *(middle * (1 - i / last) for i in range(1, last + 1)),
    ]
    return [*(point**power for point in points[:-1]), 0.0]


def _masses(card: Any, schedule: str, t: float) -> tuple[float, float, float]:
    """The marginal at t: alpha, what is on the mask, what is spread over the noise ids."""
    time = torch.tensor(t, dtype=torch.float64)
    if card.corruption == "hybrid":
        alpha, mask, uniform = (float(m) for m in schedules.Hybrid(card.p_uniform).at(time))
        return alpha, mask, uniform
    alpha = float(schedules.get(schedule).alpha(time)) if t else 1.0
    return (alpha, 1 - alpha, 0.0) if card.corruption == "absorbing" else (alpha, 0.0, 1 - alpha)


def _time(card: Any, t: float, alpha: float, x: Tensor) -> Tensor | None:
    if card.corruption == "hybrid":
        return torch.full((len(x),), t, device=x.device)
    return kernels.model_time(card, alpha, x)


def _kappa(strategy: str, eta: float, alpha_t: float, alpha_s: float) -> float:
    if alpha_s >= 1 or not eta:  # the last step leaves no noise
        return 1.0
    if strategy == "share":
        return 1 - eta
    most = min(1.0, (1 - alpha_s) / alpha_t) if alpha_t > 0 else 1.0
    sigma = {"cap": min(eta, most), "rescale": eta * most, "constant": eta}[strategy]
    return max(0.0, 1 - sigma / (1 - alpha_s))


def _clean(
    logits: Tensor, z: Tensor, written: Tensor, card: Any, mask_id: int | None,
    now: kernels.Masses, spread: Tensor, weigh: Callable[[Tensor], Tensor],
) -> Tensor:  # fmt: skip
    """What the model expects at each position [B, W, V], its own token left out where it may be
    noise; where no noise could have placed it, that token."""
    noisy = written & (spread[z] * now[2] > 0)
    if card.posterior == "full" and now[2] > 0:
        logits = kernels.leave_one_out(logits, z, noisy, mask_id, now, spread)
    own = torch.zeros_like(logits).scatter(-1, z[..., None], 1.0)
    return torch.where((written & ~noisy)[..., None], own, weigh(logits))


def _mixture(
    kappa: float, clean: Tensor, z: Tensor, mask_id: int | None, now: kernels.Masses,
    then: kernels.Masses, spread: Tensor,
) -> Tensor:  # fmt: skip
    """Weights [B, W, V] of z_s: kappa of the ancestral step, the rest denoised and noised again."""

    def posterior(masses: kernels.Masses) -> Tensor:
        weights = kernels.reverse(clean, z, mask_id, now, masses, spread)
        return weights / weights.sum(-1, keepdim=True)

    ancestral = posterior(then)
    if kappa == 1:
        return ancestral
    again = then[0] * posterior((1.0, 0.0, 0.0)) + then[2] * spread
    if mask_id is not None:
        again[..., mask_id] += then[1]
    return kappa * ancestral + (1 - kappa) * again
