"""The exact law of a sampler on a small model: every choice it can make, with its probability.

The very generator that ships is run, with noise that lists outcomes instead of drawing one. Every
random choice of a sampler passes `noise.categorical` or `noise.reveal`, or ranks positions by
uniform numbers, which is a choice of their order; at the first choice not made yet the run stops,
each row is split into one row an outcome, weighted by the kernel seen there, rows whose canvas has
become the same are joined, and the generator runs again, until no choice is left. Joining is exact
for samplers whose future depends on the canvas and the number of calls alone.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lab.study.truth import distance
from samplers.canvas import Canvas
from samplers.registry import Sampler

TINY = 1e-13  # outcomes less likely than this are left out; their sum is checked at the end
MOST_ROWS = 200_000  # canvases held at once


class NotEnumerable(ValueError):
    """The law cannot be listed here: too many canvases, or a choice without outcomes."""


class Law(NamedTuple):
    """probability [N] of the final canvases tokens [N, T], and the calls [N] each of them took."""

    tokens: Tensor
    probability: Tensor
    calls: Tensor

    @property
    def mean_calls(self) -> float:
        """The calls of a run in the mean, where they were counted apart."""
        return float((self.probability * self.calls).sum())

    def of(self, sequences: Tensor) -> Tensor:
        """The probability [M] of each of sequences [M, T]."""
        same = (sequences[:, None] == self.tokens[None]).all(-1)
        return (same * self.probability).sum(-1)

    def distance(self, sequences: Tensor, target: Tensor) -> float:
        """Total variation to the law `target` [M] on sequences [M, T]; all else counts as wrong."""
        return distance(self.of(sequences).numpy(), target.numpy()).total_variation


def exact_law(
    sampler: Sampler,
    model: Any,
    row: Sequence[int],
    *,
    count_calls: bool = False,
    join: bool = True,
    most_rows: int = MOST_ROWS,
    **values: Any,
) -> Law:
    """The law of a run of `sampler` on `model` from the canvas `row`, its mask ids to be filled.

    count_calls keeps apart rows that took different numbers of calls on the way. join: False for a
    sampler whose future depends on more than the canvas, such as a confidence that it recorded.
    NotEnumerable where the sampler asks for a plain uniform number, which has no outcomes to list,
    or where more than `most_rows` canvases would be held.
    """
    block_length = values.get("block_length")
    choices: list[Tensor] = []
    probability = torch.ones(1, dtype=torch.float64)
    while True:
        canvas = canvas_of(sampler, model, row, len(probability), block_length)
        denoise = _Counted(model.open(canvas, block_length), len(probability))
        script, tokens, settled = _Script(choices), canvas.tokens, 0
        try:
            for step in sampler(denoise, canvas, script, **values):  # type: ignore[arg-type]
                tokens, settled = step.tokens, script.used
        except _Choice as new:
            calls = denoise.calls[:, None] if count_calls else denoise.calls[:, None] * 0
            seen = torch.cat([tokens, calls, *script.choices[settled:]], 1)
            first = torch.arange(len(seen))
            if join:
                first, probability = _join(seen, probability)
            rows, outcomes, probability = _split(
                new.weights[first].double(), new.where[first], probability
            )
            if len(probability) > most_rows:
                raise NotEnumerable(
                    f"the law of {sampler.name} here has more than {most_rows} canvases; take a "
                    "smaller model, fewer steps or fewer masked positions"
                ) from None
            rows = first[rows]
            # A call that only rows now joined away had made is no longer made.
            choices = [c[rows] for c in script.choices if (c[first] >= 0).any()] + [outcomes]
        else:
            if abs(float(probability.sum()) - 1) > 1e-6:
                raise ValueError(f"the law of {sampler.name} sums to {float(probability.sum())}")
            return Law(tokens, probability, denoise.calls)


class _Choice(Exception):
    """A choice not made yet: weights [B, W, K] at the True of where [B, W]."""

    def __init__(self, weights: Tensor, where: Tensor):
        super().__init__("a new choice")
        self.weights, self.where = weights, where


class _Script:
    """Noise whose choices are given: `choices` holds one [B, W] of outcomes a call, -1 for none."""

    def __init__(self, choices: Sequence[Tensor]):
        self.choices, self.used = list(choices), 0

    def categorical(self, weights: Tensor, where: Tensor, purpose: str = "draw") -> Tensor:
        if not where.any():
            return torch.full(where.shape, -1)
        if self.used == len(self.choices):
            raise _Choice(weights, where)
        outcomes = self.choices[self.used]
        self.used += 1
        if not torch.equal(outcomes >= 0, where):
            raise NotEnumerable("the sampler depends on more than the canvas: it chose elsewhere")
        return outcomes

    def reveal(
        self,
        logits: Tensor,
        where: Tensor,
        weigh: Callable[[Tensor], Tensor],
        stay: float = 0.0,
        purpose: str = "draw",
    ) -> Tensor:
        weights = weigh(logits).double()
        opened = (1 - stay) * weights / weights.sum(-1, keepdim=True)
        nothing = torch.full_like(opened[..., :1], stay)
        outcomes = self.categorical(torch.cat([opened, nothing], -1), where, purpose)
        return outcomes.masked_fill(outcomes == weights.shape[-1], -1)

    def uniform(self, where: Tensor, purpose: str = "draw") -> Tensor:
        """Numbers that only rank positions (purpose "rank") are one of n! orders, all alike."""
        if purpose != "rank":
            raise NotEnumerable(
                f"a uniform number ({purpose}) has no outcomes to list; sample rows"
            )
        count = where.sum(-1)
        orders = [list(permutations(range(n))) for n in range(int(count.max()) + 1)]
        alike = torch.tensor([len(each) for each in orders])[count]
        weights = (torch.arange(int(alike.max())) < alike[:, None]).double()[:, None]
        outcomes = self.categorical(weights, (count > 0)[:, None], purpose)[:, 0].tolist()
        numbers = torch.full(where.shape, 0.5, dtype=torch.float64)
        for row, (n, outcome) in enumerate(zip(count.tolist(), outcomes, strict=True)):
            order = torch.tensor(orders[n][outcome], dtype=torch.float64)
            numbers[row, where[row]] = (order + 0.5) / max(n, 1)
        return numbers


class _Counted:
    """A denoiser that counts the calls each row asked for."""

    def __init__(self, denoise: Any, rows: int):
        self.denoise, self.card = denoise, denoise.card
        self.calls = torch.zeros(rows, dtype=torch.int64)

    def __call__(self, tokens: Tensor, **options: Any) -> Tensor:
        rows = options.get("rows")
        self.calls += 1 if rows is None else rows.long()
        return self.denoise(tokens, **options)

    def each(self, canvases: Tensor, **options: Any) -> Tensor:
        self.calls += options["rows"].long().sum(0)
        return self.denoise.each(canvases, **options)

    def with_quality(self, tokens: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        self.calls += options["rows"].long()
        return self.denoise.with_quality(tokens, **options)

    def reward(self, texts: Tensor, name: str) -> Tensor:
        return self.denoise.reward(texts, name)

    @property
    def frequencies(self) -> Tensor:
        return self.denoise.frequencies

    def draft(self, tokens: Tensor, **options: Any) -> Tensor:
        return self.denoise.draft(tokens, **options)


def canvas_of(
    sampler: Sampler,
    model: Any,
    row: Sequence[int],
    rows: int = 1,
    block_length: int | None = None,
) -> Canvas:
    """A canvas [rows, T] of one row's ids, its mask ids to be filled."""
    tokens = torch.tensor([list(row)]).expand(rows, -1)
    mask = model.card.mask_id
    visible = torch.ones_like(tokens, dtype=torch.bool)
    return Canvas(
        tokens, tokens == mask, visible, mask, model.card.eos_ids, sampler.layout, block_length
    )


