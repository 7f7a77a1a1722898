"""DFlash: a small draft model writes a block at once, the model checks it (arXiv:2602.06036)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw
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
    x, length = canvas.tokens, canvas.tokens.shape[1]
    widest = min(draft_length, denoise.card.draft_length)
    last = length - canvas.writable.flip(-1).int().argmax(-1)  # one past a row's last own column
    prompt_read = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    while True:
        empty = canvas.masked(x, slice(0, length), canvas.finished(x) & eos_early_stop)
        first = empty.int().argmax(-1).where(empty.any(-1), length)
        stop = (first + torch.where(prompt_read, widest, 1)).minimum(last)
        rows, window = kernels.nearest(first, stop)
        if window.start == length:
            return
        masked = canvas.masked(x, window, ~rows)
        predicted, drafted = torch.full_like(masked, -1, dtype=torch.int64), x
        if masked.shape[1] > 1:
            ahead = slice(window.start, window.stop - 1)
            draft = denoise.draft(x, window=ahead, rows=rows).argmax(-1)
            predicted[:, :-1] = draft.where(masked[:, :-1], -1)
            drafted = write(x, ahead, masked[:, :-1], draft)
        logits = denoise(drafted, window=window, rows=rows)
        accepted = rows[:, None]
        # Drawn one by one, so that no draw is wasted: the noise of a position is its own.
        for j in range(masked.shape[1]):
            place, column = slice(j, j + 1), slice(window.start + j, window.start + j + 1)
            here = masked[:, place] & accepted
            token, _ = draw(logits[:, place], here, noise, temperature, top_k, top_p, nucleus_rule)
            x = write(x, column, here, token)
            accepted = accepted & (~here | (token == predicted[:, place]))
            accepted = accepted & ~(canvas.finished(x) & eos_early_stop)[:, None]
            predicted[:, place] = token.where(here, predicted[:, place])
        prompt_read = prompt_read | rows
        yield Step(x, window, predicted)
