"""The Frames of all panels, one step in turn: the part of a run that needs its models.

On a ZeroGPU Space it runs in a process of its own, with a GPU that is lent for the seconds that its
settings ask for. Only plain values go in, and only Frames, arrays of the CPU, come out; the plan is
made on both sides. Elsewhere the same generator runs here, on the plan that is there already.
"""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic
from typing import Any, NamedTuple

import torch

import lab
from lab.models.hub.connection import on_zero_gpu
from lab.record.trajectory import Frame
from lab.run.frames import frames
from lab.run.plan import Plan, plan
from lab.run.request import RunRequest
from lab.ui import zero_gpu
from lab.ui.error_text import explain

START, CALL = 15.0, 0.05  # seconds for models to move and for a call, more than either takes
MOST = 120.0  # seconds that are ever asked for: what ZeroGPU gives an unknown visitor in a day
SPARE = 10  # seconds in which the process itself starts and ends


@dataclass(frozen=True)
class PanelJob:
    """What one panel runs, as plain values.

    request: its model is a name. options: how lab.load opens a checkpoint of that name; None for a
    task, or a model that ships.
    """

    request: RunRequest
    options: dict[str, Any] | None = None

    @cached_property
    def plan(self) -> Plan:
        """The checked run, with its model opened. ValueError where it cannot be."""
        if self.options is None:
            return plan(self.request)
        model = lab.load(self.request.model, **self.options, device=self.request.device)
        return plan(replace(self.request, model=model))

    @property
    def calls(self) -> int:
        """Model calls, at most."""
        return self.plan.calls

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its plan, whose model stays where it is."""
        return PanelJob, (self.request, self.options)


class PanelFrame(NamedTuple):
    """One step of a panel; no frame: its run has ended, with an error in words or without."""

    panel: int
    frame: Frame | None
    error: str = ""


def panel_frames(jobs: Mapping[int, PanelJob]) -> Generator[PanelFrame, None, None]:
    """Run the panels of these numbers side by side.

    NoGpu, with the reason, where a Space has none to lend, or takes it back before the end.
    """
    if not on_zero_gpu():
        yield from LENT(jobs, math.inf)
        return
    seconds, running = gpu_seconds(jobs), set(jobs)
    for step in zero_gpu.on_gpu(LENT, jobs, seconds):
        if step.frame is None:
            running.remove(step.panel)
        yield step
    if running:
        raise zero_gpu.NoGpu(f"stopped after {seconds:.0f} s, for which the GPU was lent")


def gpu_seconds(jobs: Mapping[int, PanelJob]) -> float:
    """How long these runs may take on a GPU."""
    return min(MOST, START + CALL * sum(job.calls for job in jobs.values()))


def _in_turn(jobs: Mapping[int, PanelJob], seconds: float) -> Generator[PanelFrame, None, None]:
    """Advance the runs one step in turn, for so many seconds.

    Round robin, so that all panels grow together and each sampler's clock holds its own calls
    alone.
    """
    end = monotonic() + seconds
    runs = {number: _frames(job) for number, job in jobs.items()}
    try:
        while runs:
            for number, run in list(runs.items()):
                if monotonic() > end:
                    return
                step = _next(number, run)
                if step.frame is None:
                    del runs[number]
                yield step
    finally:
        for run in runs.values():
            run.close()


def _next(number: int, run: Generator[Frame, None, None]) -> PanelFrame:
    try:
        return PanelFrame(number, next(run, None))
    except Exception as error:
        return PanelFrame(number, None, explain(error))


@torch.no_grad()
def _frames(job: PanelJob) -> Generator[Frame, None, None]:
    if on_zero_gpu():
        zero_gpu.move(job.plan.model)
    yield from frames(job.plan)


def _duration(jobs: Mapping[int, PanelJob], seconds: float) -> int:
    return math.ceil(seconds) + SPARE


LENT = zero_gpu.lend(_in_turn, _duration)
