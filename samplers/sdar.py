"""SDAR: autoregressive over blocks, four orders inside each (arXiv:2510.06303)."""

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, entropy, rank_of, ranking
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
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

Order = Annotated[
    str,
    Choice(
        ("sequential", "low_confidence_static", "low_confidence_dynamic", "entropy_bounded"),
        "Leftmost first, the most confident, also all above threshold, or the least entropy first.",
    ),
]
SubBlock = Annotated[
    int, Range(1, 1024, 1, "Fill a block in parts of this length, left to right; steps for each.")
]
EntropyBound = Annotated[
    float, Range(0.0, 10.0, 0.05, "entropy_bounded: most entropy (nats) of one call's tokens.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    parts = math.ceil(values["block_length"] / (values["sub_block"] or values["block_length"]))
    return steps_per_block({"steps": values["steps"] * parts}, masked, cached)


@sampler(
    title="SDAR",
    paper="arXiv:2510.06303",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"block_causal"})),
    layout="first",
    budget=_budget,
    presets={
        "paper": {"threshold": 0.9},
        "static": {"order": "low_confidence_static"},
        "fast_dllm_v2": {
            "block_length": 32,
            "sub_block": 8,
            "steps": 8,
            "threshold": 0.9,
            "temperature": 0.0,
        },
    },
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
    sub_block: SubBlock | None = None,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill this step's share of a block in the chosen order, and more where the order allows it.

    low_confidence_dynamic takes every token of more confidence than `threshold`; entropy_bounded
    takes the positions of least entropy over the vocabulary while their sum stays within
    `entropy_bound`. Both take at least the share, which never exceeds the masked positions. A block
    in parts (Fast-dLLM v2) is seen whole, and `steps` are those of a part.
    """
    x = canvas.tokens
    for block, part in _parts(canvas, sub_block):
        count = (canvas.masked(x, block, canvas.finished(x, eos_early_stop)) & part).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop)) & part
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            quota = kernels.share(count, steps, step)
            rank, score = ranking(log_p), log_p.exp()
            if order == "sequential":
                place = torch.arange(masked.shape[1], device=x.device, dtype=torch.float64)
                rank = score = -place.expand_as(log_p)
            elif order == "low_confidence_dynamic":
                quota = torch.maximum(quota, (masked & (rank > rank_of(threshold))).sum(-1))
            elif order == "entropy_bounded":
                rank = score = -entropy(logits)
                together = (-score).where(masked, torch.inf).sort(dim=-1).values.cumsum(-1)
                quota = torch.maximum(quota, (together <= entropy_bound).sum(-1))
            commit = kernels.top_k(rank.where(masked, -torch.inf), quota)
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, score.where(masked, torch.nan))


def _parts(canvas: Canvas, size: int | None) -> Iterator[tuple[slice, Tensor]]:
    """Every block with its parts of `size` columns, left to right, as marks [W]; None: one."""
    for block in canvas.blocks():
        width = block.stop - block.start
        place = torch.arange(width, device=canvas.tokens.device)
        for start in range(0, width, size or width):
            yield block, (place >= start) & (place < start + (size or width))
