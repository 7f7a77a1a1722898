"""The nucleus: the most likely tokens that hold a share of the mass (top-p)."""

import torch
from torch import Tensor

from .canvas import on_cpu
from .noise import total

BUCKETED = 16_384  # a vocabulary of which a CPU counts a histogram before it sorts


def nucleus(weights: Tensor, top_p: float, rule: str) -> Tensor:
    """The weights [..., V] of the nucleus, 0 elsewhere."""
    mass_of_all = total(weights)[..., None]
    if on_cpu(weights) and weights.shape[-1] >= BUCKETED and weights.dtype == torch.float32:
        rows = zip(weights.view(-1, weights.shape[-1]), mass_of_all.view(-1).tolist(), strict=True)
        each = [_of_one(row, mass, top_p, rule) for row, mass in rows]
        return torch.stack(each).view(weights.shape) if each else weights
    # Sorting a whole vocabulary costs more than the model: 256 nearly always hold the mass. To ask
    # whether they do would make a GPU wait, and it sorts quickly.
    sizes = (min(256, weights.shape[-1]), weights.shape[-1])
    for size in sizes if on_cpu(weights) else sizes[1:]:
        top, ids = weights.topk(size, dim=-1)
        mass = top.double().cumsum(-1) / mass_of_all
        if not on_cpu(weights) or bool((mass[..., -1] > top_p).all()):
            break
    inside = mass <= top_p if rule == "drop_crossing" else mass - top / mass_of_all <= top_p
    inside[..., 0] = True
    return torch.zeros_like(weights).scatter_(-1, ids, top * inside)


def _of_one(weights: Tensor, mass_of_all: float, top_p: float, rule: str) -> Tensor:
    """The weights [V] float32 of the nucleus, 0 elsewhere, the lower ids of a tie first.

    The upper half of a positive float's bits orders it coarsely. A histogram of them says in which
    bucket the mass crosses top_p, and only that one is sorted.
    """
    keys = weights.view(torch.int32) >> 16
    mass = torch.bincount(keys, weights.double()).flip(0)
    downward, last = mass.cumsum(0), len(mass) - 1
    crossing = int((downward <= top_p * mass_of_all).sum())
    if crossing > last:  # by rounding alone
        return weights
    there = (keys == last - crossing).nonzero()[:, 0]
    tokens, order = weights[there].sort(descending=True, stable=True)
    share = (downward[crossing] - mass[crossing] + tokens.double().cumsum(0)) / mass_of_all
    taken = share <= top_p if rule == "drop_crossing" else share - tokens / mass_of_all <= top_p
    taken[0] |= crossing == 0  # the most likely token is always inside
    result = weights * (keys > last - crossing)
    result[there[order[taken]]] = tokens[taken]
    return result
