"""LLaDA2 block refinement: commit the confident, edit the wrong (arXiv:2512.15745)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, log_top, rank_of, ranking
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
from .registry import Needs, Range, Revision, Values, filters_unless, sampler, steps_per_block

EditingThreshold = Annotated[
    float, Range(0.0, 1.0, 0.01, "Replace a token when another is likelier than this; 0: always.")
]
PenaltyLambda = Annotated[
    float, Range(0.0, 10.0, 0.1, "Taken from the logit of the token left of a position; 0: none.")
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
    drafts=lambda values: values["editing_threshold"] is not None,
    budget=_budget,
    draws=filters_unless("penalty_lambda"),
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
    penalty_lambda: PenaltyLambda = 0.0,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every token of more confidence than `threshold`, at least this step's share.

    The share is masked positions // steps, remainder first (LLaDA2.0). Editing (LLaDA2.1 eqs. 1-3)
    replaces written tokens too, until a call finds no mask and no edit; then EOS ends the row.
    """
    x, editing = canvas.tokens, editing_threshold is not None
    for block in canvas.blocks():
        frozen = canvas.finished(x, eos_early_stop)
        count = canvas.masked(x, block, frozen).sum(-1)
        post_steps, settled = torch.zeros_like(count), ~canvas.writable[:, block].any(-1) | frozen
        for step in range(steps + max_post_steps):
            if not editing:
                frozen = canvas.finished(x, eos_early_stop)
            masked = canvas.masked(x, block, frozen)
            unfilled = masked.any(-1)
            rows = unfilled | (~settled & editing & (post_steps < max_post_steps))
            if not rows.any():
                break
            logits = _reduced(denoise(x, window=block, rows=rows), canvas, x, block, penalty_lambda)
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank = ranking(log_p)
            confident = masked & (rank > rank_of(threshold))
            commit = kernels.at_least(confident, rank, kernels.share(count, steps, step))
            if editing:
                best = logits.argmax(-1)
                change = canvas.writable[:, block] & ~masked & rows[:, None] & (best != x[:, block])
                change = change & (ranking(log_top(logits)) > rank_of(editing_threshold))
                predicted = predicted.where(masked | ~rows[:, None], best)
                settled = settled | (~unfilled & ~change.any(-1))
                post_steps = post_steps + (~unfilled & rows)
                commit = commit | change
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, log_p.exp().where(masked, torch.nan))


def _reduced(logits: Tensor, canvas: Canvas, x: Tensor, block: slice, penalty: float) -> Tensor:
    """Logits [B, W, V] less `penalty` at the token that stands left of each column, if one does
    (SGLang's JointThreshold)."""
    if not penalty:
        return logits
    left = torch.nn.functional.pad(x, (1, 0))[:, block]
    stands = torch.nn.functional.pad(canvas.visible, (1, 0))[:, block]
    less = -penalty * stands.to(logits.dtype)
    return logits.scatter_add(-1, left[..., None], less[..., None])
