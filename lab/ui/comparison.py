"""A press of Run as a plain generator: panels advanced in turn, pushed at a pace to follow."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

from lab.models.hub.connection import on_zero_gpu
from lab.run import limits
from lab.ui import slot
from lab.ui.page_runs import PageRuns
from lab.ui.panel_frames import PanelFrame, panel_frames
from lab.ui.panel_run import PanelRun
from lab.ui.panel_value import PanelValue
from lab.ui.quality import best
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings
from lab.ui.snippet import snippet
from lab.ui.zero_gpu import NoGpu

PAUSE = 0.1  # seconds between two updates, at least: 10 a second
SHARE = 8  # updates may take one part in this many of the time
LONGEST_PAUSE = 1.0  # seconds: a machine under load still shows that something happens


@dataclass(frozen=True)
class Update:
    """What a page shows now: a value a panel, one line of status; over: nothing follows."""

    values: list[PanelValue]
    status: str
    over: bool = False


class Run:
    """One press of Run: its panels, their records, and who may stop it."""

    def __init__(
        self,
        inputs: RunInputs,
        settings: Sequence[PanelSettings | None],
        stop: threading.Event | None = None,
        visitor: str | None = None,
        snapshots: bool = False,
        origin: str = "",
    ):
        self.panels = [PanelRun(inputs, one, snapshots, origin) for one in settings]
        self.stop, self.origin = stop or threading.Event(), origin
        self.visitor = visitor
        records = [panel.record if panel.settings else None for panel in self.panels]
        code = snippet(inputs, [one for one in settings if one])
        self.comparison = PageRuns(records, code)
        self.seconds = 0.0  # of computing, without those of waiting
        self.refusal = ""
        self._begun = False  # whether the first step has come
        self._values = [panel.value() for panel in self.panels]
        self._changed: set[int] = set()

    def updates(self, ready: Callable[[], bool] = lambda: True) -> Iterator[Update]:
        """Run the panels side by side until all have ended or `stop` is set.

        ready: whether the page has taken the update before; asked after every step, so that a slow
        page holds nothing up and misses no step. The last state is always yielded.
        """
        reason = "stopped"
        try:
            with slot.LINE.ticket(self.visitor) as ticket:
                reason = yield from self._compute(ticket, ready)
        except slot.NoPlace as error:
            reason = self.refusal = str(error)
        except NoGpu as error:
            reason = str(error)
            self.refusal = "" if self._begun else reason
        finally:
            for panel in self.panels:
                panel.stop(reason)
                panel.release()
        yield self._update(range(len(self.panels)), over=True)

    def _compute(
        self, ticket: slot.Ticket, ready: Callable[[], bool]
    ) -> Generator[Update, None, str]:
        """Take turns with other visitors; returns why the run was ended."""
        budget = limits.APP_WORK
        while place := ticket.wait(slot.WAIT):
            if self.stop.is_set():
                return "stopped before it began"
            if ready():
                yield Update(self._values, slot.waiting(place))
        if self.stop.is_set():  # while it waited: nothing is begun for nobody
            return "stopped before it began"
        for panel in self.panels:
            budget = panel.open(budget)
        if ready():
            yield self._update(range(len(self.panels)))
        jobs = {k: panel.job for k, panel in enumerate(self.panels) if panel.kind == "running"}
        if not jobs:
            return ""
        with closing(panel_frames(jobs)) as frames:
            return (yield from self._take(frames, ticket, ready))

    def _take(
        self, frames: Iterator[PanelFrame], ticket: slot.Ticket, ready: Callable[[], bool]
    ) -> Generator[Update, None, str]:
        """Take the steps as they come, each in its panel; returns as _compute."""
        began = monotonic()
        pushed, cost = began - PAUSE, 0.0  # the first step is shown at once
        for step in frames:
            self.panels[step.panel].take(step)
            self._changed.add(step.panel)
            now = monotonic()
            if self._begun:  # a GPU may have been waited for
                self.seconds += now - began
            began, self._begun = now, True
            if self.stop.is_set():
                return "stopped"
            if self.seconds > slot.SECONDS:
                return f"stopped after {slot.SECONDS:.0f} s, the longest that a run may compute"
            before_calls = step.frame is not None and step.frame.step == 0
            due = now - pushed >= min(max(PAUSE, SHARE * cost), LONGEST_PAUSE)
            if not before_calls and ready() and due:
                yield self._update(self._changed)
                pushed = monotonic()
                cost = pushed - now
            if not on_zero_gpu() and ticket.turn_is_over():  # a GPU that is lent would compute on
                yield from self._let_others(ticket, ready)
                began = monotonic()
        return ""

    def _let_others(self, ticket: slot.Ticket, ready: Callable[[], bool]) -> Iterator[Update]:
        """Go to the end of the line, between two steps."""
        ticket.to_the_end()
        while (place := ticket.wait(slot.WAIT)) and not self.stop.is_set():
            if ready():
                yield Update(self._values, slot.waiting(place))

    def _update(self, numbers: Sequence[int] | set[int], over: bool = False) -> Update:
        # A new list of new values: Gradio sends what differs from the one before.
        self._values = [
            panel.value() if number in numbers else value
            for number, (panel, value) in enumerate(zip(self.panels, self._values, strict=True))
        ]
        if over:
            marks = best([panel.costs for panel in self.panels])
            for value, names in zip(self._values, marks, strict=True):
                value["best"] = names
        self._changed.clear()
        return Update(self._values, self.status(), over)

    def status(self) -> str:
        """One line on how the panels stand."""
        if self.refusal:
            return f"✕ {self.refusal}"
        kinds = [panel.kind for panel in self.panels if panel.kind != "empty"]
        if not kinds:
            return "Choose a sampler for at least one panel"
        if on_zero_gpu() and "running" in kinds and not self._begun:
            return "Waiting for a GPU"
        counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
        return f"{', '.join(counts)} · {self.seconds:.1f} s"
