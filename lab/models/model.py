"""What every model is to the lab: a ModelCard, a tokenizer, and logits for a window.

B rows, T columns, W = window width, V = `card.vocab_size`, mask and special tokens counted.
"""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from samplers.canvas import Canvas

# transformers patches torch while it loads: two loads at once leave weights uninitialised.
LOADING = threading.RLock()


@dataclass(frozen=True)
class ModelCard:
    """What a model is, as data; samplers say what they need in the same words.

    context: most columns it reads; length: its fixed length (tables, oracles) or None.
    attention: full, block_causal, causal or any (an oracle fits every need). corruption:
    absorbing, hybrid or uniform. posterior: full (conditions on a token's own value) or loo.
    schedule, p_uniform, noise_ids (None: every id but the mask): the process it was trained under.
    draft_length: tokens of its draft model's block, its first, verified one counted; None: no
    draft model. revision: the commit of a hub's checkpoint.
    """

    name: str
    vocab_size: int
    task: str = ""
    mask_id: int | None = None
    pad_id: int | None = None
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    context: int = 2048
    length: int | None = None
    attention: str = "full"
    corruption: str = "absorbing"
    posterior: str = "full"
    schedule: str = "loglinear"
    p_uniform: float = 0.0
    noise_ids: tuple[int, ...] | None = None
    time_conditioned: bool = False
    block_lengths: tuple[int, ...] | None = None
    draft_length: int | None = None
    revision: str | None = None


class Model(ABC):
    """A model: its card, its tokenizer (None where ids are all there is), its logits."""

    card: ModelCard
    tokenizer: Any = None
    banned_ids: tuple[int, ...] = ()
    note: str = ""  # what could not be tested when it was opened, as one sentence
    skips_rows = True  # False: `forward` gets every row at every call, active or not

    def open(self, canvas: Canvas, block_length: int | None = None) -> "Opened":
        """Open the model for one run on this canvas; the run's caches live and end with it."""
        return Opened(self, canvas, block_length)

    def denoise(
        self, tokens: Tensor, t: Tensor | None = None, window: slice | None = None
    ) -> Tensor:
        """Logits [B, W, V] float32 without cache or canvas: every column of tokens is visible."""
        seen = torch.ones_like(tokens, dtype=torch.bool)
        nothing = torch.zeros_like(seen)
        canvas = Canvas(tokens, nothing, seen, self.card.mask_id, self.card.eos_ids)
        lengths = self.card.block_lengths
        opened = Opened(self, canvas, lengths[-1] if lengths else None, caches=False)
        return opened(tokens, window=window or slice(0, tokens.shape[1]), t=t)

    def new_cache(self) -> Any:
        """Whatever `forward` keeps from call to call within a run; None where nothing is kept."""
        return None

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
        """Raw logits [B, W, V] of the tokens AT the window's columns.

        tokens, visible [B, T] and t [B] hold just the active rows, `rows` [B] their
        numbers in the run. What `new_cache` made comes back as `cache`; None: compute afresh.
        """

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        """How many columns [n] the next `forward` will compute for each of these rows.

        Every visible column, unless a model says that it keeps some from call to call.
        """
        return visible.sum(-1)

    def draft(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """Raw logits [B, W, V] of the draft model, if there is one; the arguments are
        `forward`'s."""
        raise ValueError(f"{self.card.name} has no draft model; choose a model that has one")


class Opened:
    """A model opened for one run: the Denoiser that samplers call (samplers.canvas.Denoiser)."""

    def __init__(
        self, model: Model, canvas: Canvas, block_length: int | None = None, caches: bool = True
    ):
        self.model, self.canvas, self.block_length = model, canvas, block_length
        self.card = model.card
        self._cache = model.new_cache() if caches else None
        self._unconditional = model.new_cache() if caches else None
        # What the model really computed for each row [B]: a cached call feeds fewer columns.
        self.columns_fed = torch.zeros(len(canvas.tokens), dtype=torch.int64)
        banned = {self.card.mask_id, self.card.pad_id, *model.banned_ids} - {None}
        self._banned = torch.tensor(sorted(banned), dtype=torch.int64)

    @torch.no_grad()
    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        if self.card.time_conditioned and t is None:
            raise ValueError(f"{self.card.name} is time-conditioned: denoise needs t [B]")
        active = torch.arange(len(tokens)) if rows is None else rows.nonzero().flatten()
        width = len(range(*window.indices(tokens.shape[1])))
        if not len(active) or not width:
            return torch.zeros(len(tokens), width, self.card.vocab_size)
        fed = active if self.model.skips_rows else torch.arange(len(tokens))
        logits = self._forward(tokens, window, t, fed, self._cache)
        if guidance:
            # Classifier-free guidance (LLaDA eq. 16): the second pass sees the prompt masked.
            prompt = self.canvas.visible & ~self.canvas.writable
            if self.card.mask_id is None:
                raise ValueError(
                    f"guidance masks the prompt, and {self.card.name} has no mask token; leave "
                    "guidance at 0"
                )
            blind = tokens.masked_fill(prompt, self.card.mask_id)
            free = self._forward(blind, window, t, fed, self._unconditional)
            logits = free + (1 + guidance) * (logits - free)
        logits = logits.index_fill(-1, self._banned, -torch.inf)  # a copy: the model keeps its own
        return _spread(logits if self.model.skips_rows else logits[active], active, len(tokens))

    @torch.no_grad()
    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """Logits [B, W, V] of the draft model, banned ids at -inf; other rows than `rows` hold
        zeros.

        ValueError: no draft model, or a window that is wider than its block has free columns.
        """
        active = torch.arange(len(tokens)) if rows is None else rows.nonzero().flatten()
        width = window.stop - window.start
        if self.card.draft_length and width >= self.card.draft_length:
            raise ValueError(
                f"{self.card.name} drafts at most {self.card.draft_length - 1} columns at a time, "
                f"got {width}; ask for fewer"
            )
        if not len(active) or not width:
            return torch.zeros(len(tokens), width, self.card.vocab_size)
        seen = self.canvas.visible[active]
        logits = self.model.draft(tokens[active], seen, window, self._cache, active).float()
        return _spread(logits.index_fill(-1, self._banned, -torch.inf), active, len(tokens))

    def _forward(
        self, tokens: Tensor, window: slice, t: Tensor | None, active: Tensor, cache: Any
    ) -> Tensor:
        seen = self.canvas.visible[active]
        self.columns_fed[active] += self.model.columns_computed(
            seen, window, self.block_length, cache, active
        )
        return self.model.forward(
            tokens[active], seen, window,
            None if t is None else t[active], self.block_length, cache, active,
        ).float()  # fmt: skip


def _spread(logits: Tensor, rows: Tensor, count: int) -> Tensor:
    """Logits [count, W, V] that are those given at `rows` [n], zeros elsewhere."""
    if len(rows) == count:
        return logits
    answer = logits.new_zeros(count, *logits.shape[1:])
    answer[rows] = logits
    return answer
