"""One training problem, and what objectives draw it from."""

from __future__ import annotations

from typing import NamedTuple

import torch

from lab.train.gidd import Divergence

T_LOW = 1e-3


class Problem(NamedTuple):
    """One training problem; loss = sum(weight * cross-entropy in loss_mask) / tokens.

    inputs [B, C] ids; positions [C]; attention [C, C] bool (row attends to column);
    loss_mask [B, C] bool; target [B, C] ids; weight [B, C] float; tokens: clean
    tokens that the loss is a mean over.
    """

    inputs: torch.Tensor
    positions: torch.Tensor
    attention: torch.Tensor
    loss_mask: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    tokens: int
    divergence: Divergence | None = None


def low_discrepancy(count: int, random: torch.Generator) -> torch.Tensor:
    """Draw [count] numbers in [0, 1), one a stratum, in random order (MDLM's antithetic t)."""
    strata = torch.randperm(count, generator=random) / count
    return (strata + torch.rand(1, generator=random)) % 1


def everything(length: int) -> torch.Tensor:
    """Full attention [length, length]."""
    return torch.ones(length, length, dtype=torch.bool)
