"""R3: runs that are ended at a random moment, in each way that there is.

Never two compute at a time, the line is free soon after, and the place in it is given back by the
thread that computed: the app runs without Python's garbage collector.
"""

import asyncio
import random
from time import monotonic
from typing import Any

from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import SMALL, Visitor, form, visitors
from tests.reliability.watched_app import Site

SIZE = 50
OPTIONS = ("--no-collect",)
WAYS = ("stop", "cancel", "hang up", "close page")


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """`size` runs, ended between their first moment and 0.8 s later."""
    return asyncio.run(_check(site, size))


async def _check(site: Site, size: int) -> list[Figure]:
    draw, times, together = random.Random(1), [], 1
    async with visitors(site.url) as door:
        await door.new().call("compare", SMALL)
        for number in range(size):
            visitor, way = door.new(), WAYS[number % len(WAYS)]
            # Somebody else is there before it has ended, and waits.
            after = await _end(visitor, door.new(), way, draw.uniform(0, 0.8))
            began = monotonic()
            while True:
                look = site.look()
                together = max(together, look.most)
                if look.line <= int(not after.done()) or monotonic() - began > 30:
                    break
                await asyncio.sleep(0.01)
            times.append(monotonic() - began)
            await after
            together = max(together, site.look().most)
    return [
        none_of(f"times that two runs computed together, over {size} ended ones", together - 1),
        most("longest until an ended run had left the line", max(times), 1, "s"),
        none_of("places given back by another thread than the run's", site.look().strangers),
    ]


async def _end(visitor: Visitor, other: Visitor, way: str, seconds: float) -> asyncio.Task:
    """Press Run, and end the run after so many seconds; returns what the other one waits for."""
    joined = await visitor.join("run", _long())
    after = asyncio.create_task(other.call("compare", SMALL))
    async with visitor.page(), visitor.listen() as messages:
        listening = asyncio.create_task(_listen(messages))
        await asyncio.sleep(seconds)
        if way == "stop":
            await visitor.poke("_stop_1", [])
        elif way == "cancel":
            await visitor.cancel("run", joined.event)
        if way in ("stop", "cancel"):
            await asyncio.wait([listening], timeout=30)
        listening.cancel()
    return after


async def _listen(messages: Any) -> None:
    async for message in messages:
        if message["msg"] == "process_completed":
            return


def _long() -> list[Any]:
    """Four panels of thousands of steps."""
    inputs = form()
    inputs[5]["panels"] = [
        {"sampler": "hybrid", "preset": None, "params": {"steps": 4000}} for _ in range(4)
    ]
    return inputs
