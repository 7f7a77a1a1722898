"""Keys and values that a network has computed: how they are handed over, and what is kept."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # keys and values of a layer, [rows, heads, columns, dim] each


def cache_argument(network: torch.nn.Module, cache: Any) -> dict[str, Any]:
    """`cache` under the name that the forward method of the network's class gives it.

    transformers calls it `cache` from 5.24 on and `past_key_values` before; classes that come
    with a checkpoint keep the name they were written with. The class is asked, not the instance,
    whose forward accelerate wraps.
    """
    return {_argument(type(network).forward): cache}


@cache
def _argument(forward: Callable[..., Any]) -> str:
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


@cache
def buffered_cache() -> Any:
    """A class of transformers' caches whose layers are buffers, written in place.

    DynamicCache joins what it has with what is new, a copy of the whole prefix in every layer of
    every call. This one writes the new behind the first `length` columns and hands out a view of
    all up to there; whole: of all columns, those that were written behind it before as well.
    """
    from transformers import DynamicCache

    class BufferedCache(DynamicCache):
        def __init__(self, pairs: list[Pair], length: int, room: int, whole: bool = False):
            super().__init__()
            self.pairs, self.length, self.room, self.whole = pairs, length, room, whole

        def update(
            self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kw: Any
        ) -> Pair:
            if layer_idx == len(self.pairs):
                self.pairs.append((self._buffer(key_states), self._buffer(value_states)))
            keys, values = self.pairs[layer_idx]
            stop = self.length + key_states.shape[2]
            keys[:, :, self.length : stop] = key_states
            values[:, :, self.length : stop] = value_states
            stop = self.room if self.whole else stop
            return keys[:, :, :stop], values[:, :, :stop]

        def _buffer(self, states: Tensor) -> Tensor:
            rows, heads, _, dim = states.shape
            return states.new_empty(rows, heads, self.room, dim)

        def get_seq_length(self, layer_idx: int = 0) -> int:
            return self.length

    return BufferedCache


@dataclass
class LatestCall:
    """What the latest call of a run leaves to the next.

    The inputs that depend on its shape alone: masks are built on the CPU, and within a block every
    call has the same. computed: the columns that it computed for each of its rows, on the CPU.
    """

    computed: Tensor | None = None
    _inputs: tuple[Any, dict[str, Any]] = field(default_factory=lambda: (None, {}))

    def inputs(self, key: Any, build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `build` gives for a call of this shape, built anew only where the shape changes."""
        if self._inputs[0] != key:
            self._inputs = key, build()
        return self._inputs[1]


@dataclass
class RunCache(LatestCall):
    """What a checkpoint keeps from call to call within a run.

    Keys and values of what is final, left of the window: exact, because attention there never
    looks right (block_causal, causal). `pairs` are buffers, of whose columns the first `length` are
    final.
    """

    length: int = 0
    rows: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    pairs: list[Pair] = field(default_factory=list)
    _some: tuple[list[int], list[Pair]] = field(default_factory=lambda: ([], []))

    def open(self, rows: Tensor, start: int, room: int) -> Any:
        """The cache that the network gets: the prefix of these rows, in room for all columns.

        A prefix that does not hold them all, or reaches too far, is dropped.
        """
        held = self.length and self.length <= start and torch.isin(rows, self.rows).all()
        if not held:
            self.length, self.pairs = 0, []
        pairs = self._of(rows) if held else []
        return buffered_cache()(pairs, self.length, room)

    def keep(self, rows: Tensor, start: int, used: Any) -> None:
        """After a call: what stands left of `start` is final and was computed by then."""
        if start > used.length:
            self.length, self.rows, self.pairs, self._some = start, rows, used.pairs, ([], [])

    def _of(self, rows: Tensor) -> list[Pair]:
        """The buffers of these rows; of some of them, a copy that lasts until others are asked."""
        if len(rows) == len(self.rows):
            return self.pairs
        numbers = rows.tolist()
        if self._some[0] != numbers:
            place = torch.searchsorted(self.rows, rows)
            self._some = (
                numbers,
                [
                    (_rows(keys, place, self.length), _rows(values, place, self.length))
                    for keys, values in self.pairs
                ],
            )
        return self._some[1]


def _rows(buffer: Tensor, place: Tensor, length: int) -> Tensor:
    """These rows of a buffer, their first `length` columns filled."""
    some = buffer.new_empty(len(place), *buffer.shape[1:])
    place = place.to(buffer.device, non_blocking=True)
    some[:, :, :length] = buffer[:, :, :length][place]
    return some
