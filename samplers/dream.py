"""Dream: fill by confidence, margin or entropy on a linear schedule (arXiv:2508.15487)."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, entropy, log_margin, ranking
from .noise import Noise, coin
from .params import EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, sampler

Algorithm = Annotated[
    str,
    Choice(
        ("origin", "maskgit_plus", "topk_margin", "entropy"),
        "Each position by its own coin (origin), or first the most confident draw, the largest "
        "margin, the least entropy.",
    ),
]
AlgTemp = Annotated[
    float, Range(0.01, 4.0, 0.01, "Draw positions by exp(score / alg_temp); off: take the best.")
]
DreamGrid = Annotated[
    str,
    Choice(
        ("uniform", "published"),
        "Times from 1 to 0 by 1 / steps, or the official linspace(1, 0.001), rounded down.",
    ),
]


@sampler(
    title="Dream",
    paper="arXiv:2508.15487",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="whole",
    presets={
        "recommended": {"alg": "entropy", "temperature": 0.2, "top_p": 0.95},
        "origin": {"alg": "origin", "temperature": 1.0},
        "official": {"alg": "origin", "grid": "published"},
    },
)
def dream(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 512,
    alg: Algorithm = "maskgit_plus",
    alg_temp: AlgTemp | None = None,
    grid: DreamGrid = "uniform",
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """From t to s fill floor(n (1 - s/t)) of a row's n masked positions; the last step fills all.

    Each row counts its own masked positions; a step that would fill none makes no call. `origin`
    fills each position with chance 1 - s/t, which is MDLM on a linear schedule: O(1/N). On the
    uniform grid 16 positions in 8 steps go 2 a step; on the published one, whose shares round down,
    they go 1 2 2 2 2 2 2 3, and the long last step costs accuracy. The preset official holds it.
    """
    x = canvas.tokens
    for window in canvas.blocks():
        masked, most = canvas.masked(x, window, canvas.finished(x, eos_early_stop)), math.inf
        for share, fewest in _shares(grid, steps):
            if alg != "origin" and most == math.inf:
                most = int(masked.sum(-1).max())
            if most < fewest:
                continue
            quota = _quota(masked.sum(-1), share, grid)
            rows = quota > 0
            if alg == "origin":
                chance = torch.full(masked.shape, share, dtype=torch.float64, device=x.device)
                commit = coin(chance, masked, noise, "remask")
                if not (rows := commit.any(-1)).any():
                    continue
            logits = denoise(x, window=window, rows=rows)
            here = masked & rows[:, None]
            predicted, log_p = draw(logits, here, noise, temperature, top_k, top_p, nucleus_rule)
            rank, score = _rank(alg, logits, log_p)
            if alg != "origin":
                if alg_temp is not None:  # Gumbel top-k: without replacement, one uniform each
                    rank = score / alg_temp - torch.log(-torch.log(noise.uniform(here, "order")))
                commit = kernels.top_k(rank.where(here, -torch.inf), quota)
            x = write(x, window, commit, predicted)
            yield Step(x, window, predicted, score.where(here, torch.nan))
            masked, most = canvas.masked(x, window, canvas.finished(x, eos_early_stop)), math.inf


@lru_cache(64)
def _shares(grid: str, steps: int) -> list[tuple[float, float]]:
    """Of each step: 1 - s/t, and the fewest masked positions of which it fills one."""
    if grid == "published":
        times = torch.linspace(1, 1e-3, steps + 1)
        shares = torch.cat([1 - times[1:-1] / times[:-2], torch.ones(1)])
    else:
        times = 1 - torch.arange(steps + 1, dtype=torch.float64) / steps
        shares = 1 - times[1:] / times[:-1]
    near = (1 / shares[:, None]).long() + torch.tensor([-1, 0, 1])
    fills = (near > 0) & (_quota(near, shares[:, None], grid) > 0)
    fewest = near.double().where(fills, torch.inf).amin(-1)
    return list(zip(shares.tolist(), fewest.tolist(), strict=True))


def _quota(count: Tensor, share: Tensor | float, grid: str) -> Tensor:
    """The share of masked positions in whole ones; the published grid's in float32, as there."""
    if grid == "published":
        return (count * share).long()
    return (count.double() * share + 1e-9).long()  # 3 times 1/3 is a whole one


def _rank(alg: str, logits: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """What orders the positions, and the same as the published score; both [B, W]."""
    if alg == "maskgit_plus":
        return ranking(log_p), log_p.exp()
    if alg == "topk_margin":
        margin = log_margin(logits)
        return ranking(margin), margin.exp()
    score = -entropy(logits) if alg == "entropy" else torch.full_like(log_p, torch.nan)
    return score, score
