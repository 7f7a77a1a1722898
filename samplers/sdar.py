"""SDAR: autoregressive over blocks, four orders inside each (arXiv:2510.06303)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, entropy
from .kernels import share
from .noise import Noise
from .params import (
    BlockLength,
    EosEarlyStop,
    NucleusRule,
    Steps,
    Temperature,
    Threshold,
    TopK,
    TopP,
)
from .registry import Choice, Needs, Range, sampler

ORDERS = ("sequential", "low_confidence_static", "low_confidence_dynamic", "entropy_bounded")
Order = Annotated[
    str,
    Choice(
        ORDERS,
        "Leftmost first, the most confident few, all above the threshold, or as many as their "
        "entropy allows.",
    ),
]
EntropyBound = Annotated[
    float,
    Range(
        0.0, 10.0, 0.05, "entropy_bounded: most entropy (nats) of the tokens of one call together."
    ),
]


@sampler(
    title="SDAR",
    paper="arXiv:2510.06303",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"block_causal"})),
    layout="first",
    presets={"paper": {"threshold": 0.9}, "static": {"order": "low_confidence_static"}},
)
def sdar(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 4,
    steps: Steps = 4,
    order: Order = "low_confidence_dynamic",
    threshold: Threshold | None = 0.85,
    entropy_bound: EntropyBound = 0.35,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill this step's share of a block's masked positions in the chosen order, or more where it is
    sure.

    entropy_bounded takes the masked positions of least entropy over the vocabulary while their sum
    stays within `entropy_bound`, at least the share. A share never exceeds the masked positions
    that are left.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        count = canvas.masked(x, block, canvas.finished(x) & eos_early_stop).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, block, canvas.finished(x) & eos_early_stop)
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, confidence = draw(
                logits, masked, noise, temperature, top_k, top_p, nucleus_rule
            )
            quota = share(count, steps, step)
            score = confidence
            if order == "sequential":
                place = torch.arange(masked.shape[1], device=x.device, dtype=torch.float64)
                score = -place.expand_as(confidence)
            elif order == "low_confidence_dynamic" and threshold is not None:
                quota = torch.maximum(quota, (masked & (confidence > threshold)).sum(-1))
            elif order == "entropy_bounded":
                score = -entropy(logits)
                together = (-score).where(masked, torch.inf).sort(dim=-1).values.cumsum(-1)
                quota = torch.maximum(quota, (together <= entropy_bound).sum(-1))
            score = score.where(masked, -torch.inf)
            x = write(x, block, kernels.top_k(score, quota), predicted)
            yield Step(x, block, predicted, score.where(masked, torch.nan))
