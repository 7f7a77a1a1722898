"""Attention is built here, never left to a model class: full, block_causal or causal, as 4-D."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lab.models.device import CPU


def allowed(
    visible: Tensor, attention: str, block_length: int | None, queries: Tensor, keys: Tensor
) -> Tensor:
    """Which keys each query sees: bool [B, 1, Q, K] for canvas columns queries [Q], keys [K].

    visible [B, K] says which keys are no pads. Blocks are counted in canvas columns, which the
    canvas lays out so that each row's first token begins a block. A pad sees itself, so that no
    softmax is empty; nothing sees a pad.
    """
    if attention == "full":
        order = torch.ones(len(queries), len(keys), dtype=torch.bool, device=queries.device)
    elif attention == "block_causal":
        if not block_length:
            raise ValueError("block_causal attention needs a block_length")
        order = (keys // block_length)[None] <= (queries // block_length)[:, None]
    else:
        order = keys[None] <= queries[:, None]
    itself = keys[None] == queries[:, None]
    return ((order & visible[:, None]) | itself)[:, None]


def additive(
    allowed: Tensor, device: torch.device = CPU, dtype: torch.dtype = torch.float32
) -> Tensor:
    """0 where allowed, the lowest float32 elsewhere, as transformers' classes take it.

    It lies on that device, in the dtype that queries have there: `dtype`, or autocast's where it is
    on.
    """
    known = torch.amp.is_autocast_available(device.type)
    if known and torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    lowest = torch.finfo(torch.float32).min
    # Loading a model beside this one changes torch's default dtype for a while.
    zeros = torch.zeros(allowed.shape, dtype=torch.float32, device=allowed.device)
    return zeros.masked_fill(~allowed, lowest).to(device, dtype, non_blocking=True)


def with_block(
    allowed: Tensor, visible: Tensor, first: int, queries: Tensor, keys: Tensor
) -> Tensor:
    """The mask [B, 1, Q, K] in which the columns from `first` on also see one another.

    queries [Q], keys [K]: canvas columns, as in `allowed`; visible [B, K]: which keys are no pads.
    """
    inside = (queries >= first)[:, None] & (keys >= first)
    return allowed | (inside & visible[:, None])[:, None]


def with_shadow(allowed: Tensor, window: slice) -> Tensor:
    """The mask [B, 1, T + W, T + W] with a copy of the window's columns behind the canvas.

    allowed [B, 1, T, T]. A copy sees itself and what its column sees but that column; nothing else
    sees it. With masks in the copies, each answers for its column as if nothing stood there (WINO,
    arXiv:2507.18578, whose copies see one another as well).
    """
    columns = torch.arange(window.start, window.stop)
    own = columns[:, None] == torch.arange(allowed.shape[-1])
    copies = torch.eye(len(columns), dtype=torch.bool).expand(*allowed.shape[:2], -1, -1)
    shadow = torch.cat([allowed[:, :, window] & ~own, copies], -1)
    return torch.cat([torch.nn.functional.pad(allowed, (0, len(columns))), shadow], -2)


def positions(visible: Tensor) -> Tensor:
    """Position ids [B, T] counted over visible columns: pads shift nothing."""
    return (visible.long().cumsum(-1) - 1).clamp(min=0)


def alike(visible: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of visible [B, T] in groups that have the same pads: row numbers [N, 1] of a group,
    and the columns [C] that are no pads in it."""
    for seen in visible.unique(dim=0):
        yield (visible == seen).all(-1).nonzero(), seen.nonzero().flatten()
