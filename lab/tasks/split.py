"""Seeded draws, and which sequences are held out for good: a hash of their content tells.

So nothing that trains can ever be in what is measured, whatever the seed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

SHARE = 16  # one sequence in so many is held out


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator, a function of these numbers alone: a resumed run redraws the same."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9 % 2**63
        state ^= state >> 29
    return torch.Generator().manual_seed(state)


def held_out(ids: Tensor) -> Tensor:
    """Which of ids [N, T] are held out: one in SHARE."""
    weight = torch.randint(1, 2**31, ids.shape[1:], generator=torch.Generator().manual_seed(5))
    return ((ids + 1) * weight).sum(1) % 1_000_003 % SHARE == 0


def draw_side(draw: Callable[[int], Tensor], rows: int, held: bool, columns: int) -> Tensor:
    """Draw until `rows` sequences lie on one side of the split by their first columns."""
    parts: list[Tensor] = []
    count = 0
    while not parts or count < rows:
        part = draw((rows - count) * (SHARE if held else 1) + 16)
        part = part[held_out(part[:, :columns]) == held]
        parts.append(part)
        count += len(part)
    return torch.cat(parts)[:rows]
