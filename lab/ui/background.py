"""Work on a thread of its own, its items handed to the coroutine that sends them to a browser.

The thread ends by itself, and frees what it holds, where nobody takes its items any more: nothing
is left to garbage collection, or to whether a cancelled request is ever closed.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Generic, TypeVar

T = TypeVar("T")
LOOK = 0.25  # seconds between two looks for an item, at most
# Answers of the loop, one every 2 x LOOK, without a look, after which nobody is there. Counted in
# answers, not seconds: while weights are read, the loop itself may stand still for seconds.
ANSWERS = 5
BACKLOG = 4  # messages that may wait for the browser before it is given time
STALLED = 15.0  # seconds that a browser may take no message
CROWD = 8  # runs that wait for somebody to listen; with more, each waits no longer than:
HURRIED = 1.5

Work = Callable[[Callable[[], bool]], Iterator[T]]


class _Handover(Generic[T]):
    """One place for one item, between the thread that makes it and the loop that takes it."""

    def __init__(self, stop: threading.Event):
        self.stop, self.loop = stop, asyncio.get_running_loop()
        self.filled = asyncio.Event()
        self.empty = threading.Event()
        self.empty.set()
        self.item: T | None = None
        self.error: Exception | None = None
        self.over = False
        self._answers, self._question = 0, 0.0

    def look(self) -> None:
        """The consumer is there."""
        self._answers = 0

    def ready(self) -> bool:
        """Whether an item may be made now; sets `stop` where nobody looks for one any more."""
        if self._abandoned():
            self.stop.set()
        return self.empty.is_set()

    def _abandoned(self) -> bool:
        """Whether the loop runs and nobody looks."""
        now = monotonic()
        if now - self._question > 2 * LOOK:
            self._question = now
            self._call(self._answer)
        return self._answers >= ANSWERS

    def _answer(self) -> None:
        self._answers += 1

    def put(self, item: T) -> bool:
        """Hand an item over, once the one before it is taken; False where nobody takes it."""
        while not self.empty.wait(LOOK):
            if self._abandoned():
                self.stop.set()
                return False
        self.item = item
        self.empty.clear()
        self._call(self.filled.set)
        return True

    def end(self, error: Exception | None = None) -> None:
        self.error, self.over = error, True
        self._call(self.filled.set)

    def _call(self, act: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(act)
        except RuntimeError:  # the loop is closed: the server is going down
            self.stop.set()

    def drive(self, work: Work[T]) -> None:
        """The thread: make items until the work ends or nobody takes them."""
        items = work(self.ready)
        error = None
        try:
            for item in items:
                if not self.put(item):
                    break
        except Exception as raised:
            error = raised
        finally:
            try:
                items.close()  # type: ignore[attr-defined]
            finally:
                self.end(error)


async def in_background(
    work: Work[T], stop: threading.Event, backlog: Callable[[], int | None] = lambda: 0
) -> AsyncIterator[T]:
    """Run `work` (a generator, given a `ready` to ask before it makes an item) on a thread.

    Nothing begins before somebody listens. stop is set when the consumer leaves, or where `backlog`
    (how many messages wait for the browser; None: it has hung up) shows that nobody listens any
    more; what the work yields at its end is still handed on.
    """
    listener = _Listener(backlog)
    if not await _heard(listener):
        stop.set()
        return
    handover: _Handover[T] = _Handover(stop)
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(handover.drive, work), name="run", daemon=True
    )
    thread.start()
    try:
        while not listener.gone:
            handover.look()
            if not listener.takes():
                stop.set()  # what is yielded then says how the run ended, should it be heard
            if not (listener.behind and not stop.is_set()) and not handover.empty.is_set():
                item = handover.item
                handover.empty.set()
                handover.filled.clear()
                yield item  # type: ignore[misc]
                continue
            if handover.over and handover.empty.is_set():
                if handover.error:
                    raise handover.error
                return
            await _until(handover.filled, 0.05 if listener.behind else LOOK)
    finally:
        stop.set()


_waiting: set[object] = set()  # runs that nobody has listened to yet


async def _heard(listener: "_Listener") -> bool:
    """Wait until the browser has taken the queue's first message: only then is anything begun.

    However slow the way to it, a browser listens once; a request that nobody listens to computes
    nothing and holds nobody up.
    """
    mine = object()
    _waiting.add(mine)
    try:
        while listener.takes(STALLED if len(_waiting) <= CROWD else HURRIED):
            if not listener.count:
                return True
            await asyncio.sleep(0.02)
        return False
    finally:
        _waiting.discard(mine)


async def _until(event: asyncio.Event, seconds: float) -> None:
    if event.is_set():  # filled, but the browser is behind
        await asyncio.sleep(seconds)
        return
    # Not wait_for, which before Python 3.12 loses a cancellation that comes with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class _Listener:
    """Whether a browser takes its messages, judged by how many of them wait."""

    def __init__(self, backlog: Callable[[], int | None]):
        self._backlog, self.count = backlog, 0
        self._looked, self._silence = monotonic(), 0.0
        self.behind = self.gone = False

    def takes(self, patience: float = STALLED) -> bool:
        """Look once; False where none was taken for that long, or where it has hung up."""
        count = self._backlog()
        if count is None:
            self.gone = True
            return False
        now = monotonic()
        # A loop that stood still gave the browser no time either.
        self._silence += min(now - self._looked, 2 * LOOK)
        self._looked = now
        if count == 0 or count < self.count:
            self._silence = 0.0
        self.count, self.behind = count, count > BACKLOG
        return self._silence < patience


def backlog_of(queue: Any, session: str) -> Callable[[], int | None]:
    """How many messages wait for a session of Gradio's queue; None once it has hung up.

    The one place that looks inside that queue, which has no public way to ask (gradio 6.31).
    """
    known = False

    def count() -> int | None:
        nonlocal known
        messages = queue.pending_messages_per_session.get(session)
        if messages is None:
            return None if known else 0
        known = True
        return messages.qsize()

    return count
