"""What every sampler is written in: Canvas, Step, Denoiser and the few shared parts.

B rows, T columns, W = window width, V = vocabulary size. Token ids int64, logits float32,
probabilities float64; t = 1 is all noise.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import Tensor

from . import schedules
from .noise import Noise, choose, coin, inverse_cdf  # noqa: F401 - samplers take all from here


@dataclass(frozen=True)
class Canvas:
    """The columns a run may write: prompt in, holes open.

    tokens [B, T] (holes hold `mask_id`, 0 where there is none); writable [B, T] (never prompt,
    pinned text, pad or beyond the requested length); visible [B, T] (False = pad). `layout` says
    where blocks of `block_length` begin: at the end of the prompt (`prompt`), at each row's first
    token (`first`), or one block for all (`whole`).
    """

    tokens: Tensor
    writable: Tensor
    visible: Tensor
    mask_id: int | None
    eos_ids: tuple[int, ...] = ()
    layout: str = "whole"
    block_length: int | None = None

    @cached_property
    def _blocks(self) -> tuple[slice, ...]:
        columns = self.writable.any(0).nonzero().flatten().tolist()
        if not columns:
            return ()
        first, stop = columns[0], columns[-1] + 1
        length = self.block_length
        if self.layout == "whole" or length is None:
            return (slice(first, stop),)
        if self.layout == "first":
            first -= first % length
        edges = range(first, stop, length)
        used = torch.tensor(columns)
        blocks = [slice(edge, min(edge + length, self.tokens.shape[1])) for edge in edges]
        if self.layout == "prompt":
            blocks[-1] = slice(blocks[-1].start, stop)
        return tuple(b for b in blocks if ((used >= b.start) & (used < b.stop)).any())

    def blocks(self) -> list[slice]:
        """The windows that cover all writable columns, left to right."""
        return list(self._blocks)

    def finished(self, x: Tensor) -> Tensor:
        """Rows [B] where an EOS stands at a writable column with no hole before it."""
        if not self.eos_ids:
            return torch.zeros(len(x), dtype=torch.bool, device=x.device)
        ids = torch.tensor(self.eos_ids, device=x.device)
        eos = self.writable & torch.isin(x, ids)
        if self.mask_id is None:
            return eos.any(-1)
        hole = self.writable & (x == self.mask_id)
        return (eos & (hole.cumsum(-1) == 0)).any(-1)

    def holes(self, x: Tensor, window: slice, frozen: Tensor | None = None) -> Tensor:
        """Writable positions [B, W] of the window that hold the mask, in rows not finished.

        `frozen` [B] replaces the rows found finished (a sampler that ends rows by its own rule).
        """
        frozen = self.finished(x) if frozen is None else frozen
        here = self.writable[:, window] & ~frozen[:, None]
        return here & (x[:, window] == self.mask_id) if self.mask_id is not None else here & False


@dataclass(frozen=True)
class Step:
    """One change of the canvas, or one model call that changed nothing.

    tokens [B, T]; guess [B, W] the token chosen at each position, committed or not (-1 none);
    score [B, W] what ranked positions, NaN where nothing was ranked; finished [B] the rows ended
    by a rule that tokens do not show.
    """

    tokens: Tensor
    window: slice
    guess: Tensor | None = None
    score: Tensor | None = None
    finished: Tensor | None = None


class Denoiser(Protocol):
    """A model opened for one run: logits [B, W, V] of the tokens AT the window's columns.

    `rows` [B] are the rows that want an answer (None: all); others hold zeros and are not charged.
    -inf stands at mask, pad, unused and banned ids. `t` [B] is the time of `card.schedule`.
    `draft` is there iff card.draft_length: what its drafter expects at the window's columns, of
    which it has at most draft_length - 1, from what stands left of them.
    """

    card: Any

    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor: ...

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor: ...


def token_weights(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> Tensor:
    """Turn logits [..., V] into normalised weights [..., V]: temper, top-k, then nucleus.

    Temperature 0 is all weight on the likeliest token. The nucleus drops the token that crosses
    `top_p` (`drop_crossing`: kuleshov-group's code, samplers of BD3LM and ReMDM) or keeps it
    (`keep_crossing`: Hugging Face, Dream, SDAR, LLaDA2).
    """
    if temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    best = logits.amax(-1, keepdim=True)
    weights = ((logits - best) / temperature).exp()
    if top_k is not None and top_k < weights.shape[-1]:
        kept, ids = weights.topk(top_k, dim=-1)
        weights = torch.zeros_like(weights).scatter_(-1, ids, kept)
    if top_p is not None and top_p < 1:
        weights = _nucleus(weights, top_p, nucleus_rule)
    return weights / weights.sum(-1, keepdim=True, dtype=torch.float64).to(weights.dtype)


def _nucleus(weights: Tensor, top_p: float, rule: str) -> Tensor:
    total = weights.sum(-1, keepdim=True, dtype=torch.float64)
    # Sorting a whole vocabulary costs more than the model: 256 nearly always hold the mass.
    for size in (min(256, weights.shape[-1]), weights.shape[-1]):
        kept, ids = weights.topk(size, dim=-1)
        mass = kept.double().cumsum(-1) / total
        if bool((mass[..., -1] > top_p).all()):
            break
    inside = mass <= top_p if rule == "drop_crossing" else mass - kept / total <= top_p
    inside[..., 0] = True
    return torch.zeros_like(weights).scatter_(-1, ids, kept * inside)


def draw(
    logits: Tensor,
    where: Tensor,
    noise: Noise,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> tuple[Tensor, Tensor]:
    """Choose a token at each True of `where` [B, W] from logits [B, W, V].

    Returns ids [B, W] (-1 elsewhere) and their probabilities [B, W] float64 (0 elsewhere), taken
    at temperature 1 and unfiltered, so that the draw's settings never change who is confident.
    """
    if temperature == 0:
        guess = torch.where(where, logits.argmax(-1), -1)
    else:
        weigh = partial(token_weights, temperature=temperature, top_k=top_k, top_p=top_p,
                        nucleus_rule=nucleus_rule)  # fmt: skip
        guess = noise.reveal(logits, where, weigh)
    return guess, probability(logits, guess, where)


def probability(logits: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    """The softmax probability [B, W] float64 of `ids` under logits [B, W, V]; 0 off `where`."""
    asked = logits[where]
    chosen = asked.gather(-1, ids[where][:, None])[:, 0].double()
    sure = torch.zeros(where.shape, dtype=torch.float64, device=where.device)
    sure[where] = (chosen - asked.logsumexp(-1).double()).exp()
    return sure


def top_k(score: Tensor, k: Tensor | int) -> Tensor:
    """Mark the k [B] best positions of each row of score [B, W]; -inf is never marked."""
    rank = score.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    k = k[:, None] if isinstance(k, Tensor) else k
    return (rank < k) & (score > -torch.inf)


def share(count: Tensor, steps: int, step: int) -> Tensor:
    """How many of `count` [B] positions step number `step` of `steps` takes.

    count // steps, the remainder on the first steps (LLaDA, SDAR, LLaDA2), over no more steps
    than there are positions, so no step takes nothing while some are left.
    """
    spread = count.clamp(min=1, max=steps)
    return torch.where(step < spread, count // spread + (step < count % spread), 0)


def write(x: Tensor, window: slice, where: Tensor, ids: Tensor) -> Tensor:
    """A new canvas [B, T]: `ids` [B, W] stand where `where` [B, W] is True in the window."""
    x = x.clone()
    x[:, window] = torch.where(where, ids, x[:, window])
    return x


def model_time(card: Any, alpha: Tensor, x: Tensor) -> Tensor | None:
    """The time [B] at which the model's own schedule has this alpha; None where it needs none.

    Among masks alone a net can count them; where noise looks like text, the answer depends on t.
    """
    if card.corruption == "absorbing" and not card.time_conditioned:
        return None
    return schedules.get(card.schedule).time(alpha.to(x.device)).expand(len(x))


def entropy(logits: Tensor) -> Tensor:
    """Entropy [B, W] float64 in nats over the vocabulary of logits [B, W, V]."""
    p = logits.double().softmax(-1)
    return torch.special.entr(p).sum(-1)
