"""The record of a run, and what follows from it by arithmetic; replays with no model."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy import ndarray

from lab.record.draw_cells import Draws
from lab.record.history import STATES, History, follow
from lab.record.row_record import BY_POSITION, BY_STEP, RecordedSteps

SCHEMA = 2  # 1: before `filled`, with the columns `suite` and `guess_id`


@dataclass(frozen=True, eq=False)
class Frame:
    """What a batch of B rows looks like after one Step; frame 0 is the canvas before any call.

    tokens [B, T]; window (a slice of columns, W wide); block, finished, active [B]; over the
    window predicted (-1 none), score, confidence, entropy [B, W], top_ids and top_probabilities
    [B, W, 5] (None in frame 0); calls, seconds, model_seconds and columns_fed [B], cumulative.
    after_filters [B, W, 5]: the probabilities of top_ids after temperature and filters, where the
    step wrote a token, NaN elsewhere; None where they change nothing, or nothing is drawn.
    """

    step: int
    tokens: ndarray
    window: slice
    block: ndarray
    finished: ndarray
    active: ndarray
    predicted: ndarray | None
    score: ndarray | None
    confidence: ndarray | None
    entropy: ndarray | None
    top_ids: ndarray | None
    top_probabilities: ndarray | None
    calls: ndarray
    seconds: ndarray
    model_seconds: ndarray
    columns_fed: ndarray
    after_filters: ndarray | None = None


def run_id(
    settings: dict[str, Any],
    *,
    task: str = "",
    model: str = "",
    sampler: str = "",
    seed: int = 0,
    row: int = 0,
) -> str:
    """Name a run by 12 hexadecimal digits that follow from everything that decides it."""
    text = canonical([settings, task, model, sampler, seed, row])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def canonical(value: Any) -> str:
    """JSON with sorted keys in ASCII, equal for equal values; ValueError for NaN or infinity."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


