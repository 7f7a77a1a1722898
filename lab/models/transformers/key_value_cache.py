"""Keys and values that a network has computed: how they are handed over, and what is kept."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


def cache_argument(network: torch.nn.Module, cache: Any) -> dict[str, Any]:
    """`cache` under the name that the forward method of the network's class gives it.

    transformers calls it `cache` from 5.24 on and `past_key_values` before; classes that come
    with a checkpoint keep the name they were written with. The class is asked, not the instance,
    whose forward accelerate wraps.
    """
    new_name = "cache" in inspect.signature(type(network).forward).parameters
    return {"cache" if new_name else "past_key_values": cache}


@dataclass
class PrefixCache:
    """Keys and values of what is final, left of the window: exact, because attention there never
    looks right (block_causal, causal). `layers` hold [rows, heads, length, dim] each."""

    length: int = 0
    rows: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def select(self, rows: Tensor, start: int) -> list[tuple[Tensor, Tensor]]:
        """The prefix of these rows, or nothing where it does not hold them or reaches too far."""
        held = torch.isin(rows, self.rows).all() if self.length else False
        if not held or self.length > start:
            self.length, self.layers = 0, []
            return []
        if len(rows) == len(self.rows):
            return self.layers
        index = torch.searchsorted(self.rows, rows)
        return [(keys[index], values[index]) for keys, values in self.layers]
