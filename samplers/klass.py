"""KLASS: commit together what is confident and no longer moves (Kim et al., arXiv:2511.05664)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw_tokens, log_top, rank_of, ranking
from .noise import Noise
from .params import (
    BlockLength,
    EosEarlyStop,
    NucleusRule,
    Temperature,
    Threshold,
    TopK,
    TopP,
)
from .registry import Needs, Range, sampler

KlBound = Annotated[
    float,
    Range(0.0, 10.0, 0.001, "Stable: a call moves the distribution by less than this (nats)."),
]
History = Annotated[int, Range(1, 16, 1, "Calls in a row for which a position must be stable.")]


@sampler(
    title="KLASS (KL-stable)",
    paper="arXiv:2511.05664",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    presets={
        "llada_gsm8k": {"threshold": 0.6, "kl_bound": 0.015},
        "llada_math": {"threshold": 0.6, "kl_bound": 0.01},
        "dream_gsm8k": {"threshold": 0.9, "kl_bound": 0.001},
    },
)
def klass(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 64,
    threshold: Threshold | None = 0.9,
    kl_bound: KlBound = 0.01,
    history: History = 2,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every position that is confident and stable; where none is, the most confident one.

    Confident: its most likely token has more probability than `threshold`. Stable: in each of the
    last `history` calls KL(p now || p at the call before) was below `kl_bound`. Neither looks at
    the token drawn, so a call that commits one position commits it without bias.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        before, stable = torch.empty(0), torch.zeros_like(x[:, block])
        while True:
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            now = logits.log_softmax(-1)
            if before.numel():
                stable = torch.where(_divergence(now, before) < kl_bound, stable + 1, 0)
            before = now
            predicted = draw_tokens(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            confidence = log_top(logits)
            rank = ranking(confidence).where(masked, -torch.inf)
            ready = (rank > rank_of(threshold)) & (stable >= history)
            commit = kernels.at_least(ready, rank, rows.long())
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, confidence.exp().where(masked, torch.nan))


def _divergence(now: Tensor, before: Tensor) -> Tensor:
    """KL(now || before) [B, W] in nats of log-probabilities [B, W, V]; impossible tokens add 0."""
    p = now.exp()
    return (p * (now - before)).where(p > 0, 0.0).sum(-1)
