"""R14: clients that read one byte a second of a long run, beside as many that read at once."""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import LARGE, SMALL, Visitors, visitors
from tests.reliability.watched_app import Site

SIZE = 6
SECONDS = 60.0
BRIEF = (*LARGE[:6], {"steps": 2}, "none")


def check(site: Site, size: int = SIZE, seconds: float = SECONDS) -> list[Figure]:
    """`size` readers for so many seconds, after as many quick ones for the same time."""
    return asyncio.run(_check(site, size, seconds))


async def _check(site: Site, size: int, seconds: float) -> list[Figure]:
    async with visitors(site.url) as door:
        await door.new().call("compare", BRIEF)  # its model is loaded
        start = site.look().memory
        quick = await _peak(site, [_read(door) for _ in range(size)], seconds) - start
        start = site.look().memory
        readers = [_read_slowly(site, door) for _ in range(size)]
        slow = await _peak(site, readers, seconds) - start
        fresh = await door.new().call("compare", SMALL)
    return [
        Figure("memory of a run with a quick reader", f"{quick / size:.1f} MB"),
        most(f"beyond it with a slow one ({size} of them, 1 byte/s, {seconds:.0f} s)",
             max(0, slow - quick) / size, 5, "MB", 1),
        none_of("fresh requests that failed afterwards", int(fresh.kind != "complete")),
    ]  # fmt: skip


async def _peak(site: Site, readers: list, seconds: float) -> float:
    """The most memory while they read, in MB."""
    tasks, peak = [asyncio.create_task(reader) for reader in readers], 0.0
    for _ in range(round(seconds * 4)):
        await asyncio.sleep(0.25)
        peak = max(peak, site.look().memory)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    while site.look().line:
        await asyncio.sleep(0.1)
    return peak


async def _read(door: Visitors) -> None:
    await door.new().call("compare", LARGE, 10 * SECONDS)


async def _read_slowly(site: Site, door: Visitors) -> None:
    joined = await door.new().start("compare", LARGE)
    where = urlsplit(site.url)
    connection = socket.socket()
    # The kernel would take megabytes for a reader who is on the same machine.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((where.hostname, where.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1)
    try:
        request = f"GET /gradio_api/call/compare/{joined.event} HTTP/1.1\r\n"
        writer.write(f"{request}Host: {where.netloc}\r\n\r\n".encode())
        while await reader.read(1):
            await asyncio.sleep(1)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
