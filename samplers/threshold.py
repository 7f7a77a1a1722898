"""Fast-dLLM's parallel decoding: commit whatever is sure enough (Wu et al., arXiv:2505.22618)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from .core import Canvas, Denoiser, Noise, Step, draw, write
from .core import top_k as surest
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

Factor = Annotated[float, Range(0.0, 8.0, 0.1, "Instead of a threshold: commit the n surest tokens while (n + 1) (1 - confidence) is below this.")]  # noqa: E501


@sampler(
    title="Threshold (Fast-dLLM)",
    paper="arXiv:2505.22618",
    law="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    presets={"factor": {"threshold": None, "factor": 1.0}},
)
def threshold(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 32,
    threshold: Threshold | None = 0.9,
    factor: Factor | None = None,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every hole at least `threshold` sure, and always each row's surest one.

    With `factor` the n surest go together while (n + 1) (1 - c_n) < factor (the bound of the
    paper's theorem 1, used as a rule). Neither rule on: one token a call.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        while True:
            hole = canvas.holes(x, block, canvas.finished(x) & eos_early_stop)
            if not (rows := hole.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            guess, sure = draw(logits, hole, noise, temperature, top_k, top_p, nucleus_rule)
            sure = sure.where(hole, -torch.inf)
            commit = surest(sure, 1)
            if threshold is not None:
                commit = commit | (hole & (sure >= threshold))
            if factor is not None:
                ranked = sure.sort(dim=-1, descending=True).values
                place = torch.arange(2, ranked.shape[1] + 2, device=x.device)
                together = ((place * (1 - ranked) < factor).cumprod(-1) > 0).sum(-1)
                commit = commit | surest(sure, together)
            x = write(x, block, commit, guess)
            yield Step(x, block, guess, sure.where(hole, torch.nan))
