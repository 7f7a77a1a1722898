"""Work on a thread of its own: ends by itself where nobody takes its items."""

import asyncio
import threading
from time import monotonic, sleep

import pytest

from lab.ui import background
from lab.ui.background import in_background


def endless(ended: threading.Event, stop: threading.Event):
    def work(ready):
        try:
            while not stop.is_set():
                if ready():
                    yield monotonic()
                sleep(0.01)
        finally:
            ended.set()

    return work


def test_items_come_in_order_and_none_is_lost():
    async def take():
        stop = threading.Event()
        return [x async for x in in_background(lambda ready: iter_of(50), stop)]

    def iter_of(count):
        yield from range(count)

    assert asyncio.run(take()) == list(range(50))


def test_error_of_work_reaches_who_takes_it():
    def work(ready):
        yield 1
        raise RuntimeError("broken")

    async def take():
        async for _ in in_background(work, threading.Event()):
            pass

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(take())


def test_work_ends_at_once_when_its_task_is_cancelled():
    ended, stop = threading.Event(), threading.Event()

    async def take():
        async for _ in in_background(endless(ended, stop), stop):
            pass

    async def main():
        task = asyncio.create_task(take())
        await asyncio.sleep(0.2)
        task.cancel()
        assert await asyncio.to_thread(ended.wait, 2)

    asyncio.run(main())


def test_work_ends_though_its_generator_is_never_closed(monkeypatch):
    monkeypatch.setattr(background, "ANSWERS", 1)
    ended, stop = threading.Event(), threading.Event()
    held = []

    async def main():
        items = in_background(endless(ended, stop), stop)
        held.append(items)  # as a request that was dropped, kept from the garbage collector
        await anext(items)
        assert await asyncio.to_thread(ended.wait, 3)
        await items.aclose()

    asyncio.run(main())


def test_loop_that_stands_still_ends_no_run():
    ended, stop, items = threading.Event(), threading.Event(), []
    waiting = [0, 0]  # messages, and looks until the browser has taken them

    def backlog():
        waiting[1] -= 1
        if waiting[1] <= 0:
            waiting[0] = 0
        return waiting[0]

    async def main():
        async for item in in_background(endless(ended, stop), stop, backlog):
            items.append(item)
            waiting[:] = [len(items), 3]
            if len(items) == 1:
                sleep(4)  # as a library that holds the interpreter
                assert not stop.is_set()
            if len(items) > 4:
                break

    asyncio.run(main())
    assert len(items) == 5


def test_run_without_listener_ends_within_two_seconds():
    ended, stop, waiting = threading.Event(), threading.Event(), [0]

    async def main():
        began = monotonic()
        async for _ in in_background(endless(ended, stop), stop, lambda: waiting[0]):
            waiting[0] += 1
        assert monotonic() - began < 2
        assert await asyncio.to_thread(ended.wait, 1)

    asyncio.run(main())
    assert waiting[0] <= background.BACKLOG + 2


def test_slow_listener_gets_fewer_items_and_keeps_run(monkeypatch):
    monkeypatch.setattr(background, "UNHEARD", 0.3)
    ended, stop, waiting, items = threading.Event(), threading.Event(), [0], []

    def backlog():
        waiting[0] = max(0, waiting[0] - (len(items) and monotonic() % 0.2 < 0.1))
        return waiting[0]

    async def main():
        began = monotonic()
        async for item in in_background(endless(ended, stop), stop, backlog):
            items.append(item)
            waiting[0] += 3
            if monotonic() - began > 1.5:
                break

    asyncio.run(main())
    assert waiting[0] <= background.BACKLOG + 3 and len(items) > 1


def test_browser_that_hung_up_ends_run():
    ended, stop = threading.Event(), threading.Event()

    async def take():
        return [x async for x in in_background(endless(ended, stop), stop, lambda: None)]

    assert asyncio.run(take()) == []
    assert ended.wait(2)
