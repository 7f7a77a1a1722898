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
        self.sequences, self.logs = sequences, weights.log()

    def cells(self, columns: int) -> int:
        """Every sequence some times, and each token at each column as it is summed and answered."""
        return 4 * len(self.sequences) + 2 * columns * self.size

    def scores(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice,
        own: bool,
    ) -> Tensor:  # fmt: skip
        """Log of the weight of the sequences with v at the column.

        A column's own evidence depends on its token alone, so it is taken out of a sum over
        sequences as a whole. Where it is certain (spread 0) nothing is left to divide by: a
        sequence that contradicts one certain column, and no other, counts at that column.
        """
        place = (visible.cumsum(-1) - 1).clamp(min=0)
        certain, doubtful = (keep > 0) & (spread == 0), (keep > 0) & (spread > 0)
        gain = torch.where(doubtful, (keep + spread).log() - spread.log(), 0.0)
        logs = self.logs[:, None] + self._sums(tokens, place, gain)
        missed = certain.sum(-1) - self._sums(tokens, place, certain.double())
        scores = self._columns(torch.where(missed == 0, logs, -torch.inf), place[:, window])
        if own:
            return scores
        same = torch.arange(self.size) == tokens[:, window, None]
        scores = scores - torch.where(same, gain[:, window, None], 0.0)
        changed = certain[:, window, None] & ~same
        if not bool(changed.any()):
            return scores
        near = self._columns(torch.where(missed == 1, logs, -torch.inf), place[:, window])
        return torch.where(changed, near, scores)

    def _sums(self, tokens: Tensor, place: Tensor, worth: Tensor) -> Tensor:
        """What a row's tokens are worth to each sequence that has them too [N, B]."""
        rows, columns = worth.nonzero(as_tuple=True)
        places, ids = place[rows, columns], tokens[rows, columns]
        total = torch.zeros(len(self.sequences), len(tokens), dtype=torch.float64)
        each = torch.zeros(self.size, len(tokens), dtype=torch.float64)
        for i in places.unique().tolist():
            here = places == i
            known = ids[here], rows[here]
            each[known] = worth[rows[here], columns[here]]
            total += each.index_select(0, self.sequences[:, i])
            each[known] = 0
        return total

    def _columns(self, logs: Tensor, places: Tensor) -> Tensor:
        """Log of the sums [B, W, V] of exp(logs [N, B]) over the sequences with v at a place."""
        top = logs.amax(0)
        top = torch.where(top == -torch.inf, 0.0, top)
        shares = (logs - top).exp()
        first, last = int(places.min()), int(places.max())
        sums = torch.zeros(last - first + 1, self.size, logs.shape[1], dtype=torch.float64)
        for i in range(first, last + 1):
            sums[i - first].index_add_(0, self.sequences[:, i], shares)
        answers = (sums.log_() + top).permute(2, 0, 1)
        return answers.gather(1, (places - first)[..., None].expand(-1, -1, self.size))
