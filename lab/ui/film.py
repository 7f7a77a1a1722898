"""A run as the film that its panel plays: what each step changed, one short JSON text a step.

The browser keeps the film (assets/panel/film.js); only new steps are sent to it, so that a long
run costs as many bytes as it has steps.
"""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
from numpy import ndarray

from lab.record.history import STATES
from lab.record.row_record import RecordedSteps
from lab.record.trajectory import Trajectory
from lab.tasks import TASKS
from lab.ui.safe_text import visible

Pieces = Callable[[list[int]], dict[int, str]]
LEAST = 0.003  # alternatives less likely than this are not shown


class FilmStart(TypedDict):
    """A film before its first step. L columns; ids of tokens; state: an index into states."""

    columns: int
    states: list[str]
    tokens: list[int]
    state: list[int]
    mask: int | None
    special_ids: list[int]
    board: list[int]  # side, height and width of a box; empty where the text is no grid


class FilmPart(TypedDict):
    """Some steps of a run in their order.

    start: how many steps came before; count: how many there are with these; steps: a JSON list of
    steps; film: the canvas, where start is 0; pieces: {id: text}, those new here at least; edges:
    positions at which a block begins, all but the first; settled: flat pairs of position and
    state that hold in the last step, once it is known that no other follows.
    """

    start: int
    count: int
    steps: str
    film: FilmStart | None
    pieces: dict[str, str]
    edges: list[int]
    settled: list[int]


NO_STEPS = FilmPart(start=0, count=0, steps="[]", film=None, pieces={}, edges=[], settled=[])


class Alternatives(TypedDict):
    """What the latest call at or before a step said of one position.

    step: that call's; entropy in nats; tokens: [text, probability, id] each; after: their
    probabilities after temperature and filters, None where that step drew nothing there or filters
    changed nothing; filters: in words, what acts on a draw, or why nothing does.
    """

    step: int
    entropy: float | None
    tokens: list[list[Any]]
    after: list[float] | None
    filters: str


def film_start(steps: RecordedSteps, task: str, card: dict[str, Any]) -> FilmStart:
    """The canvas before any call: the first line of steps that were asked for since 0."""
    special_ids = [card.get(name) for name in ("mask_id", "pad_id", "bos_id")]
    known = TASKS.get(task)
    return {
        "columns": int(steps.tokens.shape[1]),
        "states": list(STATES),
        "tokens": steps.tokens[0].tolist(),
        "state": steps.state[0].tolist(),
        "mask": card.get("mask_id"),
        "special_ids": [i for i in [*special_ids, *card.get("eos_ids", ())] if i is not None],
        "board": list((known and known.board) or ()),
    }


def film_step(steps: RecordedSteps, s: int, predicted: ndarray) -> str:
    """One step as the JSON list [calls, model seconds, tokens, state, written, confidence,
    prediction]; the last five are flat pairs of position and new value.

    predicted [L]: the latest prediction of every position, -1 for none; brought up to date.
    """
    now = np.where(steps.predicted[s] < 0, predicted, steps.predicted[s])
    change = [
        int(steps.calls[s]),
        round(float(steps.model_seconds[s]), 4),
        _changes(steps.tokens[s], steps.tokens[s + 1]),
        _changes(steps.state[s], steps.state[s + 1]),
        _changes(steps.committed_step[s], steps.committed_step[s + 1]),
        _changes(steps.confidence[s], steps.confidence[s + 1]),
        _changes(predicted, now),
    ]
    predicted[:] = now
    return json.dumps(change, separators=(",", ":"), allow_nan=False)


def _changes(before: ndarray, after: ndarray) -> list[Any]:
    """Flat pairs position, new value."""
    changed = (before != after) & ~((before != before) & (after != after))
    where = np.nonzero(changed)[0]
    return [x for i in where.tolist() for x in (i, plain(after[i].item()))]


