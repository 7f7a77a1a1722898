"""The record of one row while its run goes on: arrays that grow, and what is new in them.

Adding a step costs that step; asking for what is new since step k costs what is new. Whatever is
handed out before the end is a copy, for the arrays move in memory as they grow.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from lab.record.draw_cells import Draws
from lab.record.history import Follower

TOP = 5  # alternatives recorded a position
# The arrays of a Trajectory with a line a step: dtype, what stands outside the window, more axes.
BY_POSITION: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "tokens": (np.int32, 0, ()),
    "confidence": (np.float32, np.nan, ()),
    "predicted": (np.int32, -1, ()),
    "entropy": (np.float32, np.nan, ()),
    "score": (np.float32, np.nan, ()),
    "top_ids": (np.int32, -1, (TOP,)),
    "top_probabilities": (np.float32, 0, (TOP,)),
}
BY_STEP = {
    "start": np.int32,
    "stop": np.int32,
    "block": np.int32,
    "calls": np.int32,
    "seconds": np.float64,
    "model_seconds": np.float64,
    "columns_fed": np.int32,
}
_HISTORY = {
    "state": np.int8,
    "committed_step": np.int32,
    "commits": np.bool_,
    "edits": np.bool_,
    "remasks": np.bool_,
}


class RecordedSteps(NamedTuple):
    """Steps since + 1 to since + n of one row, over its L columns.

    tokens, state, committed_step, confidence [n+1, L] begin with the line of step `since`, so that
    each step's changes are the differences of two lines (confidence before step 1 is NaN).
    predicted (-1 none), entropy, score [n, L], NaN outside the window; commits, edits, remasks
    [n, L] bool; top_ids and top_probabilities [n, L, 5], None where a file left them out. start,
    stop (the window), block, calls, seconds, model_seconds and columns_fed [n] are those of a
    Trajectory, from calls on cumulative from the run's beginning; columns_fed is None where a file
    left it out.

    state holds indices into history.STATES, read as if more steps may come; settled_state [L] is
    the latest line read as the last one (an EOS ends the row though noise stands before it).

    draws: those of these steps, their steps counted from the run's beginning; None where filters
    changed nothing, or a file left them out.
    """

    since: int
    tokens: ndarray
    state: ndarray
    committed_step: ndarray
    confidence: ndarray
    predicted: ndarray
    entropy: ndarray
    score: ndarray
    commits: ndarray
    edits: ndarray
    remasks: ndarray
    top_ids: ndarray | None
    top_probabilities: ndarray | None
    start: ndarray
    stop: ndarray
    block: ndarray
    calls: ndarray
    seconds: ndarray
    model_seconds: ndarray
    columns_fed: ndarray | None
    settled_state: ndarray
    draws: Draws | None = None

    def ids(self) -> set[int]:
        """Every token id of these steps: written, predicted or among the alternatives."""
        return distinct_ids(self.tokens, self.predicted, self.top_ids)


def distinct_ids(*arrays: ndarray | None) -> set[int]:
    """The ids in these arrays, -1 left out; some lines at a time, for sorting takes a copy."""
    ids: set[int] = set()
    for array in (a for a in arrays if a is not None):
        for line in range(0, len(array), 64):
            ids.update(np.unique(array[line : line + 64]).tolist())
    return ids - {-1}


class GrowingArray:
    """An array that lines are added to; reallocated in place, with an eighth to spare."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self._values = np.zeros((8, *shape), dtype)
        self.lines = 0

    def add(self, lines: ndarray | float) -> ndarray:
        """Append lines [n, ...] (a single value fills one line); the view lasts until the next."""
        more = len(lines) if isinstance(lines, np.ndarray) else 1
        end = self.lines + more
        if end > len(self._values):
            # refcheck: views of it are handed out only once nothing more is added.
            size = end + max(8, end // 8)
            self._values.resize((size, *self._values.shape[1:]), refcheck=False)
        view = self._values[self.lines : end]
        view[...] = lines
        self.lines = end
        return view

    def copy(self, start: int) -> ndarray:
        """The lines from `start` on."""
        return self._values[start : self.lines].copy()

    def first_above(self, number: int) -> int:
        """The first line whose first value is above a number, where those values ascend."""
        return int(np.searchsorted(self._values[: self.lines, 0], number, "right"))

    def whole(self) -> ndarray:
        """Every line, without a copy: nothing may be added any more."""
        self._values.resize((self.lines, *self._values.shape[1:]), refcheck=False)
        return self._values


class RowRecord:
    """One row of a run: `add` a step, ask for `steps_since`; `arrays` at the end.

    tokens, writable [L]: the row before any call; card: its model's, as a dict.
    """

    def __init__(self, tokens: ndarray, writable: ndarray, card: dict[str, Any]):
        self.writable, self.steps = writable, 0
        length = len(writable)
        self._arrays = {
            name: GrowingArray((length, *more), dtype)
            for name, (dtype, _, more) in BY_POSITION.items()
        } | {name: GrowingArray((), dtype) for name, dtype in BY_STEP.items()}
        self._arrays["tokens"].add(tokens[None])
        # Of all draws: step and position, and the alternatives' probabilities after filters.
        self._drawn = GrowingArray((2,), np.int32), GrowingArray((TOP,), np.float32)
        self._filtered = False
        self._follower = Follower(tokens.astype(np.int32), writable, card)
        self._history: dict[str, GrowingArray] | None = None

    def add(
        self, window: slice, tokens: ndarray, confidence: ndarray, numbers: dict[str, Any]
    ) -> None:
        """Append a step: tokens, confidence [L]; the rest of BY_POSITION over the window, and
        BY_STEP; after_filters over the window where a Frame has them.
        """
        self._arrays["tokens"].add(tokens[None])
        self._arrays["confidence"].add(confidence[None])
        for name, (_, fill, _) in BY_POSITION.items():
            if name in numbers:
                self._arrays[name].add(fill)[0, window] = numbers[name]
        for name in BY_STEP.keys() - {"start", "stop"}:
            self._arrays[name].add(numbers[name])
        self._arrays["start"].add(window.start)
        self._arrays["stop"].add(window.stop)
        self.steps += 1
        if (after := numbers.get("after_filters")) is not None:
            self._add_draws(window.start, after)

    def _add_draws(self, start: int, after: ndarray) -> None:
        here = np.flatnonzero(~np.isnan(after[:, 0]))
        places, probabilities = self._drawn
        places.add(np.stack([np.full_like(here, self.steps), start + here], -1))
        probabilities.add(after[here])
        self._filtered = True

    def draws(self, since: int = 0) -> Draws | None:
        """The draws of steps since + 1 and later; None where no step had any filtered."""
        if not self._filtered:
            return None
        places, probabilities = self._drawn
        first = places.first_above(since)
        step, position = places.copy(first).T
        return Draws(step, position, probabilities.copy(first))

    @property
    def tokens(self) -> ndarray:
        """The latest line [L]."""
        return self._arrays["tokens"].copy(self.steps)[0]

    def steps_since(self, since: int) -> RecordedSteps:
        """What steps since + 1 and later recorded. ValueError for a step that is yet to come."""
        if not 0 <= since <= self.steps:
            raise ValueError(f"since must be from 0 to {self.steps}, the steps so far, got {since}")
        history = self._follow()
        lines = {name: array.copy(since) for name, array in (self._arrays | history).items()}
        if since:
            lines["confidence"] = self._arrays["confidence"].copy(since - 1)
        else:
            before = np.full((1, len(self.writable)), np.nan, np.float32)
            lines["confidence"] = np.concatenate([before, lines["confidence"]])
        return RecordedSteps(
            since=since, settled_state=self._follower.settled_state().copy(),
            draws=self.draws(since), **lines,
        )  # fmt: skip

    def arrays(self, ended: bool) -> dict[str, ndarray]:
        """The arrays of a Trajectory; copies until the run has ended, then the record's own."""
        return {name: a.whole() if ended else a.copy(0) for name, a in self._arrays.items()}

    def _follow(self) -> dict[str, GrowingArray]:
        """Bring the history up to the latest step; a run that nobody watches never pays for it."""
        follower = self._follower
        if self._history is None:
            length = (len(self.writable),)
            self._history = {name: GrowingArray(length, kind) for name, kind in _HISTORY.items()}
            self._history["state"].add(follower.state[None])
            self._history["committed_step"].add(follower.committed_step[None])
        fresh = follower.steps
        if fresh < self.steps:
            tokens = self._arrays["tokens"].copy(fresh + 1)
            lines = follower.advance(tokens, self._arrays["predicted"].copy(fresh))
            for name, values in lines._asdict().items():
                self._history[name].add(values)
        return self._history
