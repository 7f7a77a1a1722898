"""WINO: draft wide, then revoke what the rest of the text does not support (arXiv:2507.18578)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, log_probability, rank_of, ranking
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, Threshold, TopK, TopP
from .registry import Needs, Range, sampler

Verify = Annotated[
    float, Range(0.0, 1.0, 0.01, "Mask again what all other tokens support less than this.")
]
LEAST, MOST = 5, 20  # the most that one call commits: 7 of 10 masked positions, within these


@sampler(
    title="WINO (verified)",
    paper="arXiv:2507.18578",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), leave_one_out=True),
    layout="prompt",
    revises="remasks",
    presets={"sudoku": {"threshold": 0.7}, "countdown": {"threshold": 0.5}},
)
def wino(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 128,
    threshold: Threshold | None = 0.6,
    verify: Verify = 0.9,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit all above a low threshold, mask again what the rest of the text does not support.

    One call answers for masked positions and, without looking at their own tokens, for written
    ones: of these, all less likely than `verify` go, but fewer than the call before committed, and
    none where this call commits just one token. EOS ends a row when its block is settled.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        frozen, last = canvas.finished(x, eos_early_stop), torch.zeros_like(x[:, 0])
        while True:
            masked = canvas.masked(x, block, frozen)
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows, leave_one_out=True)
            written = canvas.writable[:, block] & ~masked & rows[:, None]
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank, most = ranking(log_p), (masked.sum(-1) * 7 // 10).clamp(LEAST, MOST)
            confident = kernels.at_least(masked & (rank > rank_of(threshold)), rank, rows.long())
            commit = kernels.top_k(rank.where(confident, -torch.inf), most)
            support = log_probability(logits, x[:, block], written)
            weak = written & ((standing := ranking(support)) < rank_of(verify))
            quota = torch.where((count := commit.sum(-1)) > 1, last - 1, 0)
            back = kernels.top_k((-standing).where(weak, -torch.inf), quota)
            last = torch.where(rows, count, last)
            ids = torch.where(written, x[:, block], predicted)
            score = torch.where(written, support, log_p).exp()
            x = write(x, block, commit | back, ids.where(commit, canvas.mask))
            yield Step(x, block, ids, score.where(masked | written, torch.nan))
