"""R7: hundreds of runs, each a visitor with a page of their own who leaves afterwards."""

import asyncio

from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import Answer, Visitors, form, visitors
from tests.reliability.watched_app import Look, Site

SIZE = 500
PART = 5  # after one part in so many, what is used over and over has been made


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """`size` runs of four panels, one after another."""
    return asyncio.run(_check(site, size))


async def _check(site: Site, size: int) -> list[Figure]:
    failures, looks, first = 0, [], max(1, size // PART)
    async with visitors(site.url) as door:
        for number in range(size):
            answer = await _run(door)
            failures += answer.kind != "complete"
            if number + 1 in (first, size):
                await asyncio.sleep(1)  # what a closed page leaves behind is dropped
                looks.append(site.look())
    before, after = looks
    return [
        none_of(f"of {size} runs failed", failures),
        none_of("runs that closed pages left behind", after.pages - before.pages),
        *_growth(before, after, size - first),
    ]


def _growth(before: Look, after: Look, rest: int) -> list[Figure]:
    return [
        most(f"memory that the last {rest} added", after.memory - before.memory, 50, "MB", 0),
        most("threads that they added", after.threads - before.threads, 2, "", 0),
        most("open files and sockets that they added", after.handles - before.handles, 2, "", 0),
        Figure("memory of the app then", f"{after.memory:.0f} MB"),
    ]


async def _run(door: Visitors) -> Answer:
    async with door.new().page() as visitor:
        answer = await visitor.press("run", form())
        await visitor.poke("after_run", [None])
        return answer
