"""DFlash: a small draft model writes a block at once, the model checks it (arXiv:2602.06036)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import GREEDY, draw_tokens
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, sampler

DraftLength = Annotated[
    int, Range(1, 64, 1, "Most tokens one call may write, within the draft model's own block.")
]


@sampler(
    title="DFlash (speculative)",
    paper="arXiv:2602.06036",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"causal"}), draft=True, batch=False),
    layout="whole",
    presets={"paper": {"temperature": 0.0}},
)
def dflash(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    draft_length: DraftLength = 16,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Keep a draft as far as the model draws the same tokens, then the model's own next token.

    A row's first call reads the prompt and writes one token. Each later one checks a block that
    the draft model filled with its most likely tokens: whatever it drafts, the text is the one that
    `autoregressive` writes under this seed. Calls are the model's; a draft costs time, no call.
    Rows share a call only where they stand at the same column.
    """
    x = canvas.tokens
    widest = min(draft_length, denoise.card.draft_length)
    prompt_read = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    while True:
        span = torch.where(prompt_read, widest, 1)
        rows, window = kernels.nearest(canvas, x, span, eos_early_stop)
        if window.start == x.shape[1]:
            return
        masked = canvas.masked(x, window, ~rows)
        predicted, drafted = torch.full_like(masked, -1, dtype=torch.int64), x
        if masked.shape[1] > 1:
            ahead = slice(window.start, window.stop - 1)
            draft = denoise.draft(x, window=ahead, rows=rows).argmax(-1)
            predicted[:, :-1] = draft.where(masked[:, :-1], -1)
            drafted = write(x, ahead, masked[:, :-1], draft)
        logits = denoise(drafted, window=window, rows=rows)
        sample = partial(draw_tokens, noise=noise, temperature=temperature, top_k=top_k,
                         top_p=top_p, nucleus_rule=nucleus_rule)  # fmt: skip
        if temperature < GREEDY:
            ids = sample(logits, masked)
            here = kernels.accepted(canvas, ids, predicted, masked, eos_early_stop)
        else:
            agrees = partial(kernels.agrees, canvas, eos_early_stop=eos_early_stop)
            ids, here = _one_by_one(logits, predicted, masked, rows, sample, agrees)
        x, predicted = write(x, window, here, ids), ids.where(here, predicted)
        prompt_read = prompt_read | rows
        yield Step(x, window, predicted)


def _one_by_one(
    logits: Tensor, predicted: Tensor, masked: Tensor, rows: Tensor,
    sample: Callable[[Tensor, Tensor], Tensor], agrees: Callable[..., Tensor],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Ids [B, W], and where they stand: no draw is wasted, for a position's noise is its own."""
    tokens, places, accepted = list[Tensor](), list[Tensor](), rows[:, None]
    for j in range(masked.shape[1]):
        one = slice(j, j + 1)
        here = masked[:, one] & accepted
        tokens.append(sample(logits[:, one], here))
        places.append(here)
        accepted = accepted & agrees(tokens[-1], predicted[:, one], masked[:, one])
    return torch.cat(tokens, 1), torch.cat(places, 1)
