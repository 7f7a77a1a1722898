"""Models whose posterior is known exactly: the noise kernels, pins and floor they share.

A visible token z is evidence q(z | x) = keep 1[z = x] + spread about the clean token x (Markov
chain or list of sequences: the subclass); a mask is no evidence (keep 0, spread 1). So absorbing
noise, hybrid noise (GIDD) and uniform noise are one formula, and so are the two posteriors:
full(v) is in proportion to loo(v) q(z | v).
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lab.models.model import Model, ModelCard, Opened
from lab.models.vocabulary import check_words
from samplers import schedules
from samplers.canvas import Canvas

CORRUPTIONS = ("absorbing", "hybrid", "uniform")
POSTERIORS = ("full", "loo")
FLOOR = 1e-3  # token noise that answers where the evidence is impossible, and only there
_NEVER = -1e4  # the logit of an impossible token: finite, so that guidance's difference is a number
_CELLS = 1 << 22  # rows are answered in slices of about this many float64 cells


class Exact(Model):
    """Base of Oracle and Table: evidence in, log posterior out, float64 inside.

    Tokens occupy positions 0, 1, ... of each row's visible columns; positions beyond the canvas
    are marginalised. Under hybrid and uniform noise what the canvas pins (prompt, infill) is
    trusted, and only writable tokens may be noise.
    """

    def __init__(self, card: ModelCard, vocabulary: Sequence[str] | None):
        self.card, self.vocabulary = card, vocabulary
        # Ids below `size` are tokens, `size` is the mask; at most `length` of them in a row.
        self.size, self.length = int(card.mask_id or 0), int(card.length or 0)

    @cached_property
    def tokenizer(self) -> Any:
        """Made when text is first read or written: it takes transformers, a card does not."""
        if self.vocabulary is None:
            return None
        from lab.models.word_tokenizer import word_tokenizer

        return word_tokenizer(self.vocabulary, self.size, *self.card.eos_ids)

    def open(self, canvas: Canvas, block_length: int | None = None) -> Opened:
        """Open the model for one run; it remembers which tokens are pinned."""
        return _Opened(self, canvas, block_length)

    def forward(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        t: Tensor | None,
        block_length: int | None,
        cache: Any,
        rows: Tensor,
    ) -> Tensor:
        """Log posterior [B, W, V+1]; V+1 = the mask. `cache` is the run's pinned cells or None.

        Of a causal one each column's answer knows what stands left of it alone. ValueError where a
        row holds more tokens than the model's length or ids that it does not have.
        """
        self._check(tokens, visible)
        if self.card.attention != "causal":
            return self._answer(tokens, visible, window, t, cache, rows)
        columns = range(*window.indices(tokens.shape[1]))
        each = [
            self._answer(self._up_to(i, tokens), visible, slice(i, i + 1), t, cache, rows)
            for i in columns
        ]
        return torch.cat(each, 1)

    def draft(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Log marginals [B, W, V+1] of the window's tokens given what stands left of it.

        What a draft model that fills a block in one step learns at best: each position is right by
        itself, the block only where its positions are independent.
        """
        if self.card.draft_length is None:
            return super().draft(tokens, visible, window, cache, rows)
        return self._answer(self._up_to(window.start, tokens), visible, window, None, cache, rows)

    def block_mode(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Log posterior [B, W, V+1] given what stands in the window and left of it."""
        if self.card.joint_length is None:
            return super().block_mode(tokens, visible, window, cache, rows)
        self._check(tokens, visible)
        return self._answer(self._up_to(window.stop, tokens), visible, window, None, cache, rows)

    def leave_one_out(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Log posterior [B, W, V+1] of each column given every other one."""
        if not self.card.leave_one_out:
            return super().leave_one_out(tokens, visible, window, cache, rows)
        self._check(tokens, visible)
        return self._answer(tokens, visible, window, None, cache, rows, own=False)

    def with_quality(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and the probability [B, W] of each token given all others: what a
        quality head learns at best (PRISM, arXiv:2510.01384)."""
        if not self.card.quality_head:
            return super().with_quality(tokens, visible, window, cache, rows)
        others = self.leave_one_out(tokens, visible, window, cache, rows)
        quality = others.gather(-1, tokens[:, window, None])[..., 0].exp()
        return self.forward(tokens, visible, window, None, None, cache, rows), quality

    def frequencies(self) -> Tensor:
        """The mean over positions of what is expected where nothing is known."""
        blank = torch.full((1, self.length), self.size)
        seen, whole = torch.ones_like(blank, dtype=torch.bool), slice(0, self.length)
        answer = self._answer(blank, seen, whole, None, None, torch.zeros(1, dtype=torch.int64))
        return answer[0].exp().mean(0)

    def _up_to(self, column: int, tokens: Tensor) -> Tensor:
        """The tokens left of a column, masks from there on."""
        left = torch.arange(tokens.shape[1]) < column
        return tokens.where(left, self.size)

    def _answer(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        t: Tensor | None,
        cache: Any,
        rows: Tensor,
        own: bool = True,
    ) -> Tensor:
        own = own and self.card.posterior == "full"
        pinned = torch.zeros_like(visible) if cache is None else cache[rows]
        keep, spread = self._evidence(tokens, visible, pinned, t)
        size = max(1, _CELLS // self.cells(tokens.shape[1]))
        answers = [
            self._posterior(tokens[i], visible[i], keep[i], spread[i], window, own)
            for i in torch.arange(len(tokens)).split(size)
        ]
        return torch.nn.functional.pad(torch.cat(answers), (0, 1), value=_NEVER)

    @abstractmethod
    def cells(self, columns: int) -> int:
        """How many float64 cells one row of that many columns takes."""

    @abstractmethod
    def scores(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice,
        own: bool,
    ) -> Tensor:  # fmt: skip
        """Log p(x at the column = v, the evidence) [B, W, V] up to a constant a row, -inf where
        that is 0. Where `own` is False the column's own evidence is left out."""

    def _check(self, tokens: Tensor, visible: Tensor) -> None:
        card = self.card
        longest = int(visible.sum(-1).max()) if len(visible) else 0
        if longest > self.length:
            raise ValueError(
                f"{card.name} holds at most {self.length} tokens, got {longest}; "
                "shorten the prompt or gen_length"
            )
        seen = tokens[visible]
        if len(seen) and not 0 <= int(seen.min()) <= int(seen.max()) <= self.size:
            raise ValueError(
                f"{card.name} has token ids 0 to {self.size}, got {int(seen.min())} to "
                f"{int(seen.max())}; tokenize with its own tokenizer"
            )

    def _evidence(
        self, tokens: Tensor, visible: Tensor, pinned: Tensor, t: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        size, p = self.size, self.card.p_uniform
        one = torch.ones(len(tokens), dtype=torch.float64)
        if self.card.corruption == "absorbing":
            keep, spread = one, one * 0
        elif t is None:  # editing samplers: a token that stands is noise with chance p_uniform
            keep, spread = one * (1 - p), one * p / size
        elif self.card.corruption == "hybrid":
            keep, _, noise = schedules.Hybrid(p).at(t)
            spread = noise / size
        else:
            keep = schedules.get(self.card.schedule).alpha(t)
            spread = (1 - keep) / size
        said = visible & (tokens != size)
        keep = torch.where(pinned, 1.0, keep[:, None])
        spread = torch.where(pinned, 0.0, spread[:, None])
        return torch.where(said, keep, 0.0), torch.where(said, spread, 1.0)

    def _posterior(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice,
        own: bool,
    ) -> Tensor:  # fmt: skip
        scores = self.scores(tokens, visible, keep, spread, window, own)
        seen = visible[:, window, None]
        stuck = seen & (scores.amax(-1, keepdim=True) == -torch.inf)
        rows = stuck.any(1).flatten()
        if rows.any():
            tokens, visible, keep, spread = tokens[rows], visible[rows], keep[rows], spread[rows]
            said = visible & (tokens != self.size)
            spread = torch.where(said, (1 - FLOOR) * spread + FLOOR / self.size, spread)
            keep = torch.where(said, (1 - FLOOR) * keep, keep)
            floor = self.scores(tokens, visible, keep, spread, window, own)
            scores[rows] = torch.where(stuck[rows], floor, scores[rows])
        return torch.where(seen, scores, 0.0).log_softmax(-1).clamp(min=_NEVER)


class _Opened(Opened):
    """An exact model opened for one run: the run's cache is the cells that are pinned [B, T]."""

    def __init__(self, model: Exact, canvas: Canvas, block_length: int | None):
        super().__init__(model, canvas, block_length, caches=False)
        self._cache = self._unconditional = canvas.visible & ~canvas.writable


def describe(
    name: str,
    size: int,
    length: int,
    corruption: str,
    posterior: str,
    p_uniform: float,
    vocabulary: Sequence[str] | None,
    eos_id: int | None,
    draft_length: int | None,
) -> tuple[ModelCard, tuple[str, ...] | None]:
    """Check what oracle and table share; return the card and the words (None: ids only)."""
    _check_noise(corruption, posterior, p_uniform)
    _check_tokens(size, vocabulary, eos_id)
    _check_draft(draft_length, corruption)
    card = ModelCard(
        name=name,
        vocab_size=size + 1,
        mask_id=size,
        eos_ids=() if eos_id is None else (eos_id,),
        context=length,
        length=length,
        attention="any" if draft_length is None else "causal",
        draft_length=draft_length,
        joint_length=draft_length,
        leave_one_out=draft_length is None,
        quality_head=draft_length is None,
        frequencies=True,
        corruption=corruption,
        posterior=posterior,
        schedule="linear" if corruption == "uniform" else "loglinear",
        p_uniform=0.0 if corruption == "absorbing" else float(p_uniform),
    )
    return card, None if vocabulary is None else tuple(map(str, vocabulary))


def _check_noise(corruption: str, posterior: str, p_uniform: float) -> None:
    if corruption not in CORRUPTIONS:
        raise ValueError(f"corruption must be one of {', '.join(CORRUPTIONS)}, got {corruption!r}")
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {', '.join(POSTERIORS)}, got {posterior!r}")
    if not isinstance(p_uniform, (int, float)) or not 0 <= p_uniform < 1:
        raise ValueError(f"p_uniform must be from 0 to below 1, got {p_uniform!r}; try 0.1")


def _check_tokens(size: int, vocabulary: Sequence[str] | None, eos_id: int | None) -> None:
    whole = isinstance(eos_id, int) and not isinstance(eos_id, bool)
    if eos_id is not None and not (whole and 0 <= eos_id < size):
        raise ValueError(f"eos_id must be a token id from 0 to {size - 1} or None, got {eos_id!r}")
    if vocabulary is not None and (isinstance(vocabulary, str) or len(vocabulary) != size):
        raise ValueError(
            f"vocabulary must name each of the {size} tokens, got {len(vocabulary)} names; "
            "leave it out to work with ids"
        )
    if vocabulary is not None:
        check_words(tuple(map(str, vocabulary)), eos_id)


def _check_draft(draft_length: int | None, corruption: str) -> None:
    if draft_length is None:
        return
    whole = isinstance(draft_length, int) and not isinstance(draft_length, bool)
    if not whole or draft_length < 2:
        raise ValueError(
            f"draft_length must be a whole number of at least 2 or None, got {draft_length!r}"
        )
    if corruption != "absorbing":
        raise ValueError(
            f"draft_length makes a left-to-right model, which has no {corruption} noise; "
            "leave one of the two out"
        )


def distribution(name: str, values: Any, shape: tuple[int | None, ...]) -> Tensor:
    """Read weights of that shape (None: any size) as float64 whose last axis sums to 1.

    ValueError where the shape differs, an entry is negative or not finite, or a sum is not 1.
    """
    try:
        array = torch.as_tensor(values, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be an array of numbers; {error}") from None
    expected = ", ".join("any" if size is None else str(size) for size in shape)
    fits = array.dim() == len(shape) and array.numel()
    sizes = zip(array.shape, shape, strict=False)
    if not fits or any(size not in (None, real) for real, size in sizes):
        raise ValueError(f"{name} must have shape [{expected}], got {list(array.shape)}")
    if not bool((torch.isfinite(array) & (array >= 0)).all()):
        raise ValueError(f"{name} must be finite and not negative, got {_worst(array)}")
    total = array.sum(-1, keepdim=True)
    if float((total - 1).abs().max()) > 1e-6:
        off = total.flatten()[(total - 1).abs().argmax()]
        raise ValueError(f"{name} must sum to 1, got {off:.6g}; divide by the sum")
    return array / total


def _worst(array: Tensor) -> float:
    return float(array[~(torch.isfinite(array) & (array >= 0))][0])
