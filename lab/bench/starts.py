"""Seconds until something can be used, each in a process of its own: imports, help, the page."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pandas as pd

from lab.bench.machine import machine_columns
from lab.bench.timing import spread
from lab.models.device import CPU
from lab.run import limits

ROOT = Path(__file__).parents[2]
LONGEST = 120.0  # seconds to wait for the page


def starts(repeats: int = 5) -> pd.DataFrame:
    """One line a way to start: seconds of the wall, from the process's birth to its use.

    For comparison: `nothing` is a Python process that imports nothing, and the page cannot open
    before `import gradio, torch` is through.
    """
    repeats = limits.whole("repeats", repeats, 1, 1000)
    ways: dict[str, Callable[[], float]] = {
        "nothing": lambda: _process("-c", ""),
        "import lab": lambda: _process("-c", "import lab"),
        "python -m lab --help": lambda: _process("-m", "lab", "--help"),
        "import gradio, torch": lambda: _process("-c", "import gradio, torch"),
        "python app.py, first page": _page,
    }
    lines = []
    for name, way in ways.items():
        way()
        line: dict[str, Any] = {"start": name}
        line |= spread([way() for _ in range(repeats)]).columns("seconds")
        lines.append(line | machine_columns(CPU))
    return pd.DataFrame(lines)


def _process(*arguments: str) -> float:
    began = perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - began


def _page() -> float:
    """Until the page was read whole over HTTP; the app is ended then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    began = perf_counter()
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        while perf_counter() - began < LONGEST and app.poll() is None:
            with (
                suppress(URLError, OSError),
                urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page,
            ):
                page.read()
                return perf_counter() - began
            sleep(0.01)
    finally:
        app.kill()
        app.wait()
    raise RuntimeError(f"the page did not open within {LONGEST:.0f} s")
