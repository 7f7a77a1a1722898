"""Seconds of a step: the model's own and the whole, without what is spent on looking."""

from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from numpy import ndarray


class Clock(Protocol):
    """model [B]: seconds of the model for each row so far."""

    model: ndarray

    def now(self) -> Any:
        """A mark in time."""

    def add(self, rows: ndarray, began: Any, done: Any, looked: Any) -> None:
        """A call for these rows [B]: from `began` to `done`, then looked at until `looked`."""

    def begin(self) -> None:
        """A step begins."""

    def worked(self) -> None:
        """The sampler has handed its step out."""

    def step(self) -> float:
        """Seconds of the step, once its values are on the CPU."""


class ProcessorClock:
    """Where a call has been computed when it returns."""

    def __init__(self, rows: int):
        self.model = np.zeros(rows)
        self._began = self._seconds = self._looking = 0.0

    def now(self) -> float:
        return perf_counter()

    def add(self, rows: ndarray, began: float, done: float, looked: float) -> None:
        self.model = self.model + rows * (done - began)
        self._looking += looked - done

    def begin(self) -> None:
        self._looking, self._began = 0.0, perf_counter()

    def worked(self) -> None:
        self._seconds = perf_counter() - self._began - self._looking

    def step(self) -> float:
        return self._seconds


class CudaClock:
    """Where a call returns before it is computed: marks are events in the GPU's own queue."""

    def __init__(self, rows: int):
        self.model = np.zeros(rows)
        self._began = 0.0
        self._calls: list[tuple[ndarray, Any, Any, Any]] = []

    def now(self) -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def add(self, rows: ndarray, began: Any, done: Any, looked: Any) -> None:
        self._calls.append((rows, began, done, looked))

    def begin(self) -> None:
        self._began = perf_counter()

    def worked(self) -> None:
        """Nothing yet: what was handed out is still being computed."""

    def step(self) -> float:
        # The values came after everything that was asked for before them.
        seconds = perf_counter() - self._began
        for rows, began, done, looked in self._calls:
            self.model = self.model + rows * (began.elapsed_time(done) / 1000)
            seconds -= done.elapsed_time(looked) / 1000
        self._calls.clear()
        return max(0.0, seconds)


def clock(device: torch.device, rows: int) -> Clock:
    """The clock of that device for a batch of rows."""
    return CudaClock(rows) if device.type == "cuda" else ProcessorClock(rows)
