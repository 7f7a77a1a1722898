"""Any callable or module as a Model: plain `f(tokens, t)`, or one that returns `.logits`."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lab.models.attention import additive, alike, allowed, positions
from lab.models.device import CPU, known_device
from lab.models.model import Model, ModelCard
from lab.models.rewards import rewards_of


class Wrapped(Model):
    """A callable under a card. It never sees a pad column, nor (block_causal, causal) a later one.

    A module whose forward takes `attention_mask` gets a 4-D additive mask of the card's attention
    and `position_ids` if it takes them; any other callable gets tokens and, if it takes a second
    argument, t [B]. The answer is [B, columns, V], or an object with it as `.logits`.
    It gets every row at every call, so that one that tells rows by their number may be wrapped.
    """

    skips_rows = False
    own_reward: Callable[[Tensor], Tensor] | None = None
    own_quality: "Wrapped | None" = None  # one number a column, in place of logits

    def __init__(
        self,
        function: Callable[..., Any],
        card: ModelCard,
        tokenizer: Any = None,
        draft_model: Callable[..., Any] | None = None,
        device: torch.device | None = None,
        leave_one_out: Callable[..., Any] | None = None,
        block_mode: Callable[..., Any] | None = None,
    ):
        self._device = device
        self.function, self.card, self.tokenizer = function, card, tokenizer
        # What fills a block looks both ways within it, and at nothing right of the window.
        both_ways = replace(card, attention="full")
        self.draft_model = draft_model and Wrapped(draft_model, both_ways, device=device)
        self.block = block_mode and Wrapped(block_mode, both_ways, device=device)
        self.without_own = leave_one_out and Wrapped(leave_one_out, card, device=device)
        call = function.forward if isinstance(function, torch.nn.Module) else function
        names = inspect.signature(call).parameters
        self._takes = set(names)
        self._timed = len([p for p in names.values() if p.kind is not p.KEYWORD_ONLY]) > 1

    @property
    def device(self) -> torch.device:
        """Where the function takes tokens; a module says so by its parameters."""
        if self._device is None and isinstance(self.function, torch.nn.Module):
            return next((each.device for each in self.function.parameters()), CPU)
        return self._device or CPU

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
        ahead = self.card.attention in ("block_causal", "causal")
        stop = window.stop if ahead else tokens.shape[1]
        tokens, visible = tokens[:, :stop], visible[:, :stop]
        shape = len(tokens), window.stop - window.start, self.card.vocab_size
        answer = torch.zeros(shape, dtype=torch.float32, device=tokens.device)
        # Rows with the same pads go together, their pads cut away: invisible by construction.
        for same, columns in alike(visible):
            rows, places = self._there(same), self._there(columns)
            logits = self._call(tokens[rows, places], None if t is None else t[rows[:, 0]],
                                places, block_length)  # fmt: skip
            inside = ((columns >= window.start) & (columns < window.stop)).nonzero().flatten()
            here = self._there(columns[inside] - window.start)
            answer[rows, here] = logits[:, self._there(inside)].to(tokens.device).float()
        return answer

    def _there(self, x: Tensor) -> Tensor:
        return x.to(self.device, non_blocking=True)

    def draft(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        if self.draft_model is None:
            return super().draft(tokens, visible, window, cache, rows)
        tokens, visible = tokens[:, : window.stop], visible[:, : window.stop]
        return self.draft_model.forward(tokens, visible, window, None, None, None, rows)

    def block_mode(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        if self.block is None:
            return super().block_mode(tokens, visible, window, cache, rows)
        tokens, visible = tokens[:, : window.stop], visible[:, : window.stop]
        return self.block.forward(tokens, visible, window, None, None, None, rows)

    def leave_one_out(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        if self.without_own is None:
            return super().leave_one_out(tokens, visible, window, cache, rows)
        return self.without_own.forward(tokens, visible, window, None, None, None, rows)

    def with_quality(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.own_quality is None:
            return super().with_quality(tokens, visible, window, cache, rows)
        what = tokens, visible, window, None, None, None, rows
        return self.forward(*what), self.own_quality.forward(*what)[..., 0]

    def reward(self, texts: Tensor, name: str) -> Tensor:
        if self.own_reward is None:
            return super().reward(texts, name)
        worth = torch.as_tensor(self.own_reward(texts), dtype=torch.float64)
        if worth.shape != texts.shape[:1] or not bool(worth.isfinite().all()):
            raise ValueError(
                f"the reward of {self.card.name} must be {len(texts)} finite numbers, one a text, "
                f"got shape {list(worth.shape)}"
            )
        return worth

    def _call(
        self, tokens: Tensor, t: Tensor | None, columns: Tensor, block_length: int | None
    ) -> Tensor:
        if "attention_mask" in self._takes:
            seen = torch.ones_like(tokens, dtype=torch.bool)
            mask = allowed(seen, self.card.attention, block_length, columns, columns)
            extra = {"position_ids": positions(seen)} if "position_ids" in self._takes else {}
            out = self.function(tokens, attention_mask=additive(mask, tokens.device), **extra)
        else:
            out = self.function(tokens, t) if self._timed else self.function(tokens)
        logits = getattr(out, "logits", out)
        expected = (*tokens.shape, self.card.vocab_size)
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"{self.card.name} must answer with logits of shape {expected} (rows, columns, "
                f"card.vocab_size), got {shape}"
            )
        return logits


def wrap(
    function: Callable[..., Any],
    card: ModelCard | None = None,
    tokenizer: Any = None,
    draft_model: Callable[..., Any] | None = None,
    device: str | torch.device | None = None,
    leave_one_out: Callable[..., Any] | None = None,
    frequencies: Sequence[float] | Tensor | None = None,
    reward: Callable[[Tensor], Tensor] | None = None,
    quality: Callable[[Tensor], Tensor] | None = None,
    block_mode: Callable[..., Any] | None = None,
) -> Model:
    """Make a Model of a callable `f(tokens [B, T], t [B] | None)` or of a module with `.logits`.

    card: required; what samplers need to know of it. draft_model: such a callable as well, for a
    card with a draft_length. It sees the verified text and masks after it, and its answer counts at
    the masks; any draft model leaves the distribution as it is. device: where it takes tokens and
    times, and the whole run then is; None: where its parameters are, the CPU without any.
    leave_one_out: such a callable as well, whose answer at a column does not know the token there;
    the card then says so. frequencies: how often each token occurs [vocab_size], any scale. reward:
    what texts [N, L] of ids are worth [N], as "score"; None: what a task named by the card gives.
    quality: of tokens [B, T], how likely each is right given all others [B, T], from 0 to 1.
    block_mode: such a callable as well, for a causal card with a joint_length. It sees the text up
    to the end of a window, masks among it, and its answer counts within. ValueError for what does
    not fit.
    """
    _check_callables(
        function=function, draft_model=draft_model, leave_one_out=leave_one_out, reward=reward,
        quality=quality, block_mode=block_mode,
    )  # fmt: skip
    card = _checked(card, draft_model, block_mode)
    card = replace(
        card, leave_one_out=leave_one_out is not None, frequencies=frequencies is not None,
        rewards=rewards_of(card.task) if reward is None else ("score",),
        quality_head=quality is not None,
        joint_length=None if block_mode is None else card.joint_length,
    )  # fmt: skip
    place = None if device is None else known_device(device)
    model = Wrapped(function, card, tokenizer, draft_model, place, leave_one_out, block_mode)
    model.own_reward = reward
    if quality is not None:
        model.own_quality = judging(quality, card, place)
    if frequencies is not None:
        shares = _shares(frequencies, card.vocab_size)
        model.counted = lambda: shares
    return model


def _check_callables(**values: Any) -> None:
    """ValueError for a value that cannot be called; all but the function may be None."""
    for name, value in values.items():
        if not callable(value) and (value is not None or name == "function"):
            raise ValueError(f"wrap needs a callable as {name}, got {type(value).__name__}")


def _checked(card: Any, draft_model: Any, block_mode: Any) -> ModelCard:
    """The card itself. ValueError where it is none, or not one of such a callable."""
    if card is None:
        raise ValueError(
            "wrap needs a card, which says what the callable is: lab.wrap(f, lab.ModelCard(name, "
            'vocab_size, mask_id=..., attention="full"))'
        )
    if not isinstance(card, ModelCard):
        raise ValueError(f"wrap needs a lab.ModelCard, got {type(card).__name__}")
    if (draft_model is None) != (card.draft_length is None):
        raise ValueError(
            f"a draft model and card.draft_length go together, got {draft_model!r} and "
            f"{card.draft_length!r}; give both or neither"
        )
    if block_mode is not None and (card.joint_length is None or card.attention != "causal"):
        raise ValueError(
            "a block mode goes with a card of causal attention and a joint_length, the longest "
            f"block, got {card.attention} and {card.joint_length!r}; correct the card"
        )
    return card


def judging(
    quality: Callable[[Tensor], Tensor], card: ModelCard, device: torch.device | None
) -> Wrapped:
    """A callable [B, T] -> [B, T] as one that gives each column one number."""

    def answer(tokens: Tensor) -> Tensor:
        values = quality(tokens)
        if not isinstance(values, Tensor) or values.shape != tokens.shape:
            shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the quality of {card.name} must be numbers of shape {list(tokens.shape)} (rows, "
                f"columns), got {shape}"
            )
        return values[..., None]

    return Wrapped(answer, replace(card, vocab_size=1), device=device)


def _shares(values: Any, size: int) -> Tensor:
    """Frequencies [size] that sum to 1. ValueError where they are none."""
    shares = torch.as_tensor(values, dtype=torch.float64).detach().clone()
    fits = shares.shape == (size,) and bool((shares.isfinite() & (shares >= 0)).all())
    if not fits or not float(shares.sum()) > 0:
        raise ValueError(
            f"frequencies must be {size} numbers of at least 0 (card.vocab_size), not all 0, got "
            f"shape {list(shares.shape)}; leave them out where they are not known"
        )
    return shares / shares.sum()
