"""Saber: commit what beats the average so far, take back what rose least (arXiv:2510.18165)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import TIE, draw, log_probability, log_top, ranking
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, sampler

Least = Annotated[int, Range(1, 64, 1, "Most confident positions that every call commits anyway.")]
Scored = Annotated[
    str,
    Choice(
        ("own", "published"),
        "What must rise at a written position: its own token's probability, or the best one's.",
    ),
]


@sampler(
    title="Saber (backtracking)",
    paper="arXiv:2510.18165",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    revises="remasks",
    presets={"official": {"scored": "published"}},
)
def saber(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 256,
    least: Least = 2,
    scored: Scored = "own",
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit all above the mean confidence of what was committed so far, at least the `least` best.

    Then mask again the written tokens whose probability rose least since the last call, one for
    eight committed and at least least / 2, but fewer than were committed; a block ends when it is
    full. EOS ends a row when its block is settled. The preset official measures the rise of the
    best token at a place, whichever stands there, and may take back what it just committed.
    """
    x = canvas.tokens
    doubt = torch.full(x.shape, torch.nan, dtype=torch.float64, device=x.device)  # at commit
    for block in canvas.blocks():
        frozen, before = canvas.finished(x, eos_early_stop), doubt.new_zeros(())
        while True:
            masked = canvas.masked(x, block, frozen)
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            written = canvas.writable[:, block] & ~masked & rows[:, None]
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank, mean = ranking(log_p), ranking(torch.log1p(-doubt.nanmean(-1, keepdim=True)))
            commit = kernels.at_least(masked & (rank > mean), rank, rows * least)
            doubt = _note(doubt, block, commit, log_p)
            ids = torch.where(written, x[:, block], predicted)
            stand = log_probability(logits, ids, masked | written)
            if scored == "published":
                stand, written = log_top(logits), written | commit
            rise, before = stand.exp() - before, stand.exp()
            back = kernels.top_k((-rise / TIE).round().where(written, -torch.inf),
                                 _quota(commit, masked, least))  # fmt: skip
            ids = predicted.where(commit & ~back, canvas.mask)
            x = write(x, block, commit | back, ids)
            yield Step(x, block, predicted, log_p.exp().where(masked, torch.nan))


def _note(doubt: Tensor, block: slice, commit: Tensor, log_p: Tensor) -> Tensor:
    """`doubt` [B, T], 1 - probability, with that of the tokens now committed in the block."""
    now = torch.where(commit, -torch.expm1(log_p), doubt[:, block])
    return torch.cat([doubt[:, : block.start], now, doubt[:, block.stop :]], -1)


def _quota(commit: Tensor, masked: Tensor, least: int) -> Tensor:
    """How many written tokens [B] to mask again: none where the block is full by now."""
    count = commit.sum(-1)
    back = ((count + 7) // 8).clamp(min=least // 2).minimum(count - 1)
    return torch.where((masked & ~commit).any(-1), back, 0)
