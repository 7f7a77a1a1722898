"""PRISM: mask again what a learned quality head doubts (Kim et al. 2025, arXiv:2510.01384)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import LOWEST, draw, ranking
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

RemaskCount = Annotated[
    int, Range(0, 5000, 1, "Written tokens of a block that are masked again, over all its steps.")
]
Order = Annotated[str, Choice(("confidence", "random"), "Which masked positions are filled first.")]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    # Each step leaves fewer masked positions than the one before.
    return steps_per_block(values, masked, cached=True)


@sampler(
    title="PRISM (learned quality)",
    paper="arXiv:2510.01384",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), quality=True),
    layout="prompt",
    revises="remasks",
    budget=_budget,
    presets={
        "sudoku": {
            "block_length": 128,
            "steps": 51,
            "remask_count": 204,
            "order": "random",
            "temperature": 1.0,
        },
    },
)
def prism(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 64,
    steps: Steps = 32,
    remask_count: RemaskCount = 12,
    order: Order = "confidence",
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Mask again the written tokens of lowest quality, and fill as many more than the step's share.

    One call gives both, the tokens and g(x)_i, how likely the token that stands at i is right given
    all others. What is masked again waits for the next call, so each step leaves as many masked
    positions as without. EOS ends a row when its block is settled.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        frozen = canvas.finished(x, eos_early_stop)
        count = canvas.masked(x, block, frozen).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, block, frozen)
            if not (rows := masked.any(-1)).any():
                break
            logits, quality = denoise.with_quality(x, window=block, rows=rows)
            written = canvas.writable[:, block] & ~masked & rows[:, None]
            fill = kernels.share(count, steps, step)
            most = (masked.sum(-1) - fill).clamp(0, _middle_share(remask_count, steps, step))
            doubt = (-ranking(quality.log())).clamp(min=LOWEST)
            remask = kernels.top_k(doubt.where(written, -torch.inf), most)
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank = ranking(log_p) if order == "confidence" else noise.uniform(masked, "rank")
            commit = kernels.top_k(rank.where(masked, -torch.inf), fill + remask.sum(-1))
            x = write(x, block, commit | remask, predicted.where(commit, canvas.mask))
            score = torch.where(masked, log_p.exp(), quality)
            yield Step(x, block, predicted, score.where(masked | written, torch.nan))


def _middle_share(count: int, steps: int, step: int) -> int:
    """How many of `count` step number `step` of `steps` takes, the remainder in the middle."""
    each, more = divmod(count, steps)
    first = (steps - more) // 2
    return each + (first <= step < first + more)
