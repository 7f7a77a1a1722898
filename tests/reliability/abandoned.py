"""R2: large requests whose clients leave after half a second, or never listen at all.

The check of vLLM's tests/entrypoints/openai/test_basic.py (test_request_cancellation): afterwards
a fresh request is answered within five seconds.
"""

import asyncio
from time import monotonic

from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import LARGE, SMALL, Visitors, visitors
from tests.reliability.watched_app import Site

SIZE = 200
AT_ONCE = 20
LEAVE = 0.5  # seconds


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """`size` requests, a number of them at the same time; every second one is never listened to."""
    return asyncio.run(_check(site, size))


async def _check(site: Site, size: int) -> list[Figure]:
    async with visitors(site.url) as door:
        await door.new().call("compare", SMALL)
        before = site.look().memory
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*[_abandon(door, turns, number) for number in range(size)])
        began = monotonic()
        fresh = await door.new().call("compare", SMALL)
        seconds = monotonic() - began
        while site.look().line and monotonic() - began < 30:
            await asyncio.sleep(0.05)
        empty, look = monotonic() - began, site.look()
    return [
        most(f"a fresh request after {size} abandoned ones", seconds, 5, "s"),
        none_of("fresh requests that failed", int(fresh.kind != "complete")),
        most("until nobody stood in the line any more", empty, 5, "s"),
        none_of("runs that still computed then", look.computing),
        Figure("memory that they left behind", f"{look.memory - before:.0f} MB"),
    ]


async def _abandon(door: Visitors, turns: asyncio.Semaphore, number: int) -> None:
    async with turns:
        visitor = door.new()
        if number % 2:
            await visitor.call("compare", LARGE, LEAVE)
        else:
            await visitor.start("compare", LARGE)
            await asyncio.sleep(LEAVE)
