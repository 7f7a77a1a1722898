"""SDAR: autoregressive over blocks, four orders inside each (arXiv:2510.06303)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from .core import Canvas, Denoiser, Noise, Step, draw, entropy, share, write
from .core import top_k as first
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
Order = Annotated[str, Choice(ORDERS, "Leftmost first, the surest few, all above the threshold, or as many as their entropy allows.")]  # noqa: E501
EntropyBound = Annotated[float, Range(0.0, 10.0, 0.05, "entropy_bounded: most entropy (nats) of the tokens of one call together.")]  # noqa: E501


@sampler(
    title="SDAR",
    paper="arXiv:2510.06303",
    law="biased",
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
    """Fill this step's share of a block's holes in the chosen order, or more where it is sure.

    entropy_bounded takes the holes of least entropy over the vocabulary while their sum stays
    within `entropy_bound`, at least the share. A share never exceeds the holes that are left.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        count = canvas.holes(x, block, canvas.finished(x) & eos_early_stop).sum(-1)
        for step in range(steps):
            hole = canvas.holes(x, block, canvas.finished(x) & eos_early_stop)
            if not (rows := hole.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            guess, sure = draw(logits, hole, noise, temperature, top_k, top_p, nucleus_rule)
            quota = share(count, steps, step)
            score = sure
            if order == "sequential":
                place = torch.arange(hole.shape[1], device=x.device, dtype=torch.float64)
                score = -place.expand_as(sure)
            elif order == "low_confidence_dynamic" and threshold is not None:
                quota = torch.maximum(quota, (hole & (sure > threshold)).sum(-1))
            elif order == "entropy_bounded":
                score = -entropy(logits)
                together = (-score).where(hole, torch.inf).sort(dim=-1).values.cumsum(-1)
                quota = torch.maximum(quota, (together <= entropy_bound).sum(-1))
            score = score.where(hole, -torch.inf)
            x = write(x, block, first(score, quota), guess)
            yield Step(x, block, guess, score.where(hole, torch.nan))
