"""Fast-dLLM's parallel decoding: commit all that is confident (Wu et al., arXiv:2505.22618)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, rank_of, ranking
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, sampler

AtLeast = Annotated[
    float, Range(0.0, 1.0, 0.01, "Commit every token whose confidence is at least this.")
]
Factor = Annotated[
    float, Range(0.0, 8.0, 0.1, "Commit the n best while (n + 1) (1 - confidence) is below this.")
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
    threshold: AtLeast | None = 0.9,
    factor: Factor | None = None,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit every token of at least `threshold` confidence, and always each row's most confident.

    With `factor` the n most confident go together while (n + 1) (1 - c_n) < factor (the bound of
    the paper's theorem 1, used as a rule). With neither, one token a call.
    """
    x = canvas.tokens
    for block in canvas.blocks():
        while True:
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            rank = ranking(log_p)
            commit = kernels.top_k(rank, 1) | (masked & (rank >= rank_of(threshold)))
            if factor is not None:
                doubt = -torch.expm1(log_p.sort(dim=-1, descending=True).values)  # 1 - confidence
                place = torch.arange(2, doubt.shape[1] + 2, device=x.device)
                together = ((place * doubt < factor).cumprod(-1) > 0).sum(-1)
                commit = commit | kernels.top_k(rank, together)
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, log_p.exp().where(masked, torch.nan))
