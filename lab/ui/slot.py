"""One run at a time: the line of those who want to compute, and who may be told to stop."""

import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from time import monotonic

SECONDS = 300.0  # most time that one press of Run may compute
TURN = 10.0  # seconds after which a run lets the next one go on, where others wait
LONGEST = 32  # most runs in the line
EACH = 2  # most runs of one visitor in the line: one that computes, one that waits
WAIT = 0.2  # seconds between two looks at whether the wait was given up
# Said by the browser: an answer of the server that came late would cover how the run ended.
SAY_STOPPING = "() => 'Stopping …'"


class NoPlace(ValueError):
    """The line takes nobody more, or not this visitor."""


class Ticket:
    """A place in the line; whoever stands first computes."""

    def __init__(self, line: "Line", visitor: Hashable):
        self._line, self.visitor = line, visitor
        self._since = monotonic()

    def wait(self, seconds: float) -> int:
        """Wait for our turn, `seconds` at most; the place then: 0 is our turn, 1 the next."""
        with self._line.changed:
            if self._line.changed.wait_for(lambda: self._line.place(self) == 0, seconds):
                self._since = monotonic()
            return self._line.place(self)

    def turn_is_over(self) -> bool:
        """Whether others wait and this run has computed for a whole turn."""
        return len(self._line) > 1 and monotonic() - self._since > TURN

    def to_the_end(self) -> None:
        """Let the others compute first."""
        with self._line.changed:
            self._line.leave(self)
            self._line.tickets.append(self)
            self._line.changed.notify_all()


class Line:
    """First come, first served. A place is given back by whoever took it, on any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.tickets: list[Ticket] = []

    def __len__(self) -> int:
        return len(self.tickets)

    def place(self, ticket: Ticket) -> int:
        """How many stand before it."""
        return self.tickets.index(ticket)

    @contextmanager
    def ticket(self, visitor: Hashable = None) -> Iterator[Ticket]:
        """Stand in the line for as long as the block lasts.

        NoPlace where the line is full, or where this visitor (None: not counted) stands in it
        EACH times already.
        """
        ticket = Ticket(self, visitor)
        with self.changed:
            if len(self) >= LONGEST:
                raise NoPlace(f"{LONGEST} runs are waiting already, the most; try again later")
            mine = [other for other in self.tickets if other.visitor == visitor]
            if visitor is not None and len(mine) >= EACH:
                raise NoPlace(
                    "a visitor may have one run that computes and one that waits, and you have "
                    "both; stop one, or wait for it to end"
                )
            self.tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self.changed:
                self.leave(ticket)
                self.changed.notify_all()

    def leave(self, ticket: Ticket) -> None:
        """Give a place up; nothing where it was given up before."""
        if ticket in self.tickets:
            self.tickets.remove(ticket)


# A cancelled event gives its queue slot back while its last step still computes, so Gradio's queue
# alone would let two runs share the cores.
LINE = Line()
_STOPS: dict[str, threading.Event] = {}


def waiting(place: int) -> str:
    """What a visitor reads while others compute."""
    if place == 1:
        return "Waiting for another run to end: you are next"
    suffix = {2: "nd", 3: "rd"}.get(place % 10 if place // 10 != 1 else 0, "th")
    return f"Waiting for other runs to end: you are {place}{suffix} in line"


@contextmanager
def stoppable(session: str) -> Iterator[threading.Event]:
    """The event that ends this session's run; an older run of the same session is ended."""
    stop_event = threading.Event()
    if older := _STOPS.get(session):
        older.set()
    _STOPS[session] = stop_event
    try:
        yield stop_event
    finally:
        if _STOPS.get(session) is stop_event:
            del _STOPS[session]


def stop(session: str) -> bool:
    """Tell this session's run to end after the step it is in; False where nothing is running."""
    event = _STOPS.get(session)
    if event:
        event.set()
    return event is not None


def one_thread() -> None:
    """Keep torch to one thread: on two cores a second one slows everything beside it down."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)
