"""FreeDave: draft several steps at once, take those that the model would (arXiv:2510.00294)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import GREEDY, log_top, ranking, weighing
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, Values, sampler

Drafts = Annotated[
    int, Range(1, 64, 1, "Canvases of a row that go into one pass, its own first; each is a call.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return sum(1 + sum(min(values["drafts"], left) for left in range(1, n)) for n in masked)


@sampler(
    title="FreeDave (draft and verify)",
    paper="arXiv:2510.00294",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    budget=_budget,
    copies=lambda values: values["drafts"],
    presets={"paper": {"temperature": 0.0}},
)
def freedave(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 32,
    drafts: Drafts = 4,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill the most confident position, and at once what drafts show to be the next ones.

    Draft j is the canvas with the j positions filled of which the answer before was most confident.
    All go into one pass; as long as the step from draft j is draft j + 1, that one counts too. So
    the text is that of one token a call, in an order that never looks at the draw, whatever is
    drafted. A step is a round, which is what a parallel machine waits for.
    """
    x = canvas.tokens
    weigh = weighing(temperature, top_k, top_p, nucleus_rule) if temperature >= GREEDY else None
    luck = noise.uniform(canvas.writable)  # a number for each position, for every draft the same
    for block in canvas.blocks():
        ids, rank, several = x[:, block], torch.empty(0), 1
        while True:
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            left = masked.sum(-1)
            if not (most := int(left.max())):
                break
            drafted = _drafts(x, block, masked, ids, rank, min(several, most))
            rows = torch.arange(len(drafted), device=x.device)[:, None] < left
            logits = denoise.each(drafted, window=block, rows=rows).flatten(0, 1)
            ids = kernels.pick(logits, luck[:, block].repeat(len(drafted), 1), weigh)
            rank, likely = ranking(confidence := log_top(logits)), confidence[: len(x)].exp()
            after = _steps(drafted, block, masked, ids, rank, canvas.mask)
            predicted, x, last = ids[: len(x)], after[0], torch.zeros_like(left)
            for j in range(1, len(drafted)):
                agree = rows[j] & (drafted[j] == x).all(-1)
                agree = agree & ~canvas.finished(x, eos_early_stop)
                x, last = torch.where(agree[:, None], after[j], x), last + agree
            predicted = torch.where(x[:, block] == canvas.mask, predicted, x[:, block])
            yield Step(x, block, predicted.where(masked, -1), likely.where(masked, torch.nan))
            taken = last * len(x) + torch.arange(len(x), device=x.device)
            ids, rank, several = ids[taken], rank[taken], drafts


def _drafts(
    x: Tensor, block: slice, masked: Tensor, ids: Tensor, rank: Tensor, count: int
) -> Tensor:
    """The canvas [B, T], then with its best 1, 2, ... masked positions filled: [count, B, T]."""
    best = [kernels.top_k(rank.where(masked, -torch.inf), j) for j in range(1, count)]
    return torch.stack([x, *(write(x, block, some, ids) for some in best)])


def _steps(
    drafted: Tensor, block: slice, masked: Tensor, ids: Tensor, rank: Tensor, mask_id: int
) -> Tensor:
    """Every draft [C, B, T] with its most confident masked position filled: [C, B, T]."""
    flat = drafted.flatten(0, 1)
    free = masked.repeat(len(drafted), 1) & (flat[:, block] == mask_id)
    first = kernels.top_k(rank.where(free, -torch.inf), 1)
    return write(flat, block, first, ids).view_as(drafted)
