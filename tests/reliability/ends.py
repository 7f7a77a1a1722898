"""R8: the server is ended, or killed, while it computes and while it writes files."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx

from lab.record import files
from tests.kit.project import ROOT
from tests.reliability import Figure, most, none_of
from tests.reliability.visitor import LARGE, visitors
from tests.reliability.watched_app import environment

SIZE = 10
WRITER = """
import sys
import lab
runs = lab.run("mdlm", "sudoku6", template="[MASK]*36", steps=300, rows=8, seed=1)
print("ready", flush=True)
while True:
    lab.save(runs, sys.argv[1])
"""


def check(size: int = SIZE) -> list[Figure]:
    """One SIGTERM in a run, a restart on the same port, and `size` SIGKILLs amid writing a file."""
    with TemporaryDirectory() as folder:
        port, (seconds, again) = free_port(), (0.0, 0.0)
        seconds, again = asyncio.run(_terminate(folder, port))
        broken, parts = _kill(Path(folder), size)
    return [
        most("from SIGTERM in a run to the end of the process", seconds, 3, "s"),
        Figure("a new start on the same port, until it answers", f"{again:.1f} s"),
        none_of(f"files that {size} SIGKILLs amid writing left cut short", broken),
        none_of("unfinished files that they left once the next one was written", parts),
    ]


async def _terminate(folder: str, port: int) -> tuple[float, float]:
    first, _ = serve(folder, port)
    async with visitors(f"http://127.0.0.1:{port}/") as door:
        call = asyncio.create_task(door.new().call("compare", LARGE))
        await asyncio.sleep(3)
        began = monotonic()
        first.terminate()
        first.wait()
        seconds = monotonic() - began
        await asyncio.gather(call, return_exceptions=True)
    second, again = serve(folder, port)
    second.kill()
    second.wait()
    return seconds, again


def serve(folder: str, port: int, **variables: str) -> tuple[subprocess.Popen, float]:
    """`python app.py` as a user starts it, and the seconds until it answered."""
    began = monotonic()
    served = {**environment(folder), "GRADIO_SERVER_PORT": str(port), **variables}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=served,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/config")
            return process, monotonic() - began
        except httpx.TransportError:
            if process.poll() is not None:
                raise RuntimeError("app.py ended before it answered") from None
            sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _kill(folder: Path, size: int) -> tuple[int, int]:
    """How many files were not whole after a kill, and how many parts are left in the end."""
    broken, target = 0, folder / "runs.json"
    for number in range(size):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target)], cwd=ROOT, env=environment(str(folder)),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        process.stdout.readline()
        while not target.exists():
            sleep(0.01)
        sleep(0.05 + 0.037 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        try:
            broken += len(files.read(target)) != 8
        except ValueError:
            broken += 1
    files.save(files.read(target), target)
    return broken, len(list(folder.glob(".*.part")))
