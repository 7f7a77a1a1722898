"""LLaDA2 block refinement: commit what is sure, edit what turned out wrong (arXiv:2512.15745)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw
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
from .registry import Needs, Range, Revision, Values, sampler, steps_per_block

EditingThreshold = Annotated[
    float,
    Range(
        0.0,
        1.0,
        0.01,
        "Replace a written token when another is most likely with more than this; 0 always "
        "edits, None never.",
    ),
]
MaxPostSteps = Annotated[
    int, Range(0, 64, 1, "With editing: most calls on a block that has no masks left.")
]


def _revises(values: Values) -> Revision | None:
    return None if values["editing_threshold"] is None else "edits"


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    post_steps = values["max_post_steps"] if _revises(values) else 0
    return steps_per_block(values, masked, cached) + post_steps * len(masked)


@sampler(
    title="LLaDA2 (block refinement)",
    paper="arXiv:2512.15745",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing", "hybrid"}), frozenset({"block_causal"})),
    layout="first",
    revises=_revises,
    budget=_budget,
    presets={
        "llada2.1_quality": {"threshold": 0.7, "editing_threshold": 0.5},
        "llada2.1_speed": {"threshold": 0.5, "editing_threshold": 0.0},
    },
)
def llada2(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 32,
    steps: Steps = 32,
    threshold: Threshold | None = 0.95,
    editing_threshold: EditingThreshold | None = None,
    max_post_steps: MaxPostSteps = 16,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every masked position more confident than `threshold`, and always this step's share of
    the block.

    The share is masked positions // steps, the remainder on the first steps (LLaDA2.0). With
    editing (LLaDA2.1 eqs. 1-3) the same call also replaces written tokens; a block is settled when
    a call finds no masked position and nothing to edit. A row ends at an EOS with no masked
    position before it: at once where written tokens are final, when the block is settled where they
    may be edited.
    """
    x = canvas.tokens
    editing = editing_threshold is not None
    for block in canvas.blocks():
        frozen = canvas.finished(x) & eos_early_stop
        count = canvas.masked(x, block, frozen).sum(-1)
        posts = torch.zeros_like(count)
        settled = count == 0
        for step in range(steps + max_post_steps):
            if not editing:
                frozen = canvas.finished(x) & eos_early_stop
            masked_here = canvas.masked(x, block, frozen)
            masked = masked_here.any(-1)
            rows = masked | (~settled & editing & (posts < max_post_steps))
            if not rows.any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, confidence = draw(
                logits, masked_here, noise, temperature, top_k, top_p, nucleus_rule
            )
            confidence = confidence.where(masked_here, -torch.inf)
            fast = (
                confidence > threshold if threshold is not None else torch.zeros_like(masked_here)
            )
            quota = share(count, steps, step)
            few = fast.sum(-1) < quota
            commit = torch.where(few[:, None], kernels.top_k(confidence, quota), fast)
            if editing:
                best = logits.argmax(-1)
                change = (
                    canvas.writable[:, block] & ~masked_here & rows[:, None] & (best != x[:, block])
                )
                change = change & (logits.softmax(-1).amax(-1) > editing_threshold)
                predicted = predicted.where(masked_here | ~rows[:, None], best)
                settled = settled | (~masked & ~change.any(-1))
                posts = posts + (~masked & rows)
                commit = commit | change
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, confidence.where(masked_here, torch.nan))
