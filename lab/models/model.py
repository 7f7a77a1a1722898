"""What every model is to the lab: a ModelCard, a tokenizer, and logits for a window.

B rows, T columns, W = window width, V = `card.vocab_size`, mask and special tokens counted.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lab.models.device import CPU
from lab.models.model_card import ModelCard
from lab.models.rewards import rewards
from samplers.canvas import Canvas

# transformers patches torch while it loads: two loads at once leave weights uninitialised.
LOADING = threading.RLock()


class Model(ABC):
    """A model: its card, its tokenizer (None where ids are all there is), its logits."""

    card: ModelCard
    tokenizer: Any = None
    banned_ids: tuple[int, ...] = ()
    note: str = ""  # what could not be tested when it was opened, as one sentence
    skips_rows = True  # False: `forward` gets every row at every call, active or not
    counted: Callable[[], Tensor] | None = None  # gives `frequencies`, where nobody computes them

    @property
    def device(self) -> torch.device:
        """Where it takes tokens and answers."""
        return CPU

    def open(self, canvas: Canvas, block_length: int | None = None) -> "Opened":
        """Open the model for one run on this canvas; the run's caches live and end with it.

        The sampler gets `Opened.canvas`, which lies where the model does.
        """
        return Opened(self, canvas, block_length)

    def denoise(
        self, tokens: Tensor, t: Tensor | None = None, window: slice | None = None
    ) -> Tensor:
        """Logits [B, W, V] float32 without cache or canvas: every column of tokens is visible.

        tokens and t may be on any device; the answer is on the model's.
        """
        seen = torch.ones_like(tokens, dtype=torch.bool)
        canvas = Canvas(tokens, ~seen, seen, self.card.mask_id, self.card.eos_ids)
        lengths = self.card.block_lengths
        opened = Opened(self, canvas, lengths[-1] if lengths else None, caches=False)
        t = None if t is None else t.to(self.device)
        return opened(opened.canvas.tokens, window=window or slice(0, tokens.shape[1]), t=t)

    def new_cache(self) -> Any:
        """Whatever `forward` keeps from call to call within a run; None where nothing is kept."""
        return None

    def frequencies(self) -> Tensor:
        """How often each token occurs [V] float64, summing to 1. ValueError where nobody says."""
        if self.counted is None:
            raise ValueError(
                f"nobody says how often the tokens of {self.card.name} occur; put "
                "token_counts.json beside its tokenizer"
            )
        return self.counted()

    def reward(self, texts: Tensor, name: str) -> Tensor:
        """What texts [N, L] without pads are worth [N] float64, as the model's task has it."""
        return rewards(self.card.task, name, texts)

    @abstractmethod
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
        """Raw logits [B, W, V] of the tokens AT the window's columns, in a tensor of their own.

        tokens [B, T] and t [B] hold just the active rows, on the model's device; visible [B, T]
        and `rows` [B], their numbers in the run, are on the CPU: what decides the shapes of a call
        is known there. What `new_cache` made comes back as `cache`; None: compute afresh.
        """

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        """Columns [n] that the latest `forward` computed for these rows, on the CPU: every visible
        one, unless some are kept from call to call. The cache is as that call left it."""
        return visible.sum(-1)

    def draft(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Raw logits [B, W, V] of the draft model, if there is one, of `forward`'s arguments."""
        raise ValueError(f"{self.card.name} has no draft model; choose a model that has one")

    def columns_for_draft(self, cache: Any, rows: Tensor) -> Tensor:
        """Columns [n] that the model itself computed for these rows' latest `draft`, on the CPU."""
        return torch.zeros_like(rows)

    def block_mode(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Raw logits [B, W, V] of a causal model whose window's columns also see one another."""
        raise ValueError(f"{self.card.name} has no block mode; choose a model that has one")

    def leave_one_out(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Raw logits [B, W, V] of each of the window's columns given all but its own token."""
        raise ValueError(f"{self.card.name} cannot leave a token out; choose a model that can")

    def with_quality(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and how likely the token at each of the window's columns is right
        given all others [B, W], from 0 to 1; the arguments are `forward`'s too."""
        raise ValueError(f"{self.card.name} has no quality head; choose a model that has one")

    def self_conditioned(
        self, previous: Tensor, tokens: Tensor, visible: Tensor, window: slice,
        block_length: int | None, cache: Any, rows: Tensor,
    ) -> Tensor:  # fmt: skip
        """`forward` of a model that also sees `previous` [B, W, V], logits of the call before."""
        raise ValueError(f"{self.card.name} sees no answer of the call before; leave it out")


class Opened:
    """A model opened for one run: the Denoiser that samplers call (samplers.canvas.Denoiser).

    canvas: the run's, on the model's device. What the latest call computed, and what all of them
    did, is known on the CPU: `callers` [B], how many canvases of each row it answered, and
    `columns_fed` [B], the columns really computed for each row so far (a cached call feeds fewer).
    """

    def __init__(
        self, model: Model, canvas: Canvas, block_length: int | None = None, caches: bool = True
    ):
        self.model, self.block_length = model, block_length
        self.canvas, self._visible = canvas.to(model.device), canvas.visible.cpu()
        self.card = model.card
        self._cache = model.new_cache() if caches else None
        self._unconditional = model.new_cache() if caches else None
        self._everyone = torch.arange(len(canvas.tokens))
        self._rows: tuple[Tensor | None, Tensor] = (None, self._everyone)
        self.callers = torch.zeros(len(canvas.tokens), dtype=torch.int64)
        self.columns_fed = torch.zeros(len(canvas.tokens), dtype=torch.int64)
        banned = {self.card.mask_id, self.card.pad_id, *model.banned_ids} - {None}
        ids = torch.tensor(sorted(banned), dtype=torch.int64)
        self._banned = ids.to(model.device, non_blocking=True)

    @torch.no_grad()
    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
        leave_one_out: bool = False,
        block_mode: bool = False,
        previous: Tensor | None = None,
    ) -> Tensor:
        if self.card.time_conditioned and t is None:
            raise ValueError(f"{self.card.name} is time-conditioned: denoise needs t [B]")
        active, width = self._active(rows), len(range(*window.indices(tokens.shape[1])))
        if not len(active) or not width:
            return self._nothing(width)
        model, fed = self.model, active if self.model.skips_rows else self._everyone
        own, t = self._of(tokens, fed), None if t is None else self._of(t, fed)
        before = None if previous is None else self._of(previous, fed)
        ask = model.leave_one_out if leave_one_out else model.block_mode if block_mode else None
        logits = self._forward(own, window, t, fed, self._cache, before, ask)
        if guidance:
            # Classifier-free guidance (LLaDA eq. 16): the second pass sees the prompt masked.
            prompt = self.canvas.visible & ~self.canvas.writable
            if self.card.mask_id is None:
                raise ValueError(
                    f"guidance masks the prompt, and {self.card.name} has no mask token; leave "
                    "guidance at 0"
                )
            blind = self._of(tokens.masked_fill(prompt, self.card.mask_id), fed)
            free = self._forward(blind, window, t, fed, self._unconditional)
            logits = free + (1 + guidance) * (logits - free)
        return self._answer(logits.index_fill_(-1, self._banned, -torch.inf), active)

    @torch.no_grad()
    def with_quality(
        self, tokens: Tensor, *, window: slice, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The logits of a call, and how likely each token that stands in the window is right [B, W]
        float64, zeros off `rows`: one call. ValueError: no quality head."""
        active, width = self._active(rows), window.stop - window.start
        if not len(active) or not width:
            return (nothing := self._nothing(width)), nothing.new_zeros(nothing.shape[:2]).double()
        fed = active if self.model.skips_rows else self._everyone
        own, seen = self._of(tokens, fed), self._visible[fed]
        logits, quality = self.model.with_quality(own, seen, window, self._cache, fed)
        self._count_columns(seen, window, self._cache, fed)
        logits = logits.float().index_fill_(-1, self._banned, -torch.inf)
        return self._answer(logits, active), self._answer(quality.double(), active)

    @torch.no_grad()
    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """Logits [B, W, V] of the draft model, banned ids at -inf, zeros off `rows`. ValueError: no
        draft model, or a window that is wider than its block has free columns."""
        active, width = self._active(rows), window.stop - window.start
        if self.card.draft_length and width >= self.card.draft_length:
            raise ValueError(
                f"{self.card.name} drafts at most {self.card.draft_length - 1} columns at a time, "
                f"got {width}; ask for fewer"
            )
        if not len(active) or not width:
            return self._nothing(width)
        seen = self._of(self._visible, active)
        logits = self.model.draft(self._of(tokens, active), seen, window, self._cache, active)
        columns = self.model.columns_for_draft(self._cache, active)
        self.columns_fed.index_add_(0, active, columns)
        return self._spread(logits.float().index_fill_(-1, self._banned, -torch.inf), active)

    @torch.no_grad()
    def each(
        self, canvases: Tensor, *, window: slice, rows: Tensor, t: Tensor | None = None
    ) -> Tensor:
        """Logits [C, B, W, V] of C canvases [C, B, T] of every row, zeros off rows [C, B]: one
        pass. ValueError where attention is not full: a kept prefix belongs to one canvas."""
        if self.card.attention not in ("full", "any"):
            raise ValueError(
                f"several canvases of a row in one call need full attention, {self.card.name} has "
                f"{self.card.attention}; ask about one at a time"
            )
        count, flat = len(self._everyone), canvases.flatten(0, 1)
        active = rows.flatten().cpu().nonzero().flatten()
        self.callers = torch.bincount(active % count, minlength=count)
        fed = active if self.model.skips_rows else torch.arange(len(flat))
        there = fed.to(flat.device, non_blocking=True)
        t = None if t is None else t[there % count]
        logits = self._forward(flat[there], window, t, fed % count, self._cache)
        logits.index_fill_(-1, self._banned, -torch.inf)
        places = active.to(logits.device, non_blocking=True)
        logits = logits if self.model.skips_rows else logits[places]
        answer = logits.new_zeros(len(flat), *logits.shape[1:]).index_copy_(0, places, logits)
        return answer.unflatten(0, rows.shape)

    @property
    def frequencies(self) -> Tensor:
        """How often each token occurs [V] float64. ValueError where the card says it is unknown."""
        return self.model.frequencies().to(self.model.device, non_blocking=True)

    def reward(self, texts: Tensor, name: str) -> Tensor:
        """What whole texts [C, B, T] are worth by that name [C, B] float64, their pads cut away."""
        ids = texts.cpu()
        worth = [self.model.reward(ids[:, i, seen], name) for i, seen in enumerate(self._visible)]
        return torch.stack(worth, 1).to(texts.device, non_blocking=True)

    def _active(self, rows: Tensor | None) -> Tensor:
        """The numbers of `rows` [B], on the CPU: what a GPU is waited for once a step. A canvas of
        one row needs no look; nor does the tensor of the call before (a draft, then its check)."""
        if rows is None or len(rows) == 1:
            active = self._everyone
        else:
            if rows is not self._rows[0]:
                self._rows = rows, rows.cpu().nonzero().flatten()
            active = self._rows[1]
        self.callers = torch.zeros_like(self.callers).index_fill_(0, active, 1)
        return active

    def _of(self, x: Tensor, rows: Tensor) -> Tensor:
        """The part of x [B, ...] at these row numbers, each once, which are on the CPU."""
        return x if len(rows) == len(x) else x[rows.to(x.device, non_blocking=True)]

    def _forward(
        self, tokens: Tensor, window: slice, t: Tensor | None, rows: Tensor, cache: Any,
        previous: Tensor | None = None, ask: Callable[..., Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        # tokens [n, T], t [n] and previous [n, W, V] are of these rows [n], which may come twice.
        model, seen, length = self.model, self._visible[rows], self.block_length
        if ask is not None:
            logits = ask(tokens, seen, window, cache, rows)
        elif previous is not None:
            logits = model.self_conditioned(previous, tokens, seen, window, length, cache, rows)
        else:
            logits = model.forward(tokens, seen, window, t, length, cache, rows)
        self._count_columns(seen, window, cache, rows)
        return logits.float()

    def _count_columns(self, seen: Tensor, window: slice, cache: Any, rows: Tensor) -> None:
        """What the call just made computed for these rows [n], of which `seen` [n, T] is no pad."""
        columns = self.model.columns_computed(seen, window, self.block_length, cache, rows)
        self.columns_fed.index_add_(0, rows, columns)

    def _answer(self, answer: Tensor, active: Tensor) -> Tensor:
        """The model's answer to the rows that it was fed, as one for all, zeros off the active."""
        return self._spread(answer if self.model.skips_rows else self._of(answer, active), active)

    def _nothing(self, width: int) -> Tensor:
        rows, device = len(self._everyone), self.model.device
        return torch.zeros(rows, width, self.card.vocab_size, dtype=torch.float32, device=device)

    def _spread(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Logits [B, W, V], or qualities [B, W], that are those of `rows` [n], zeros elsewhere."""
        if len(rows) == len(self._everyone):
            return logits
        answer = logits.new_zeros(len(self._everyone), *logits.shape[1:])
        return answer.index_copy_(0, rows.to(logits.device, non_blocking=True), logits)