class Film:
    """All steps of a run, encoded once each; it only ever grows."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.first: FilmStart | None = None
        self.pieces: dict[str, str] = {}
        self.edges: list[int] = []
        self.settled: list[int] = []
        self._state: ndarray | None = None
        self._predicted: ndarray | None = None
        self._starts: set[int] = set()
        self._sent = 0
        self._sent_pieces = 0

    def begin(self, steps: RecordedSteps, task: str, card: dict[str, Any], pieces: Pieces) -> None:
        """Take the canvas from the first line of steps since 0; pieces(ids): texts of tokens."""
        self.first = film_start(steps, task, card)
        self._spell(steps.tokens[0], pieces)

    def extend(self, steps: RecordedSteps, pieces: Pieces) -> None:
        """Take the steps that follow those taken before; pieces(ids): texts of tokens."""
        self._spell(steps.tokens, pieces)
        self._spell(steps.predicted, pieces)
        self._starts |= set(steps.start.tolist())
        self.edges = block_edges(self._starts)
        if self._predicted is None:
            self._predicted = np.full(steps.tokens.shape[1], -1, np.int32)
        self.steps += [film_step(steps, s, self._predicted) for s in range(len(steps.calls))]
        self._state = steps.state[-1]

    def _spell(self, ids: ndarray, pieces: Pieces) -> None:
        fresh = [i for i in np.unique(ids).tolist() if i >= 0 and str(i) not in self.pieces]
        self.pieces |= {str(i): visible(text) for i, text in pieces(fresh).items()}

    def settle(self, state: ndarray) -> None:
        """No step follows: the states [L] as a row's last line reads."""
        if self._state is not None:
            self.settled = _changes(self._state, state)

    def part(self, start: int) -> FilmPart:
        """The steps from `start` on, with every piece: for a page that missed some."""
        # Steps, then texts: the run may go on while this is read, and writes texts first.
        return self._part(start, self.steps[start:], dict(self.pieces))

    def next_part(self) -> FilmPart:
        """The steps and pieces that no part before this one held."""
        start, self._sent = self._sent, len(self.steps)
        pieces = dict(list(self.pieces.items())[self._sent_pieces :])
        self._sent_pieces = len(self.pieces)
        return self._part(start, self.steps[start:], pieces)

    def _part(self, start: int, steps: list[str], pieces: dict[str, str]) -> FilmPart:
        return {
            "start": start,
            "count": start + len(steps),
            "steps": f"[{','.join(steps)}]",
            "film": self.first if start == 0 else None,
            "pieces": pieces,
            "edges": self.edges,
            "settled": self.settled,
        }


def whole_film(run: Trajectory) -> Film:
    """The film of a run that is over."""
    film, steps = Film(), run.steps_since(0)

    def pieces(ids: list[int]) -> dict[int, str]:
        return {i: run.piece(i) for i in ids}

    film.begin(steps, run.task, run.card, pieces)
    film.extend(steps, pieces)
    return film


def block_edges(starts: set[int]) -> list[int]:
    """Where blocks begin, all but the first, from where windows began; a block of one position is
    none.
    """
    first = sorted(starts)
    single = all(b - a == 1 for a, b in pairwise(first))
    return [] if single else first[1:]


def alternatives(
    steps: RecordedSteps | Trajectory, last: int, position: int, piece: Callable[[int], str]
) -> Alternatives | None:
    """What the latest of the first `last` steps that looked at a position said of it, its step
    counted from 1 within them; None where none did.
    """
    since = steps.since if isinstance(steps, RecordedSteps) else 0
    for s in range(min(last, len(steps.calls)) - 1, -1, -1):
        if not steps.start[s] <= position < steps.stop[s]:
            continue
        entropy = plain(float(steps.entropy[s, position]))
        drawn = steps.draws.at(since + s + 1, position) if steps.draws else None
        top = _top(steps, s, position, drawn)
        if top or entropy is not None:
            tokens = [[visible(piece(i)), p, i] for i, p, _ in top]
            after = None if drawn is None else [share for _, _, share in top]
            return {"step": s + 1, "entropy": entropy, "tokens": tokens, "after": after,
                    "filters": ""}  # fmt: skip
    return None


def _top(
    run: RecordedSteps | Trajectory, s: int, position: int, drawn: ndarray | None
) -> list[tuple[int, Any, Any]]:
    """Id, probability and, where it was drawn from, probability after filters of what is shown."""
    if run.top_ids is None or run.top_probabilities is None:
        return []
    likely = run.top_probabilities[s, position].tolist()
    after = likely if drawn is None else drawn.tolist()
    each = zip(run.top_ids[s, position].tolist(), likely, after, strict=True)
    return [(i, plain(p), plain(q)) for i, p, q in each if i >= 0 and max(p, q) >= LEAST]


def call_details(run: Trajectory) -> tuple[list[list[Any]], dict[str, str]]:
    """What every call said, for a page without a server behind it: [start of the window, entropies,
    flat pairs of id and probability a position, {position: probabilities after filters}] a step,
    and the texts of those ids.
    """
    steps, ids = [], set()
    for s in range(len(run.predicted)):
        window = slice(int(run.start[s]), int(run.stop[s]))
        tops, after = [], {}
        for position in range(window.start, window.stop):
            drawn = run.draws.at(s + 1, position) if run.draws else None
            top = _top(run, s, position, drawn)
            tops.append([x for i, p, _ in top for x in (i, p)])
            if drawn is not None:
                after[position] = [share for _, _, share in top]
            ids |= {i for i, _, _ in top}
        entropies = [plain(x) for x in run.entropy[s, window].tolist()]
        steps.append([window.start, entropies, tops, after])
    return steps, {str(i): visible(run.piece(i)) for i in sorted(ids)}


def plain(number: float) -> float | int | None:
    """A number JSON can hold: NaN and infinity become null, others keep three places."""
    if isinstance(number, int):
        return number
    return round(number, 3) if math.isfinite(number) else None
