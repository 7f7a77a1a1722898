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


@pytest.mark.parametrize("turns", range(6))
def test_cancellation_that_comes_with_item_is_not_lost(turns):
    async def main():
        event = asyncio.Event()
        task = asyncio.create_task(background._until(event, 5))
        for _ in range(3):
            await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()

    asyncio.run(main())


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


def begun(begins: list):
    def work(ready):
        begins.append(monotonic())
        yield 1

    return work


def test_nothing_is_begun_before_somebody_listens(monkeypatch):
    monkeypatch.setattr(background, "STALLED", 0.5)
    stop, begins = threading.Event(), []

    async def take(backlog):
        return [x async for x in in_background(begun(begins), stop, backlog)]

    assert asyncio.run(take(lambda: 1)) == [] and not begins
    assert stop.is_set() and not background._waiting


def test_browser_far_away_is_waited_for():
    begins, began = [], monotonic()

    async def take():
        late = lambda: int(monotonic() - began < 3)  # noqa: E731
        return [x async for x in in_background(begun(begins), threading.Event(), late)]

    assert asyncio.run(take()) == [1] and begins[0] - began >= 3


def test_crowd_that_nobody_listens_to_is_soon_smaller():
    begins = []

    async def take():
        async for _ in in_background(begun(begins), threading.Event(), lambda: 1):
            pass

    async def until_first_leaves():
        tasks = [asyncio.create_task(take()) for _ in range(2 * background.CROWD)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    began = monotonic()
    asyncio.run(until_first_leaves())
    assert monotonic() - began < 3 and not begins


def test_listener_that_stops_listening_is_told_how_run_ended(monkeypatch):
    monkeypatch.setattr(background, "STALLED", 0.5)
    stop, waiting, items = threading.Event(), [0], []

    def work(ready):
        while not stop.is_set():
            if ready():
                yield "step"
            sleep(0.01)
        yield "stopped"

    async def main():
        async for item in in_background(work, stop, lambda: waiting[0]):
            items.append(item)
            waiting[0] += 1

    asyncio.run(main())
    assert items[-1] == "stopped" and waiting[0] <= background.BACKLOG + 3


def test_slow_listener_gets_fewer_items_and_keeps_run():
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
        counts = iter([0, 0, 0])
        work = in_background(endless(ended, stop), stop, lambda: next(counts, None))
        return [x async for x in work]

    assert len(asyncio.run(take())) <= 2
    assert ended.wait(2)
