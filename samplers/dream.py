"""Dream: fill by confidence, margin or entropy on a linear schedule (arXiv:2508.15487)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, entropy
from .noise import Noise, coin
from .params import EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, sampler

Algorithm = Annotated[
    str,
    Choice(
        ("origin", "maskgit_plus", "topk_margin", "entropy"),
        "Each masked position by its own coin (origin), or first the most confident draw, the "
        "largest margin, the least entropy.",
    ),
]
AlgTemp = Annotated[
    float,
    Range(
        0.01,
        4.0,
        0.01,
        "Draw the positions too, in proportion to exp(score / alg_temp), instead of taking the "
        "best.",
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
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """From t to s fill floor(n (1 - s/t)) of a row's n masked positions, all of them in the last
    step.

    Each row counts its own masked positions. A step that would fill none makes no call. `origin`
    fills each masked position with chance 1 - s/t, which is MDLM on a linear schedule: O(1/N).
    """
    x = canvas.tokens
    for window in canvas.blocks():
        for step in range(steps):
            masked = canvas.masked(x, window, canvas.finished(x) & eos_early_stop)
            t, s = 1 - step / steps, 1 - (step + 1) / steps
            quota = (masked.sum(-1) * (1 - s / t) + 1e-9).long()
            if alg == "origin":
                chance = torch.full(masked.shape, 1 - s / t, dtype=torch.float64, device=x.device)
                commit = coin(chance, masked, noise, "remask")
                rows = commit.any(-1)
            else:
                rows = quota > 0
            if not rows.any():
                continue
            logits = denoise(x, window=window, rows=rows)
            asked = masked & rows[:, None]
            predicted, confidence = draw(
                logits, asked, noise, temperature, top_k, top_p, nucleus_rule
            )
            score = _score(alg, logits, confidence)
            if alg != "origin":
                ranked = score
                if alg_temp is not None:  # Gumbel top-k: without replacement, one uniform each
                    ranked = score / alg_temp - torch.log(-torch.log(noise.uniform(asked, "order")))
                commit = kernels.top_k(ranked.where(asked, -torch.inf), quota)
            x = write(x, window, commit, predicted)
            yield Step(x, window, predicted, score.where(asked, torch.nan))


def _score(alg: str, logits: Tensor, confidence: Tensor) -> Tensor:
    if alg == "maskgit_plus":
        return confidence
    if alg == "topk_margin":
        best = logits.double().softmax(-1).topk(2, dim=-1).values
        return best[..., 0] - best[..., 1]
    if alg == "entropy":
        return -entropy(logits)
    return torch.full_like(confidence, torch.nan)
