"""What is kept for visitors, and how much a visitor may ask for: nobody can push out another's."""

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
HOUR = 3600.0


class _Place(NamedTuple, Generic[T]):
    value: T
    visitor: Hashable
    time: float


class Shelf(Generic[T]):
    """Values by their names, of a size in all, each for a time.

    Where they are too large together, whoever holds most loses the oldest, down to one value in
    all. size(value) is asked each time, for what is kept may grow.
    """

    def __init__(
        self,
        most: float,
        seconds: float = math.inf,
        size: Callable[[T], float] = lambda value: 1.0,
    ):
        self.most, self.seconds, self._size = most, seconds, size
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place[T]] = OrderedDict()  # the oldest first

    def put(self, name: str, value: T, visitor: Hashable) -> list[T]:
        """Keep a value in place of the one of that name; what had to go for it."""
        with self._lock:
            self._places.pop(name, None)
            self._places[name] = _Place(value, visitor, monotonic())
        return self.trim()

    def get(self, name: str) -> T | None:
        """The value of that name; None where it is not kept."""
        with self._lock:
            place = self._places.get(name)
        return None if place is None else place.value

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        with self._lock:
            self._places.pop(name, None)

    def items(self) -> Iterator[tuple[str, T]]:
        """Names and values, the oldest first."""
        with self._lock:
            return iter([(name, place.value) for name, place in self._places.items()])

    def trim(self) -> list[T]:
        """Give up what is too old or too much, and return it."""
        with self._lock:
            now, places = monotonic(), self._places
            old = [name for name, place in places.items() if now - place.time > self.seconds]
            lost = [places.pop(name).value for name in old]
            held: Counter[Hashable] = Counter()
            for place in places.values():
                held[place.visitor] += self._size(place.value)  # type: ignore[assignment]
            while held.total() > self.most and len(places) > 1:
                most = max(held, key=lambda visitor: held[visitor])
                name = next(name for name, place in places.items() if place.visitor == most)
                held[most] -= self._size(places[name].value)  # type: ignore[assignment]
                lost.append(places.pop(name).value)
        return lost


class Hourly:
    """How much was taken in the last hour, by each visitor and by all; verb: `uploaded`.

    count: how often a visitor may; each, everyone: bytes.
    """

    def __init__(self, verb: str, count: int, each: int, everyone: int):
        self._verb, self.count, self.each, self.everyone = verb, count, each, everyone
        self._lock = threading.Lock()
        self._sizes: dict[Hashable, deque[tuple[float, int]]] = {}

    def refusal(self, visitor: Hashable, size: int) -> str:
        """Why a visitor may not take so much, "" where it is counted and goes on."""
        with self._lock:
            now = monotonic()
            for name, sizes in list(self._sizes.items()):
                while sizes and now - sizes[0][0] > HOUR:
                    sizes.popleft()
                if not sizes:
                    del self._sizes[name]
            mine = self._sizes.get(visitor, deque())
            if len(mine) >= self.count:
                return f"at most {self.count} files an hour may be {self._verb}; wait a while"
            if sum(bytes_ for _, bytes_ in mine) + size > self.each:
                mega = self.each // 1_000_000
                return f"at most {mega:,} MB an hour may be {self._verb}; wait a while"
            everyone = sum(bytes_ for sizes in self._sizes.values() for _, bytes_ in sizes)
            if everyone + size > self.everyone:
                return f"too much was {self._verb} in the last hour; try again later"
            self._sizes.setdefault(visitor, mine).append((now, size))
        return ""
