"""The table: the exact denoiser of an explicit list of sequences with weights.

Its posterior is the mixture of the sequences that the canvas still allows, each weighted by how
well it explains the visible tokens. Where none is possible (a half-written mistake), and only
there, a token noise of 1e-3 answers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lab.models.exact.base import Exact, describe, distribution
from lab.models.model import Model, ModelCard


def table(
    sequences: Any,
    weights: Any = None,
    *,
    corruption: str = "absorbing",
    posterior: str = "full",
    p_uniform: float = 0.1,
    vocabulary: Sequence[str] | None = None,
    eos_id: int | None = None,
    draft_length: int | None = None,
) -> Model:
    """Make the exact denoiser of the list `sequences` [N, T] of token ids with `weights` [N].

    Token ids 0..V-1 (V: the vocabulary's size, or the largest id + 1), mask id V, logits = log
    posterior [B, W, V+1]. weights sum to 1; None: all the same. The other keywords are those of
    `oracle`. ValueError: rule, value, way out.
    """
    try:
        rows = torch.as_tensor(sequences)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"sequences must be one array [N, T]; pad them alike ({error})") from None
    if rows.dim() != 2 or not rows.numel():
        raise ValueError(f"sequences must have shape [N, T], got {list(rows.shape)}")
    if rows.dtype.is_floating_point or rows.dtype in (torch.bool, torch.complex64):
        raise ValueError(f"sequences must hold whole token ids, got {rows.dtype}")
    rows = rows.long().clone()
    size = int(rows.max()) + 1 if vocabulary is None else len(vocabulary)
    if int(rows.min()) < 0 or int(rows.max()) >= size:
        raise ValueError(
            f"sequences must hold ids from 0 to {size - 1}, got {int(rows.min())} to "
            f"{int(rows.max())}; name every id in vocabulary"
        )
    count = len(rows)
    shares = torch.full((count,), 1 / count) if weights is None else weights
    shares = distribution("weights", shares, (count,))
    card, words = describe(
        "table", size, rows.shape[1], corruption, posterior, p_uniform, vocabulary, eos_id,
        draft_length,
    )  # fmt: skip
    return Table(card, words, rows, shares)


class Table(Exact):
    """Sequences [N, T] with weights [N]."""

    def __init__(
        self, card: ModelCard, words: Sequence[str] | None, sequences: Tensor, weights: Tensor
    ):
        super().__init__(card, words)
        self.sequences, self.weights = sequences, weights

    def cells(self, columns: int) -> int:
        """Every sequence at every column."""
        return columns * len(self.sequences) * 2

    def others(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice
    ) -> Tensor:
        """Log of the weight of the sequences with v at the column, its own evidence left out."""
        place = (visible.cumsum(-1) - 1).clamp(min=0)
        listed = self.sequences.T[place]  # [B, T, N]: what each sequence has at each column
        own = (keep[..., None] * (listed == tokens[..., None]) + spread[..., None]).log()
        # Sums of -inf cannot be undone by subtraction, so impossible cells are counted apart.
        never = own == -torch.inf
        own = torch.where(never, 0.0, own)
        total = self.weights.log() + own.sum(1)
        without = total[:, None] - own[:, window]
        others_never = never.sum(1)[:, None] - never[:, window].long()
        without = torch.where(others_never > 0, -torch.inf, without)
        return _log_scatter(without, listed[:, window], self.size)


def _log_scatter(logs: Tensor, ids: Tensor, size: int) -> Tensor:
    """Log of the sums [B, W, size] of exp(logs [B, W, N]) that share an id."""
    empty = torch.full((*ids.shape[:2], size), -torch.inf, dtype=torch.float64)
    top = empty.scatter_reduce(-1, ids, logs, "amax")
    top = torch.where(top == -torch.inf, 0.0, top)
    shares = (logs - top.gather(-1, ids)).exp()
    return torch.zeros_like(empty).scatter_add_(-1, ids, shares).log() + top
