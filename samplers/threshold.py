"""Fast-dLLM's parallel decoding: commit whatever is confident enough (Wu et al.,
arXiv:2505.22618)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, Threshold, TopK, TopP
from .registry import Needs, Range, sampler

Factor = Annotated[
    float,
    Range(
        0.0,
        8.0,
        0.1,
        "Instead of a threshold: commit the n most confident tokens while (n + 1) (1 - "
        "confidence) is below this.",
    ),
]


@sampler(
    title="Threshold (Fast-dLLM)",
    paper="arXiv:2505.22618",
    guarantee="biased",
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
    """Commit every masked position at least `threshold` sure, and always each row's most confident
    one.

    With `factor` the n most confident go together while (n + 1) (1 - c_n) < factor (the bound of
    the paper's theorem 1, used as a rule). Neither rule on: one token a call.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        while True:
            masked = canvas.masked(x, block, canvas.finished(x) & eos_early_stop)
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, confidence = draw(
                logits, masked, noise, temperature, top_k, top_p, nucleus_rule
            )
            confidence = confidence.where(masked, -torch.inf)
            commit = kernels.top_k(confidence, 1)
            if threshold is not None:
                commit = commit | (masked & (confidence >= threshold))
            if factor is not None:
                ranked = confidence.sort(dim=-1, descending=True).values
                place = torch.arange(2, ranked.shape[1] + 2, device=x.device)
                together = ((place * (1 - ranked) < factor).cumprod(-1) > 0).sum(-1)
                commit = commit | kernels.top_k(confidence, together)
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, confidence.where(masked, torch.nan))
