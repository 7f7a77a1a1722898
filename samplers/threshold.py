"""Fast-dLLM's parallel decoding: commit all that is confident (Wu et al., arXiv:2505.22618)."""

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, log_top, most_likely, rank_of, ranking
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, filters_unless, sampler

AtLeast = Annotated[
    float, Range(0.0, 1.0, 0.01, "Commit every token whose confidence is at least this.")
]
Factor = Annotated[
    float, Range(0.0, 8.0, 0.1, "Commit the n best while (n + 1) (1 - confidence) is below this.")
]
FactorFloor = Annotated[
    float, Range(0.0, 1.0, 0.01, "Of what factor commits only what has at least this confidence.")
]
Product = Annotated[
    float, Range(0.0, 1.0, 0.01, "Commit the n best while their confidences' product is this high.")
]
RunThreshold = Annotated[
    float, Range(0.0, 1.0, 0.01, "Commit the best of each run of masked positions from this on.")
]
Credit = Annotated[
    float, Range(0.0, 5.0, 0.1, "Weight of what earlier calls thought most likely at a position.")
]
DECAY, POWER = 0.8, 0.2  # of credit, as published


@sampler(
    title="Threshold (Fast-dLLM)",
    paper="arXiv:2505.22618",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    draws=filters_unless("credit"),
    presets={
        "factor": {"threshold": None, "factor": 1.0},
        "hierarchy": {"run_threshold": 0.4},
        "credit": {"credit": 0.7},
    },
)
def threshold(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 32,
    threshold: AtLeast | None = 0.9,
    factor: Factor | None = None,
    factor_floor: FactorFloor | None = None,
    product: Product | None = None,
    run_threshold: RunThreshold | None = None,
    credit: Credit | None = None,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every token of at least `threshold` confidence, and always each row's most confident.

    With `factor` the n most confident go together while (n + 1) (1 - c_n) < factor (the bound of
    the paper's theorem 1, used as a rule). `product`, `run_threshold` and `credit` are rules of
    other code, see docs/samplers.md. With none of them, one token a call.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        earned = torch.zeros(())
        while True:
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            if credit is not None:
                earned = _earned(earned, logits, masked)
                logits = logits + credit * earned.log1p()
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank = ranking(log_p)
            commit = kernels.top_k(rank, 1) | (masked & (rank >= rank_of(threshold)))
            if factor is not None:
                confident = rank >= rank_of(factor_floor or 0.0)
                commit = commit | (_by_factor(log_p, rank, factor) & confident)
            if product is not None:
                joint = log_p.sort(dim=-1, descending=True).values.cumsum(-1)
                least = math.log(product) if product else -math.inf
                commit = commit | kernels.top_k(rank, (joint >= least).sum(-1))
            if run_threshold is not None:
                commit = commit | (_best_of_runs(rank, masked) & (rank >= rank_of(run_threshold)))
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, log_p.exp().where(masked, torch.nan))


def _by_factor(log_p: Tensor, rank: Tensor, factor: float) -> Tensor:
    """Mark the n positions of highest rank [B, W] while (n + 1) (1 - c_n) < factor."""
    doubt = -torch.expm1(log_p.sort(dim=-1, descending=True).values)  # 1 - confidence
    place = torch.arange(2, doubt.shape[1] + 2, device=doubt.device)
    return kernels.top_k(rank, ((place * doubt < factor).cumprod(-1) > 0).sum(-1))


def _best_of_runs(rank: Tensor, masked: Tensor) -> Tensor:
    """Mark the position of highest rank [B, W] in each run of neighbours that are masked."""
    begins = masked & ~torch.nn.functional.pad(masked, (1, 0))[:, :-1]
    run, width = begins.cumsum(-1), masked.shape[1]
    place = rank.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    best = place.new_full((len(place), width + 1), width)
    best = best.scatter_reduce(-1, run, place.where(masked, width), "amin")
    return masked & (place == best.gather(-1, run))


def _earned(earned: Tensor, logits: Tensor, masked: Tensor) -> Tensor:
    """Credit [B, W, V] of tokens: what was earned before decays, p^0.2 goes to the most likely one
    of each masked position (CreditDecoding, as dInfer has it)."""
    more = log_top(logits).exp().pow(POWER).where(masked, 0.0).to(logits.dtype)
    before = DECAY * earned + torch.zeros_like(logits)
    return before.scatter_add(-1, most_likely(logits)[..., None], more[..., None])
