"""Any callable or module as a Model: plain `f(tokens, t)`, or one that returns `.logits`."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .attention import additive, allowed, positions
from .model import Model, ModelCard


class Wrapped(Model):
    """A callable under a card. It never sees a pad column, nor (block_causal, causal) a later one.

    A module whose forward takes `attention_mask` gets a 4-D additive mask of the card's attention
    and `position_ids` if it takes them; any other callable gets tokens and, if it takes a second
    argument, t [B]. The answer is [B, columns, V], or an object with it as `.logits`.
    It gets every row at every call, so that one that tells rows by their number may be wrapped.
    """

    skips_rows = False

    def __init__(self, function: Callable[..., Any], card: ModelCard, tokenizer: Any = None):
        self.function, self.card, self.tokenizer = function, card, tokenizer
        call = function.forward if isinstance(function, torch.nn.Module) else function
        names = inspect.signature(call).parameters
        self._takes = set(names)
        self._timed = len([p for p in names.values() if p.kind is not p.KEYWORD_ONLY]) > 1

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
        width = window.stop - window.start
        answer = torch.zeros(len(tokens), width, self.card.vocab_size)
        # Rows with the same pads go together, their pads cut away: invisible by construction.
        for seen in visible.unique(dim=0):
            same = (visible == seen).all(-1)
            columns = seen.nonzero().flatten()
            logits = self._call(tokens[same][:, columns], None if t is None else t[same],
                                columns, block_length)  # fmt: skip
            inside = (columns >= window.start) & (columns < window.stop)
            picked = torch.zeros(int(same.sum()), width, self.card.vocab_size)
            picked[:, columns[inside] - window.start] = logits[:, inside].float()
            answer[same] = picked
        return answer

    def _call(
        self, tokens: Tensor, t: Tensor | None, columns: Tensor, block_length: int | None
    ) -> Tensor:
        if "attention_mask" in self._takes:
            seen = torch.ones_like(tokens, dtype=torch.bool)
            mask = allowed(seen, self.card.attention, block_length, columns, columns)
            extra = {"position_ids": positions(seen)} if "position_ids" in self._takes else {}
            out = self.function(tokens, attention_mask=additive(mask), **extra)
        else:
            out = self.function(tokens, t) if self._timed else self.function(tokens)
        logits = getattr(out, "logits", out)
        wanted = (*tokens.shape, self.card.vocab_size)
        if not isinstance(logits, Tensor) or tuple(logits.shape) != wanted:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"{self.card.name} must answer with logits of shape {wanted} (rows, columns, "
                f"card.vocab_size), got {found}"
            )
        return logits


def wrap(function: Callable[..., Any], card: ModelCard, tokenizer: Any = None) -> Model:
    """Make a Model of a callable `f(tokens [B, T], t [B] | None)` or of a module with `.logits`."""
    if not callable(function):
        raise ValueError(f"wrap needs a callable, got {type(function).__name__}")
    if not isinstance(card, ModelCard):
        raise ValueError(f"wrap needs a lab.ModelCard, got {type(card).__name__}")
    return Wrapped(function, card, tokenizer)
