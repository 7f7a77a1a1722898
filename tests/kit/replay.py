"""Push the exact law of a run through the very generator that ships.

Every random choice of a sampler passes `noise.categorical` or `noise.reveal`. `Script` replays the
choices made so far and stops the run at the first new one; `exact_law` then splits each row into
one row an outcome, weighted by the kernel seen there, joins rows whose canvas has become the same,
and runs the generator again, until no choice is left. Joining is exact for samplers whose future
depends on the canvas and the number of calls alone; `join=False` leaves it out for the others.
"""

from typing import NamedTuple

import torch

from samplers.canvas import Canvas

TINY = 1e-13  # outcomes less likely than this are left out; their sum is checked at the end


class Frontier(Exception):
    """A choice that no script foresees: weights [B, W, K] at the True of where [B, W]."""

    def __init__(self, weights, where):
        super().__init__("a new choice")
        self.weights, self.where = weights, where


class Script:
    """Noise whose choices are given: `choices` holds one [B, W] of outcomes a call, -1 for none."""

    def __init__(self, choices):
        self.choices, self.used = list(choices), 0

    def categorical(self, weights, where, purpose="draw"):
        if not where.any():
            return torch.full(where.shape, -1)
        if self.used == len(self.choices):
            raise Frontier(weights, where)
        outcomes = self.choices[self.used]
        self.used += 1
        assert torch.equal(outcomes >= 0, where), "the replay asks for other choices than before"
        return outcomes

    def reveal(self, logits, where, weigh, stay=0.0, purpose="draw"):
        weights = weigh(logits).double()
        opened = (1 - stay) * weights / weights.sum(-1, keepdim=True)
        nothing = torch.full_like(opened[..., :1], stay)
        outcomes = self.categorical(torch.cat([opened, nothing], -1), where, purpose)
        return outcomes.masked_fill(outcomes == weights.shape[-1], -1)

    def uniform(self, where, purpose="draw"):
        raise AssertionError(f"a uniform ({purpose}) has no outcomes to list")


class Counted:
    """A denoiser that counts the calls each row asked for."""

    def __init__(self, denoise, rows):
        self.denoise, self.card = denoise, denoise.card
        self.calls = torch.zeros(rows, dtype=torch.int64)

    def __call__(self, tokens, **options):
        rows = options.get("rows")
        self.calls += 1 if rows is None else rows.long()
        return self.denoise(tokens, **options)

    def draft(self, tokens, **options):
        return self.denoise.draft(tokens, **options)


class Law(NamedTuple):
    """probability [N] of final canvases tokens [N, T], and how many calls [N] each took."""

    tokens: torch.Tensor
    probability: torch.Tensor
    calls: torch.Tensor

    def distance(self, sequences, target):
        """Total variation to the law `wanted` [M] on sequences [M, T]; all else counts as wrong."""
        mine = self.of(sequences)
        return float((mine - target).abs().sum() + 1 - mine.sum()) / 2

    def of(self, sequences):
        """The probability [M] of each of sequences [M, T]."""
        same = (sequences[:, None] == self.tokens[None]).all(-1)
        return (same * self.probability).sum(-1)


def canvas_of(sampler, model, row, rows=1, block_length=None):
    """A canvas [rows, T] of one row's ids; its masks are the masked positions."""
    tokens = torch.tensor([row]).expand(rows, -1)
    mask = model.card.mask_id
    return Canvas(
        tokens, tokens == mask, torch.ones_like(tokens, dtype=torch.bool), mask,
        model.card.eos_ids, sampler.layout, block_length,
    )  # fmt: skip


def exact_law(sampler, model, row, count_calls=False, join=True, **values) -> Law:
    """The exact law of a run of `sampler` from the canvas `row`, at these parameter values.

    count_calls: keep apart rows that took different numbers of calls on the way. join: False for a
    sampler whose future depends on more than the canvas, such as a confidence that it recorded.
    """
    block_length = values.get("block_length")
    choices, probability = [], torch.ones(1, dtype=torch.float64)
    while True:
        canvas = canvas_of(sampler, model, row, len(probability), block_length)
        denoise = Counted(model.open(canvas, block_length), len(probability))
        script, tokens, settled = Script(choices), canvas.tokens, 0
        try:
            for step in sampler(denoise, canvas, script, **values):
                tokens, settled = step.tokens, script.used
        except Frontier as new:
            calls = denoise.calls[:, None] if count_calls else denoise.calls[:, None] * 0
            seen = torch.cat([tokens, calls, *script.choices[settled:]], 1)
            first = torch.arange(len(seen))
            if join:
                first, probability = _join(seen, probability)
            rows, outcomes, probability = _split(
                new.weights[first].double(), new.where[first], probability
            )
            rows = first[rows]
            # A call that only rows now joined away had asked for is no longer made.
            choices = [c[rows] for c in script.choices if (c[first] >= 0).any()] + [outcomes]
        else:
            assert abs(float(probability.sum()) - 1) < 1e-6, "law lost mass"
            return Law(tokens, probability, denoise.calls)


def _join(seen, probability):
    """Rows [M] that stand for all rows that look the same, and their summed probability."""
    _, group = seen.unique(dim=0, return_inverse=True)
    count = int(group.max()) + 1
    first = torch.full((count,), len(seen)).scatter_reduce(
        0, group, torch.arange(len(seen)), "amin"
    )
    return first, torch.zeros(count, dtype=torch.float64).index_add_(0, group, probability)


def _split(weights, where, probability):
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
