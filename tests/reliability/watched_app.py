"""The app with somebody watching: who computes, who stands in the line, what memory it takes.

In this process (`here`), or in one of its own that answers a line of its input with a Look
(`apart`): figures of memory want a process that holds nothing of the client's.
"""

import gc
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest import mock

import psutil

from lab.ui import page_runs, panel_frames, slot
from lab.ui.panel_frames import PanelFrame
from tests.kit.project import ROOT
from tests.kit.serving import served

OURS = re.compile(r'File "[^"]*[/\\](?:lab|samplers)[/\\][^"]*\.py"')


class Look(NamedTuple):
    """What was seen.

    most: the most runs that took a step at one time, since the look before; computing: those that
    do now; line: runs that stand in the line; strangers: places in it that a thread other than the
    run's own gave back, ever; late: steps begun since somebody pressed Stop; memory in MB; threads;
    handles: open files and sockets; pages: those whose runs are still held.
    """

    most: int
    computing: int
    line: int
    strangers: int
    late: int
    memory: float
    threads: int
    handles: int
    pages: int


class Watch:
    """Counts at every step, which misses nothing that a sample every 10 ms would see."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing = self._most = self._strangers = self._late = 0
        self._process = psutil.Process()

    def look(self) -> Look:
        with self._lock:
            most, self._most = self._most, self._computing
        process = self._process
        return Look(
            most, self._computing, len(slot.LINE), self._strangers, self._late,
            process.memory_info().rss / 1e6, process.num_threads(), process.num_fds(),
            len(list(page_runs._PAGES.items())),
        )  # fmt: skip

    @contextmanager
    def on(self) -> Iterator["Watch"]:
        next_step, leave, stop = panel_frames._next, slot.Line.leave, slot.stop

        def counted(number: int, run: Any) -> PanelFrame:
            with self._lock:
                self._computing += 1
                self._late += 1
                self._most = max(self._most, self._computing)
            try:
                return next_step(number, run)
            finally:
                with self._lock:
                    self._computing -= 1

        def noted(line: slot.Line, ticket: slot.Ticket) -> None:
            # A load (which has no visitor) waits on Gradio's own threads.
            if ticket.visitor is not None and threading.current_thread().name != "run":
                self._strangers += 1
            leave(line, ticket)

        def stopped(session: str) -> bool:
            if running := stop(session):
                self._late = 0
            return running

        with (
            mock.patch.object(slot, "stop", stopped),
            mock.patch.object(panel_frames, "_next", counted),
            mock.patch.object(slot.Line, "leave", noted),
        ):
            yield self


class Site(NamedTuple):
    """An app that is being served. output: what it has written to its log so far."""

    url: str
    look: Callable[[], Look]
    output: Callable[[], str]
    process: psutil.Process

    def yield_to_browser(self) -> None:
        """Let a browser on this machine go first, as one on another machine would."""
        if self.process.pid != os.getpid():
            self.process.nice(10)

    def tracebacks(self) -> list[str]:
        """The tracebacks in the log that go through our own files."""
        _, *parts = self.output().split("Traceback (most recent call last):")
        return [part for part in parts if OURS.search(part)]


@contextmanager
def here() -> Iterator[Site]:
    """The app in this process, for as long as the block lasts; its log is not kept."""
    from lab.ui import build

    with Watch().on() as watch:
        serving = served(build())
        yield Site(next(serving), watch.look, str, psutil.Process())
        next(serving, None)


@contextmanager
def apart(*options: str) -> Iterator[Site]:
    """The app in a process of its own, for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.reliability.watched_app", *options]
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(folder), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(Path(log.name).read_text("utf-8", "replace"))

            def look() -> Look:
                print(file=process.stdin, flush=True)
                return Look(*json.loads(process.stdout.readline()))

            def output() -> str:
                return Path(log.name).read_text("utf-8", "replace")

            yield Site(url, look, output, psutil.Process(process.pid))
        finally:
            process.kill()
            process.communicate()


def environment(folder: str) -> dict[str, str]:
    """Variables of a process that serves the app: no hub, no telemetry, one thread, files there."""
    return {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "GRADIO_TEMP_DIR": f"{folder}/gradio",
        "TMPDIR": folder,
    }


def main(options: list[str]) -> None:
    """Serve until the input ends. --no-collect: without Python's garbage collector."""
    if "--no-collect" in options:
        gc.disable()
    with here() as site:
        print(site.url, flush=True)
        for _ in sys.stdin:
            print(json.dumps(site.look()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