def _join(seen: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [M] that stand for all rows that look the same, and their summed probability."""
    _, group = seen.unique(dim=0, return_inverse=True)
    count = int(group.max()) + 1
    first = torch.full((count,), len(seen)).scatter_reduce(
        0, group, torch.arange(len(seen)), "amin"
    )
    return first, torch.zeros(count, dtype=torch.float64).index_add_(0, group, probability)


def _split(weights: Tensor, where: Tensor, probability: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One row an outcome of the product over cells: parents [M], outcomes [M, W], weights [M]."""
    share = weights / weights.sum(-1, keepdim=True)
    share = torch.where(where[..., None], share, 0.0)
    nothing = (~where).double()[..., None]  # the last outcome: no choice here
    share = torch.cat([share, nothing], -1)
    rows = torch.arange(len(probability))
    outcomes = torch.zeros(len(rows), 0, dtype=torch.int64)
    for cell in range(where.shape[1]):
        each = probability[:, None] * share[rows, cell]
        parent, outcome = (each > TINY).nonzero(as_tuple=True)
        probability = each[parent, outcome]
        outcomes = torch.cat([outcomes[parent], outcome[:, None]], 1)
        rows = rows[parent]
    return rows, outcomes.masked_fill(outcomes == weights.shape[-1], -1), probability