# The name and dtype of every array of a Trajectory.
ARRAYS: dict[str, Any] = {
    **{name: dtype for name, (dtype, _, _) in BY_POSITION.items()},
    **BY_STEP,
    "writable": np.bool_,
}
_CLOCKS = {"seconds", "model_seconds"}
_EXTRAS = {"run_id", "top_ids", "top_probabilities", "columns_fed", "draws"}


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One row of a run, pads cut away: S steps over L columns.

    tokens [S+1, L] (line 0 before any call); predicted [S, L] (-1 none); confidence, entropy (nats)
    and score [S, L], NaN where there is none; the window start:stop [S]; block (its number), calls,
    seconds and model_seconds [S], the last three cumulative; writable [L].

    output: the ids generated: from the first writable position on, up to and with the first EOS,
    without masks. filled: the text of each run of writable positions, left to right; empty for
    what lies behind the EOS. text: for a prompt the decoding of `output`, so filled == [text]; for
    a template the whole text, what it said and what was filled in, up to the first EOS.

    pieces: the text of each id; card: the model's. top_ids and top_probabilities [S, L, 5] are an
    extra that CSV does not keep; nor does it columns_fed [S], the columns that the model computed
    so far, of which a cached call takes fewer, and draws, what written tokens were drawn from where
    temperature or filters changed it.
    """

    tokens: ndarray
    predicted: ndarray
    confidence: ndarray
    entropy: ndarray
    score: ndarray
    start: ndarray
    stop: ndarray
    block: ndarray
    calls: ndarray
    seconds: ndarray
    model_seconds: ndarray
    writable: ndarray
    output: list[int]
    text: str
    filled: list[str]
    pieces: dict[int, str]
    run_id: str
    task: str
    model: str
    sampler: str
    seed: int
    row: int
    settings: dict[str, Any]
    card: dict[str, Any]
    top_ids: ndarray | None = None
    top_probabilities: ndarray | None = None
    columns_fed: ndarray | None = None
    draws: Draws | None = None

    def __post_init__(self) -> None:
        for name, dtype in ARRAYS.items():
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, dtype))

    @cached_property
    def history(self) -> History:
        """State, committed_step, commits, edits and remasks, worked out once."""
        return follow(self.tokens, self.predicted, self.writable, self.card)

    @property
    def state(self) -> ndarray:
        """What each position is, [S+1, L] int8: an index into STATES."""
        return self.history.state

    @property
    def committed_step(self) -> ndarray:
        """The latest step that wrote the token standing there, [S+1, L]; -1 for prompt and mask."""
        return self.history.committed_step

    @property
    def commits(self) -> ndarray:
        """Where each step put its token onto a masked position or onto noise, [S, L] bool."""
        return self.history.commits

    @property
    def edits(self) -> ndarray:
        """Where each step replaced a committed token by another, [S, L] bool."""
        return self.history.edits

    @property
    def remasks(self) -> ndarray:
        """Where each step turned a token back into a mask, [S, L] bool."""
        return self.history.remasks

    def steps_since(self, since: int) -> RecordedSteps:
        """Steps since + 1 and later, as a Recorder gives them while a run goes on.

        The last line's state is read as the last here: it is settled_state.
        """
        history = self.history
        before = np.full((1, len(self.writable)), np.nan, np.float32)
        extras = ("top_ids", "top_probabilities", *BY_STEP)
        later: dict[str, Any] = {
            name: None if (a := getattr(self, name)) is None else a[since:] for name in extras
        }
        return RecordedSteps(
            since=since,
            tokens=self.tokens[since:],
            confidence=np.concatenate([before, self.confidence])[since:],
            predicted=self.predicted[since:],
            entropy=self.entropy[since:],
            score=self.score[since:],
            **later,
            **{name: values[since:] for name, values in history._asdict().items()},
            settled_state=history.state[-1],
            draws=self.draws and self.draws.since(since),
        )

    def piece(self, token_id: int) -> str:
        """The text of one token, its number where no text is known."""
        return self.pieces.get(token_id, str(token_id))

    def __eq__(self, other: object) -> bool:
        return self._equal(other, _EXTRAS) if isinstance(other, Trajectory) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def same_tokens(self, other: "Trajectory") -> bool:
        """Whether all but the clocks (and what == leaves out) is equal.

        Probabilities and entropies may differ by 1e-4: a model rounds a batch otherwise than a row.
        """
        return self._equal(other, _EXTRAS | _CLOCKS, 1e-4)

    def _equal(self, other: "Trajectory", left_out: set[str], tolerance: float = 0.0) -> bool:
        for name in (field.name for field in fields(self) if field.name not in left_out):
            mine, theirs = getattr(self, name), getattr(other, name)
            if name in ARRAYS:
                real = mine.dtype.kind == "f"
                same = mine.shape == theirs.shape and (
                    np.allclose(mine, theirs, rtol=0, atol=tolerance, equal_nan=True)
                    if real
                    else np.array_equal(mine, theirs)
                )
            elif isinstance(mine, dict):
                same = canonical(mine) == canonical(theirs)
            else:
                same = mine == theirs
            if not same:
                return False
        return True

    def to_frame(self) -> pd.DataFrame:
        """One line a step 0..S and position, in the CSV's columns without `header`.

        `token` is a JSON string literal, as in the file; `committed_step` is Int32 and empty for
        prompt and mask. Line s holds tokens[s] with the confidence of the call of step s.
        """
        steps, length = self.predicted.shape
        cells = (steps + 1) * length

        def whole(value: Any) -> Any:
            # object: with pyarrow, pandas' own text columns hold no lone surrogate.
            plain = isinstance(value, int)
            return np.full(cells, value) if plain else pd.Series([value] * cells, dtype=object)

        def by_step(values: ndarray) -> ndarray:
            return np.concatenate([np.zeros(1, values.dtype), values]).repeat(length)

        def by_cell(values: ndarray, before: float) -> ndarray:
            return np.concatenate([np.full((1, length), before, values.dtype), values]).ravel()

        ids, where = np.unique(self.tokens, return_inverse=True)
        literal = np.array([json.dumps(self.piece(i)) for i in ids.tolist()], object)
        written = self.committed_step.ravel()
        return pd.DataFrame(
            {
                "run_id": whole(self.run_id),
                "task": whole(self.task),
                "model": whole(self.model),
                "sampler": whole(self.sampler),
                "seed": whole(self.seed),
                "row": whole(self.row),
                "step": np.arange(steps + 1).repeat(length),
                "calls": by_step(self.calls),
                "seconds": by_step(self.seconds),
                "model_seconds": by_step(self.model_seconds),
                "block": by_step(self.block),
                "position": np.tile(np.arange(length), steps + 1),
                "token_id": self.tokens.ravel(),
                "token": pd.Series(literal[where.ravel()], dtype=object),
                "state": pd.Categorical.from_codes(self.state.ravel(), STATES),
                "confidence": by_cell(self.confidence, np.nan),
                "entropy": by_cell(self.entropy, np.nan),
                "committed_step": pd.arrays.IntegerArray(written, written < 0),
                "predicted_id": by_cell(self.predicted, -1),
                "score": by_cell(self.score, np.nan),
            }
        )

    def save(self, path: str | Path) -> None:
        """Write this run alone to a .csv or .json file."""
        from lab.record import files

        files.save([self], path)

    @classmethod
    def load(cls, path: str | Path) -> "Trajectory":
        """Read a file that holds exactly one run; ValueError if there are more, or it is broken."""
        from lab.record import files

        runs = files.read(path)
        if len(runs) != 1:
            raise ValueError(
                f"Trajectory.load wants a file with one run, {Path(path).name} holds {len(runs)}; "
                "lab.read(path) returns them all"
            )
        return runs[0]
