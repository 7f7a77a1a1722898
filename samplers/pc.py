"""PC-Sampler: what is confident, says something and stands near comes first (arXiv:2508.13021)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import TIE, draw
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, Range, sampler

Decay = Annotated[
    float, Range(0.0, 10.0, 0.05, "How fast a score falls with the position in the block; 0: not.")
]
MostSurprise = Annotated[
    float, Range(0.01, 100.0, 0.1, "The most that a rare token's score can reach.")
]
RARE = 1e-9  # added to every frequency
NOTHING = 1e-30  # the least score: a token of frequency 1 says nothing, and is still ranked


@sampler(
    title="PC-Sampler (position, content)",
    paper="arXiv:2508.13021",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), frequencies=True),
    layout="prompt",
    presets={"sudoku": {"decay": 0.0}, "countdown": {"decay": 1.0}},
)
def pc(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 128,
    steps: Steps = 128,
    decay: Decay = 0.25,
    most_surprise: MostSurprise = 10.0,
    temperature: Temperature = 0.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill this step's share of the block, highest e^(-decay i) min(-p log f, most_surprise) first.

    i counts the block's positions from 0, p is the drawn token's probability and f how often it
    occurs at all, so that a trivial token (a full stop, an EOS) does not come first for being sure.
    """
    x, rarity = canvas.tokens, -(denoise.frequencies + RARE).log()
    for block in canvas.blocks():
        count = canvas.masked(x, block, canvas.finished(x, eos_early_stop)).sum(-1)
        place = torch.arange(block.stop - block.start, device=x.device)
        for step in range(steps):
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=block, rows=rows)
            predicted, log_p = draw(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            content = (log_p.exp() * rarity[predicted.clamp(min=0)]).clamp(NOTHING, most_surprise)
            score = content.log() - decay * place
            rank = (score / TIE).round().where(masked, -torch.inf)
            commit = kernels.top_k(rank, kernels.share(count, steps, step))
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, score.exp().where(masked, torch.nan))
