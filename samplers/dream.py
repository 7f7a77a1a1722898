"""Dream: fill by confidence, margin or entropy on a linear schedule (arXiv:2508.15487)."""

from collections.abc import Iterator
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
        for share, guard in _shares(grid, steps):
            masked = canvas.masked(x, window, canvas.finished(x) & eos_early_stop)
            quota = (masked.sum(-1) * share + guard).long()
            if alg == "origin":
                chance = torch.full(masked.shape, share, dtype=torch.float64, device=x.device)
                commit = coin(chance, masked, noise, "remask")
                rows = commit.any(-1)
            else:
                rows = quota > 0
            if not rows.any():
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


def _shares(grid: str, steps: int) -> list[tuple[float, float]]:
    """Of each step: 1 - s/t, and what keeps a whole number from being rounded down by one."""
    if grid == "published":
        times = torch.linspace(1, 1e-3, steps + 1)
        return [*((share, 0.0) for share in (1 - times[1:] / times[:-1]).tolist()[:-1]), (1.0, 0.0)]
    pairs = ((1 - step / steps, 1 - (step + 1) / steps) for step in range(steps))
    return [(1 - s / t, 1e-9) for t, s in pairs]


def _rank(alg: str, logits: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """What orders the positions, and the same as the published score; both [B, W]."""
    if alg == "maskgit_plus":
        return ranking(log_p), log_p.exp()
    if alg == "topk_margin":
        margin = log_margin(logits)
        return ranking(margin), margin.exp()
    score = -entropy(logits) if alg == "entropy" else torch.full_like(log_p, torch.nan)
    return score, score
