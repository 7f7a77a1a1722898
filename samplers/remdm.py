"""ReMDM: ancestral sampling that may take tokens back (Wang et al. 2025, arXiv:2503.00307)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step, write
from .draw import log_probability, weighing
from .noise import Noise, coin
from .params import Grid, NucleusRule, SamplingEps, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

Strategy = Annotated[
    str,
    Choice(
        ("cap", "rescale", "conf", "loop", "forward_backward"),
        "Chance to mask a token again: at most eta, eta times the most possible, shared by low "
        "confidence, in a middle phase only, or as the forward process would.",
    ),
]
Eta = Annotated[
    float, Range(0.0, 1.0, 0.001, "Strength of remasking (cap, rescale, loop); 0 is MDLM.")
]
Time = Annotated[
    float, Range(0.0, 1.0, 0.01, "loop: between t_on and t_off alpha stands still, tokens go.")
]
Alpha = Annotated[float, Range(0.01, 0.99, 0.01, "loop: the alpha at which it stands still.")]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=False) + bool(values["sampling_eps"])


@sampler(
    title="ReMDM (remasking)",
    paper="arXiv:2503.00307",
    guarantee="floor",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), time=True),
    layout="whole",
    revises="remasks",
    drafts=True,
    budget=_budget,
    presets={
        "paper_cap": {"eta": 0.008, "steps": 1024, "top_p": 0.9},
        "paper_rescale": {"strategy": "rescale", "eta": 0.015, "steps": 1024, "top_p": 0.9},
        "paper_loop": {"strategy": "loop", "eta": 0.02, "steps": 1024, "top_p": 0.9},
        "forward_backward": {"strategy": "forward_backward"},
        "official": {"sampling_eps": 1e-5},
    },
)
def remdm(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    strategy: Strategy = "cap",
    eta: Eta = 0.008,
    t_on: Time = 0.55,
    t_off: Time = 0.05,
    alpha_on: Alpha = 0.9,
    grid: Grid = "uniform",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    sampling_eps: SamplingEps = 0.0,
) -> Iterator[Step]:
    """As MDLM, but from t to s a written token is masked again with probability sigma.

    A masked position stays masked with (1 - alpha_s - sigma alpha_t) / (1 - alpha_t), which keeps
    the marginal at s (eq. 6). The error ends on a floor that sinks with eta; forward_backward is
    O(1/N). `conf` shares sigma among written tokens alone, masked positions open as in MDLM:
    biased by design. The preset official remasks down to 1e-5, then fills the rest by argmax.
    EOS is applied when the run is settled.
    """
    x, published = canvas.tokens, sampling_eps > 0
    weigh = weighing(temperature, top_k, top_p, nucleus_rule)
    times = [sampling_eps + (1 - sampling_eps) * t for t in schedules.grid(grid, steps)]
    for window in canvas.blocks():
        free = canvas.writable[:, window]
        stale, logits = free.any(-1), torch.empty(0)
        recorded = torch.zeros(free.shape, dtype=torch.float64, device=x.device)  # a draft's too
        for t, s in pairwise(times):
            masked = free & (x[:, window] == canvas.mask_id)
            alpha, stay, sigma = _rates(strategy, eta, t, s, published, t_on, t_off, alpha_on)
            if some_stale := bool((rows := (masked.any(-1) | (not len(logits))) & stale).any()):
                logits = kernels.refresh(logits, denoise, x, window, rows, alpha)
            ids = noise.reveal(logits, masked, weigh, stay)
            commit, written = ids >= 0, free & ~masked
            chance = sigma * _shares(strategy, recorded, written)
            remask = coin(chance, written, noise, "remask")
            recorded = log_probability(logits, ids, commit).exp().where(commit, recorded)
            changed = (commit | remask).any(-1)
            stale = (stale & ~rows) | changed | denoise.card.time_conditioned
            if some_stale or changed.any():
                x = write(x, window, commit | remask, ids.where(commit, canvas.mask))
                yield Step(x, window, ids)
        remaining = free & (x[:, window] == canvas.mask_id)
        yield from kernels.noise_removal(denoise, x, window, remaining, "linear", sampling_eps)


def _rates(
    strategy: str, eta: float, t: float, s: float, published: bool, *phases: float
) -> tuple[float, float, float]:
    """alpha_t, a masked position's chance to stay so, and sigma; alpha = 1 - t except in a loop."""
    if strategy == "loop":
        move_t, move_s, sigma = _loop(eta, t, s, published, *phases)
    else:
        most = min(1.0, s / (1 - t)) if t < 1 else 1.0
        move_t, move_s = t, s
        sigma = {
            "cap": min(eta, most),
            "rescale": eta * most,
            "conf": most,
            "forward_backward": min(1.0, (t - s) / (1 - t)) if t < 1 else 1.0,
        }[strategy]
    move_s = move_s if s > 0 else 0.0  # a loop without a last phase ends clean all the same
    if not published and move_t < 1:  # with more the marginal at s could not be kept
        sigma = min(sigma, move_s / (1 - move_t))
    # What is taken back elsewhere, masked positions make up for; `conf` leaves them as in MDLM.
    refill = 0.0 if strategy == "conf" else sigma * (1 - move_t)
    return 1 - move_t, max(0.0, (move_s - refill) / move_t), sigma


def _shares(strategy: str, recorded: Tensor, written: Tensor) -> Tensor:
    """Each token's part of sigma [B, W]: all of it, or in `conf` more the less confident it was."""
    if strategy != "conf":
        return torch.ones_like(recorded)
    doubt = (-recorded).masked_fill(~written, -torch.inf)
    return doubt.softmax(-1).nan_to_num()


def _loop(
    eta: float, t: float, s: float, published: bool, t_on: float, t_off: float, alpha_on: float
) -> tuple[float, float, float]:
    """(1 - alpha_t, 1 - alpha_s, sigma) of a loop: alpha rises, stands still, rises.

    A step belongs to the phase that it ends in, or (published) to the one it begins in, which at
    few steps jumps over the border.
    """
    fall = alpha_on / (1 - t_on) if t_on < 1 else 0.0
    rise = (1 - alpha_on) / t_off if t_off else 0.0
    if t > t_on if published else s >= t_on:
        return 1 - (1 - t) * fall, 1 - (1 - s) * fall, 0.0
    if t > t_off if published else s >= t_off:
        start = 1 - alpha_on if t <= t_on else 1 - (1 - t) * fall
        return start, 1 - alpha_on, eta if t <= t_on else 0.0
    return (t * rise if t <= t_off else 1 - alpha_on), s * rise, 0.0
