"""What a sampler works on and what it yields: Canvas, Step, and the Denoiser it asks.

B rows, T columns, W = window width, V = vocabulary size. Token ids int64, logits float32,
probabilities float64; t = 1 is all noise.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Canvas:
    """The columns a run may write: prompt in, masked positions open.

    tokens [B, T] (masked positions hold `mask_id`, 0 where there is none; others that are writable
    the tokens of a draft, for samplers that take one); writable [B, T] (never
    prompt, pinned text, pad or beyond the requested length); visible [B, T] (False = pad). `layout`
    says where blocks of `block_length` begin: at the end of the prompt (`prompt`), at each row's
    first token (`first`), or one block for all (`whole`).
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

    @property
    def mask(self) -> int:
        """The mask's id. ValueError where the process has no mask (uniform noise)."""
        if self.mask_id is None:
            raise ValueError("this canvas has no mask token; run a model that has one")
        return self.mask_id

    def blocks(self) -> list[slice]:
        """The windows that cover all writable columns, left to right."""
        return list(self._blocks)

    def to(self, device: torch.device) -> "Canvas":
        """The same canvas on another device. Its blocks are known by then: nothing is read back."""
        if device == self.tokens.device:
            return self
        blocks = self._blocks
        tokens, writable, visible = (
            each.to(device, non_blocking=True)
            for each in (self.tokens, self.writable, self.visible)
        )
        moved = replace(self, tokens=tokens, writable=writable, visible=visible)
        vars(moved)["_blocks"] = blocks
        return moved

    @cached_property
    def _eos(self) -> Tensor:
        return torch.tensor(self.eos_ids).to(self.tokens.device, non_blocking=True)

    @cached_property
    def _nobody(self) -> Tensor:
        return torch.zeros(len(self.tokens), dtype=torch.bool, device=self.tokens.device)

    @cached_property
    def ends(self) -> Tensor:
        """One past each row's last writable column [B]."""
        return self.tokens.shape[1] - self.writable.flip(-1).int().argmax(-1)

    def finished(self, x: Tensor, early_stop: bool = True, stop: int | None = None) -> Tensor:
        """Rows [B] where an EOS stands at a writable column with no masked position before it.

        Without `early_stop`, as samplers call the parameter, no EOS ends a row. stop: only columns
        left of it count, for what lies behind is noise.
        """
        if not self.eos_ids or not early_stop:
            return self._nobody
        eos = self.writable & self.is_eos(x)
        eos = eos[:, :stop]
        if on_cpu(x) and not bool(eos.any()):
            return self._nobody
        if self.mask_id is None:
            return eos.any(-1)
        masked = (self.writable & (x == self.mask_id))[:, :stop]
        return (eos & (masked.cumsum(-1) == 0)).any(-1)

    def is_eos(self, x: Tensor) -> Tensor:
        """Where ids (any shape) are of those that end a text."""
        if len(self.eos_ids) == 1:
            return x == self.eos_ids[0]
        # Not torch.isin, which for many ids waits for a GPU to sort them out.
        return (x[..., None] == self._eos).any(-1)

    def masked(self, x: Tensor, window: slice, frozen: Tensor | None = None) -> Tensor:
        """Writable positions [B, W] of the window that hold the mask, in rows not finished.

        `frozen` [B] replaces the rows found finished (a sampler that ends rows by its own rule).
        """
        frozen = self.finished(x) if frozen is None else frozen
        here = self._writable(window)
        if frozen is not self._nobody:
            here = here & ~frozen[:, None]
        return here & (x[:, window] == self.mask_id) if self.mask_id is not None else here & False

    def _writable(self, window: slice) -> Tensor:
        """`writable` in a window [B, W]; the same tensor for the same window."""
        key = window.start, window.stop  # a slice has no hash before Python 3.12
        if key not in self._windows:
            self._windows[key] = self.writable[:, window]
        return self._windows[key]

    @cached_property
    def _windows(self) -> dict[tuple[int, int], Tensor]:
        return {}


@dataclass(frozen=True)
class Step:
    """One change of the canvas, or one model call that changed nothing.

    tokens [B, T]; predicted [B, W] the token chosen at each position, committed or not (-1 none);
    score [B, W] what ranked positions, NaN where nothing was ranked; finished [B] the rows ended
    by a rule that tokens do not show.
    """

    tokens: Tensor
    window: slice
    predicted: Tensor | None = None
    score: Tensor | None = None
    finished: Tensor | None = None


class Denoiser(Protocol):
    """A model opened for one run: logits [B, W, V] of the tokens AT the window's columns.

    `rows` [B] are the rows that want an answer (None: all; one at least); others hold zeros and are
    not charged. Tokens, times and logits are on the device of the run's canvas.
    -inf stands at mask, pad, unused and banned ids. `t` [B] is the time of `card.schedule`.
    `draft` is there iff card.draft_length: what its draft model expects at the window's columns, of
    which it has at most draft_length - 1, from what stands left of them. `block_mode`, iff
    card.joint_length: a causal model's window is a block, whose columns see one another and what
    stands left of it. `leave_one_out`, iff card.leave_one_out: each column is answered for as if
    its own token were unknown. `previous`,
    iff card.self_conditioning: logits [B, W, V] of the call before, which the model sees too.
    `frequencies`, iff card.frequencies: how often each token occurs [V] float64, summing to 1.
    `each` asks about several canvases of every row at once, of models of full attention.
    `with_quality`, iff card.quality_head, asks also how likely each written token is right.
    `reward`, for a name of card.rewards: what whole texts [C, B, T] are worth, [C, B] float64.
    """

    card: Any

    @property
    def frequencies(self) -> Tensor: ...

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
    ) -> Tensor: ...

    def with_quality(
        self, tokens: Tensor, *, window: slice, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits as of any call, and of the same call how likely the token at each column is right
        given all others [B, W] float64; at masks it says nothing."""
        ...

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor: ...

    def each(
        self, canvases: Tensor, *, window: slice, rows: Tensor, t: Tensor | None = None
    ) -> Tensor:
        """Logits [C, B, W, V] of canvases [C, B, T], zeros off rows [C, B]; each is a call.

        What is recorded of a row is the answer to its first canvas.
        """
        ...

    def reward(self, texts: Tensor, name: str) -> Tensor: ...


def on_cpu(x: Tensor) -> bool:
    """Whether its values can be looked at for nothing, and gathered cells save work.

    A GPU would have to finish all that it was given first, so there whole arrays are computed and
    what nobody asked for is masked out.
    """
    return x.device.type == "cpu"


def any_of(*conditions: Tensor) -> list[bool]:
    """Whether each of these bool tensors holds a True: read together, for a GPU waits once."""
    return torch.stack([condition.any() for condition in conditions]).tolist()


def write(x: Tensor, window: slice, where: Tensor, ids: Tensor) -> Tensor:
    """A new canvas [B, T]: `ids` [B, W] stand where `where` [B, W] is True in the window."""
    x = x.clone()
    inside = x[:, window]
    inside.copy_(torch.where(where, ids, inside))
    return x
