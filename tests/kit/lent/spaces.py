"""A stand-in for the package `spaces` of a ZeroGPU Space (0.51): a process is forked for each call.

As there, what goes in and comes out is pickled and nothing else comes back; the process does not
wait for whoever takes its items; closed, it ends after its step; an error comes back as gr.Error
with the name of its class; and who takes longer than was asked for is killed. `seconds` holds what
was asked for, call by call, `refusal` the words with which the next one gets no GPU. An app that is
started with it writes into spaces.log of its TMPDIR.
"""

import multiprocessing
import os
import pickle
import queue
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

seconds: list[float] = []
refusal: str | None = None
_FORK: Any = multiprocessing.get_context("fork")


def _note(line: str) -> None:
    if __name__ == "spaces":  # installed, not imported by a test
        with (Path(os.environ["TMPDIR"]) / "spaces.log").open("a") as log:
            print(line, file=log)


# On a Space it must come before anything that may use CUDA.
_note(f"imported {'after' if 'torch' in sys.modules else 'before'} torch")


def GPU(duration: Callable[..., float]) -> Callable[[Callable], Callable]:
    """The decorator, for generators and a duration that follows from their arguments."""

    def decorate(task: Callable) -> Callable:
        def lent(*arguments: Any) -> Iterator[Any]:
            seconds.append(duration(*arguments))
            _note(f"asked for {seconds[-1]} s")
            if refusal is not None:
                raise gr.Error(refusal)
            stop, (receiver, sender) = _FORK.Event(), _FORK.Pipe(False)
            work = (task, pickle.dumps(arguments), sender, stop)
            process = _FORK.Process(target=_work, args=work, daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the threads that a fork leaves behind
                process.start()
            sender.close()
            timer = threading.Timer(seconds[-1], process.kill)
            timer.start()
            items: queue.Queue = queue.Queue()
            threading.Thread(target=_fetch, args=(receiver, items), daemon=True).start()
            try:
                yield from _items(items, stop)
            finally:
                process.join()
                timer.cancel()

        return lent

    return decorate


def _items(items: queue.Queue, stop: Any) -> Iterator[Any]:
    while True:
        kind, value = items.get()
        if kind == "end":
            return
        if kind == "error":
            raise gr.Error(value)
        try:
            yield value
        except GeneratorExit:
            stop.set()
            raise


def _fetch(receiver: Any, items: queue.Queue) -> None:
    with suppress(EOFError):
        while True:
            items.put(receiver.recv())
    items.put(("error", "GPU task aborted"))


def _work(task: Callable, arguments: bytes, sender: Any, stop: Any) -> None:
    try:
        run = task(*pickle.loads(arguments))
        for item in run:
            if stop.is_set():
                run.close()
                break
            sender.send(("item", item))
        sender.send(("end", None))
    except Exception as error:
        sender.send(("error", type(error).__name__))
