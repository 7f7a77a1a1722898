"""Keys and values of a network of full attention, kept while a block is filled.

Fast-dLLM's dual cache (arXiv:2505.22618): what stands outside of a block, left and right of it, is
read at the block's first call and not again before the next block. An approximation of the model,
for what was read then has not seen what the block holds by now.
"""

from copy import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lab.models.errors import ModelError
from lab.models.model import Model
from lab.models.transformers.key_value_cache import LatestCall, Pair

NOTE = (
    "its answers are approximate: what stands outside of a block is read at the block's first call "
    "alone (dual cache)"
)


@dataclass(eq=False)
class WholeCall:
    """Rows that were read whole: their tokens [n, T], and keys and values of every column."""

    tokens: Tensor
    pairs: list[Pair]


Place = tuple[WholeCall, int]


@dataclass
class DualCache(LatestCall):
    """What a run keeps of each row: the latest call that read it whole, and its place there.

    columns: what later calls feed, and write over what was read of it. They may do so as long as no
    other token has changed, which is asked for each row by itself: none is answered otherwise
    because of its neighbours. From block to block rows go together.
    """

    columns: slice | None = None
    calls: dict[int, Place] = field(default_factory=dict)
    _beside: tuple[list[Place], list[Pair]] = field(default_factory=lambda: ([], []))

    def holds(self, rows: Tensor, tokens: Tensor, columns: slice) -> Tensor:
        """Which rows [n] of tokens [n, T] need to be read at these columns alone: bool [n], on the
        CPU. `rows` are their numbers in the run, of which one may come twice."""
        numbers, held = rows.tolist(), torch.zeros(len(rows), dtype=torch.bool)
        known = [i for i, row in enumerate(numbers) if row in self.calls]
        if columns == self.columns and known:
            entries = [self.calls[numbers[i]] for i in known]
            before = torch.stack([call.tokens[place] for call, place in entries])
            same = tokens[torch.tensor(known).to(tokens.device, non_blocking=True)] == before
            same[:, columns] = True
            held[known] = same.all(-1).cpu()
        return held

    def keep(self, rows: Tensor, tokens: Tensor, columns: slice, pairs: list[Pair]) -> None:
        """After a call that read these rows whole; what belongs to another block is let go."""
        call = WholeCall(tokens.clone(), pairs)
        others = self.calls if columns == self.columns else {}
        new = {row: (call, place) for place, row in enumerate(rows.tolist())}
        self.columns, self.calls, self._beside = columns, {**others, **new}, ([], [])

    def pairs(self, rows: Tensor) -> list[Pair]:
        """Keys and values of these rows, which the call may write over at its columns.

        Where they are not all that were read together, a copy that lasts until others are asked.
        """
        entries = [self.calls[row] for row in rows.tolist()]
        first = entries[0][0]
        if entries == [(first, place) for place in range(len(first.tokens))]:
            return first.pairs
        if self._beside[0] != entries:
            each = [
                [(keys[place], values[place]) for keys, values in call.pairs]
                for call, place in entries
            ]
            layers = [
                (
                    torch.stack([keys for keys, _ in layer]),
                    torch.stack([values for _, values in layer]),
                )
                for layer in zip(*each, strict=True)
            ]
            self._beside = entries, layers
        return self._beside[1]


def check_dual_cache(name: str, attention: str, decoder: bool) -> None:
    """ModelError where a model of that attention, a causal-LM class or not, cannot have one."""
    if attention in ("block_causal", "causal"):
        raise ModelError(
            f"dual_cache is for full attention, {name} has {attention}: what stands left of a "
            "block is kept there anyway, and exactly; leave dual_cache out"
        )
    if not decoder:
        raise ModelError(
            "dual_cache needs a causal-LM class that was trained with full attention (LLaDA, "
            f"Dream, the lab's own), {name} is none; leave dual_cache out"
        )


def with_dual_cache(model: Model) -> Model:
    """The same network under a card and a name that say that its answers are approximate.

    ModelError as `check_dual_cache`.
    """
    from lab.models.transformers.checkpoint import Checkpoint

    card = model.card
    check_dual_cache(card.name, card.attention, isinstance(model, Checkpoint))
    other = copy(model)
    other.card = replace(card, name=f"{card.name} (approximate dual cache)", dual_cache=True)
    other.note = "; ".join(filter(None, (model.note, NOTE)))
    return other
