"""Work on a thread of its own, its items handed to the coroutine that sends them to a browser.

The thread ends by itself, and frees what it holds, where nobody takes its items any more: nothing
is left to garbage collection, or to whether a cancelled request is ever closed.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic
from typing import Any, Generic, TypeVar

T = TypeVar("T")
PATIENCE = 2.0  # seconds without a look for an item, after which nobody is there
LOOK = 0.25  # seconds between two looks, at most
BACKLOG = 4  # messages that may wait for the browser before it is given time
UNHEARD = 1.5  # seconds that a browser may take no message at all, if it has never taken one
STALLED = 15.0  # seconds that it may take none, if it has taken some

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
        self.looked = monotonic()

    def ready(self) -> bool:
        """Whether an item may be made now; sets `stop` where nobody looks for one any more."""
        if monotonic() - self.looked > PATIENCE:
            self.stop.set()
        return self.empty.is_set()

    def put(self, item: T) -> bool:
        """Hand an item over, once the one before it is taken; False where nobody takes it."""
        while not self.empty.wait(LOOK):
            if monotonic() - self.looked > PATIENCE:
                self.stop.set()
                return False
        self.item = item
        self.empty.clear()
        self._wake()
        return True

    def end(self, error: Exception | None = None) -> None:
        self.error, self.over = error, True
        self._wake()

    def _wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.filled.set)
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

    stop is set when the consumer leaves, or where `backlog` (how many messages wait for the
    browser; None: there is no such browser) shows that nobody listens.
    """
    handover: _Handover[T] = _Handover(stop)
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(handover.drive, work), name="run", daemon=True
    )
    listener = _Listener(backlog)
    thread.start()
    try:
        while True:
            handover.looked = monotonic()
            if not listener.there():
                return
            if not listener.behind and not handover.empty.is_set():
                item = handover.item
                handover.empty.set()
                handover.filled.clear()
                yield item  # type: ignore[misc]
                listener.sent = True
                continue
            if handover.over and handover.empty.is_set():
                if handover.error:
                    raise handover.error
                return
            await _until(handover.filled, 0.05 if listener.behind else LOOK)
    finally:
        stop.set()


async def _until(event: asyncio.Event, seconds: float) -> None:
    if event.is_set():  # filled, but the browser is behind
        await asyncio.sleep(seconds)
        return
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


class _Listener:
    """Whether a browser takes its messages, judged by how many of them wait."""

    def __init__(self, backlog: Callable[[], int | None]):
        self._backlog, self._count = backlog, 0
        self._since, self._heard = monotonic(), False
        self.behind = self.sent = False

    def there(self) -> bool:
        count = self._backlog()
        if count is None:
            return False
        now = monotonic()
        if count == 0 or count < self._count:
            self._heard = self._heard or self.sent
            self._since = now
        self._count = count
        self.behind = count > BACKLOG
        return count == 0 or now - self._since < (STALLED if self._heard else UNHEARD)


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
