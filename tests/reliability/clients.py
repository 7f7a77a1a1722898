"""R1: many clients at once. Each is served or reads why not, and the app answers meanwhile."""

import asyncio
from collections import Counter
from time import monotonic

from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import SMALL, Visitors, visitors
from tests.reliability.watched_app import Site

SIZE = 50
PATIENCE = 120.0  # seconds


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """`size` clients who call at the same moment."""
    return asyncio.run(_check(site, size))


async def _check(site: Site, size: int) -> list[Figure]:
    async with visitors(site.url) as door:
        await door.new().call("compare", SMALL)  # models are loaded once
        began, stop = monotonic(), asyncio.Event()
        looks = asyncio.create_task(_answer_times(door, stop))
        calls = [door.new().call("compare", SMALL, PATIENCE) for _ in range(size)]
        answers = await asyncio.gather(*calls)
        seconds = monotonic() - began
        stop.set()
        times = await looks
    kinds = Counter(answer.kind for answer in answers)
    full = sum("waiting already" in answer.text for answer in answers)
    clear = kinds["complete"] + kinds["busy"] + full
    return [
        Figure(f"of {size} clients at once: served / told that the line is full",
               f"{kinds['complete']} / {kinds['busy'] + full}"),
        none_of("of them hung, or without a reason", size - clear),
        most("until the last of them was answered", seconds, PATIENCE, "s", 1),
        most("longest that the app took to answer `/config` meanwhile", max(times), 1, "s"),
    ]  # fmt: skip


async def _answer_times(door: Visitors, stop: asyncio.Event) -> list[float]:
    """How long `/config` took, asked ten times a second."""
    times = []
    while not stop.is_set():
        began = monotonic()
        await door.http.get("config")
        times.append(monotonic() - began)
        await asyncio.sleep(0.1)
    return times
