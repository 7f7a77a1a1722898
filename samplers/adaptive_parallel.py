"""APD: a diffusion model drafts, a mixture with the causal model decides (arXiv:2506.00413)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import GREEDY, weighing
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, filters_unless, sampler

Lookahead = Annotated[
    int, Range(1, 128, 1, "Most tokens one call may write, within the draft model's own block.")
]
Mixture = Annotated[
    float, Range(0.0, 1.0, 0.05, "Weight of the draft model; at 0 the causal model decides alone.")
]


@sampler(
    title="Adaptive parallel (APD)",
    paper="arXiv:2506.00413",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"causal"}), draft=True, batch=False),
    layout="whole",
    draws=filters_unless("mixture"),
    presets={
        "lossless": {"mixture": 0.0},
        "paper": {"temperature": 0.2, "top_p": 0.95},
    },
)
def adaptive_parallel(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    lookahead: Lookahead = 100,
    mixture: Mixture = 0.7,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Keep a draft as far as the mixture p_draft^R p_causal^(1 - R) draws the same tokens.

    Both draw a position with one random number, so the nearer they are the longer they agree. Where
    they part the mixture's token stands, and behind a whole draft the causal model's own. At R = 0
    the text is the one that `autoregressive` writes under this seed, whatever is drafted. A row's
    first call reads the prompt and writes one token; a draft costs time, no call.
    """
    x = canvas.tokens
    weigh = weighing(temperature, top_k, top_p, nucleus_rule) if temperature >= GREEDY else None
    luck = noise.uniform(canvas.writable)  # a number for each position
    widest = min(lookahead, denoise.card.draft_length)
    prompt_read = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    while True:
        span = torch.where(prompt_read, widest, 1)
        rows, window = kernels.nearest(canvas, x, span, eos_early_stop)
        if window.start == x.shape[1]:
            return
        masked, ahead = canvas.masked(x, window, ~rows), slice(window.start, window.stop - 1)
        predicted, drafted = torch.full_like(masked, -1, dtype=torch.int64), x
        if masked.shape[1] > 1:
            guide = denoise.draft(x, window=ahead, rows=rows)
            draft = kernels.pick(guide, luck[:, ahead], weigh)
            predicted[:, :-1] = draft.where(masked[:, :-1], -1)
            drafted = write(x, ahead, masked[:, :-1], predicted[:, :-1])
        logits = denoise(drafted, window=window, rows=rows)
        if masked.shape[1] > 1:
            logits = torch.cat([_mixed(guide, logits[:, :-1], mixture), logits[:, -1:]], 1)
        ids = kernels.pick(logits, luck[:, window], weigh)
        here = kernels.accepted(canvas, ids, predicted, masked, eos_early_stop)
        x, predicted = write(x, window, here, ids), ids.where(here, predicted)
        prompt_read = prompt_read | rows
        yield Step(x, window, predicted)


def _mixed(drafted: Tensor, causal: Tensor, mixture: float) -> Tensor:
    """Logits of p_draft^R p_causal^(1 - R); an end of R leaves one of them out, -inf and all."""
    if mixture in (0.0, 1.0):
        return drafted if mixture else causal
    return mixture * drafted.log_softmax(-1) + (1 - mixture) * causal.log_softmax(-1)
