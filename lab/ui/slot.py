"""One run at a time: the lock round model compute, and who may be asked to stop."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 300.0  # most wall time of one press of Run
WAITING = 8  # visitors who may wait for the lock and be told so; others wait in the queue, untold
WAIT = 0.2  # between two looks at whether the wait for the lock was given up

# A cancelled event gives its queue slot back while its last step still computes, so the queue
# alone would let two runs share the cores.
LOCK = threading.Lock()
_RUNNING: dict[str, threading.Event] = {}


@contextmanager
def stoppable(session: str) -> Iterator[threading.Event]:
    """The event that ends this session's run; an older run of the same session is ended."""
    stop = threading.Event()
    if older := _RUNNING.get(session):
        older.set()
    _RUNNING[session] = stop
    try:
        yield stop
    finally:
        if _RUNNING.get(session) is stop:
            del _RUNNING[session]


def stop(session: str) -> bool:
    """Ask this session's run to end after the step it is in; False where nothing runs."""
    running = _RUNNING.get(session)
    if running:
        running.set()
    return running is not None


def turn(given_up: threading.Event) -> Iterator[bool]:
    """Wait for the lock: yields False while waiting, then True once it is ours.

    Ends without True if `given_up` is set. Whoever got True calls `done`.
    """
    while not given_up.is_set():
        if LOCK.acquire(timeout=WAIT):
            yield True
            return
        yield False


def done() -> None:
    """Give the lock back. A plain Lock: Gradio may end a generator on another thread."""
    LOCK.release()


def one_thread() -> None:
    """Keep torch to one thread: on two cores a second one slows everything beside it down."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)
