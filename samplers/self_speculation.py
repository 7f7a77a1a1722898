"""Self-speculation: one model drafts in block mode and checks itself (arXiv:2607.05722)."""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import GREEDY, log_probability, rank_of, ranking, weighing
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, Values, sampler

Width = Annotated[
    int, Range(2, 1024, 1, "Most columns of a draft's block, its first, known token counted.")
]
FirstWidth = Annotated[
    int, Range(2, 1024, 1, "A row's first width; whole drafts double it, bad ones halve it.")
]
AtLeast = Annotated[
    float, Range(0.0, 1.0, 0.01, "Draft in several calls, each of tokens at least this likely.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    """One call for the first token; from then on a token a round, at worst: draft and check."""
    most = 1 if values["threshold"] is None else values["width"] - 1
    return sum(1 + sum(1 + min(most, left - 1) for left in range(1, n)) for n in masked)


@sampler(
    title="Self-speculation (LinearSpec)",
    paper="arXiv:2607.05722",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"causal"}), joint=True, batch=False),
    layout="whole",
    budget=_budget,
    presets={"paper": {"temperature": 0.0}, "growing": {"first_width": 8}},
)
def self_speculation(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    width: Width = 32,
    first_width: FirstWidth | None = None,
    threshold: AtLeast | None = None,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Keep the model's own draft of a block as far as its causal mode draws the same tokens.

    A row's first call reads the prompt and writes one token. Then rounds: the block mode fills what
    follows the last token, one causal call checks it, and behind what agrees that call's own next
    token stands. Both draw a position with one random number, so the text is the one that
    `autoregressive` writes under this seed. Every draft is a call, of which a round needs two or
    more; with `threshold` the block mode is asked until no mask is left.
    """
    x = canvas.tokens
    weigh = weighing(temperature, top_k, top_p, nucleus_rule) if temperature >= GREEDY else None
    luck = noise.uniform(canvas.writable)  # a number for each position
    most = min(width, denoise.card.joint_length)
    least, first = (most, most) if first_width is None else (2, min(first_width, most))
    span = torch.ones(len(x), dtype=torch.int64, device=x.device)  # what reads the prompt
    while True:
        rows, window = kernels.nearest(canvas, x, span, eos_early_stop)
        if window.start == x.shape[1]:
            return
        masked, drafted = canvas.masked(x, window, ~rows), x
        if masked.shape[1] > 1:
            block = slice(window.start - 1, window.stop - 1)
            drafted = _drafted(denoise, canvas, x, block, rows, threshold, luck, weigh)
        logits = denoise(drafted, window=window, rows=rows)
        ids = kernels.pick(logits, luck[:, window], weigh)
        draft = drafted[:, window].where(masked, -1)
        draft = draft.where(draft != canvas.mask, -1)  # the last column has none
        here = kernels.accepted(canvas, ids, draft, masked, eos_early_stop)
        x = write(x, window, here, ids)
        following = _next_width(span, here, masked).clamp(least, most)
        span = torch.where(rows, torch.where(span == 1, first, following), span)
        yield Step(x, window, ids.where(here, draft))


def _drafted(
    denoise: Denoiser, canvas: Canvas, x: Tensor, block: slice, rows: Tensor,
    threshold: float | None, luck: Tensor, weigh: Callable[[Tensor], Tensor] | None,
) -> Tensor:  # fmt: skip
    """The canvas [B, T], in these rows without a mask in the block, whose first column is known."""
    masked = canvas.masked(x, block, ~rows)
    while True:
        logits = denoise(x, window=block, rows=rows, block_mode=True)
        ids = kernels.pick(logits, luck[:, block], weigh)
        if threshold is None:
            return write(x, block, masked, ids)
        rank = ranking(log_probability(logits, ids, masked))
        commit = kernels.top_k(rank, 1) | (masked & (rank >= rank_of(threshold)))
        x = write(x, block, commit, ids)
        masked = canvas.masked(x, block, ~rows)
        if not (rows := masked.any(-1)).any():
            return x


def _next_width(width: Tensor, here: Tensor, masked: Tensor) -> Tensor:
    """Twice the width [B] where all masked positions [B, W] were written, half of it where no more
    than half of them were."""
    half = torch.where(2 * here.sum(-1) <= masked.sum(-1), width // 2, width)
    return torch.where((here == masked).all(-1), 2 * width, half)
