"""A press of Measure as a plain generator: the panels' settings on a case, a few rows at a time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import pandas as pd

from lab.models.catalogue import served
from lab.run import limits
from lab.study.cells import Cell
from lab.study.measure import batches
from lab.study.spec import Setting
from lab.study.summary import of_case, summarise
from lab.ui import own_points, picture, slot
from lab.ui.error_text import explain
from lab.ui.picture import MARKED
from lab.ui.settings_form import PanelSettings

WORK = 10 * limits.APP_WORK  # calls x columns x rows of one press: some minutes on two cores
LEAST, MOST = 10, 500  # instances that may be asked for
BATCH = 10  # rows between two updates of the picture
DRAWN = 1000  # instances of a case that the atlas has nothing of


class _Stopped(Exception):
    """The visitor, or the clock, ended a measurement between two steps."""


@dataclass
class LiveStudy:
    """One press of Measure.

    key: whose points they become. After `updates` has ended, `status` says how.
    """

    task: str
    case: str
    count: int
    panels: Sequence[PanelSettings | None]
    key: str
    stop: threading.Event = field(default_factory=threading.Event)
    visitor: str | None = None
    status: str = ""
    _refusals: list[str] = field(default_factory=list)
    _seconds: float = 0.0
    _began: float = 0.0

    def updates(self, ready: Callable[[], bool] = lambda: True) -> Iterator[str]:
        """Measure until all rows are there or `stop` is set; yields the status as points come."""
        try:
            cells = self._cells()
            with slot.LINE.ticket(self.visitor) as ticket:
                while place := ticket.wait(slot.WAIT):
                    if self.stop.is_set():
                        raise _Stopped("stopped before it began")
                    if ready():
                        yield slot.waiting(place)
                self._began = monotonic()
                yield from self._measure(cells, ticket)
            self.status = self._ending(f"{self.count} rows of each of {len(cells)} settings")
        except _Stopped as reason:
            self.status = self._ending(f"{reason}; what was measured stays")
        except Exception as error:
            self.status = f"✕ {explain(error)}"
        yield self.status

    def _ending(self, text: str) -> str:
        return " · ".join([f"Measured: {text}, {self._seconds:.0f} s", *self._refusals])

    def _cells(self) -> list[Cell]:
        """One cell a panel that can run; ValueError where none can, or they are too much work."""
        limits.whole("instances", self.count, LEAST, MOST)
        models = served(self.task)
        known = of_case(picture.atlas(), self.task, self.case)["instances"]
        drawn = int(known.iloc[0]) if len(known) else DRAWN
        cells = []
        for number, panel in enumerate(self.panels, 1):
            if panel is None:
                continue
            if panel.sampler not in models:
                self._refusals.append(f"panel {number}: {panel.sampler} fits no model of the task")
                continue
            setting = Setting(panel.sampler, panel.preset, panel.params)
            try:
                setting.bind()
            except (ValueError, KeyError) as error:
                self._refusals.append(f"panel {number}: {error}")
                continue
            model, size = models[panel.sampler], max(drawn, self.count)
            cell = Cell(self.task, self.case, model, setting, 0, size)
            cells.append(replace(cell, rows=self.count, most_rows=BATCH))
        if not cells:
            raise ValueError("no panel can be measured here: " + ("; ".join(self._refusals) or
                             "choose a sampler for at least one panel of Compare"))  # fmt: skip
        work = sum(cell.work for cell in cells)
        if work > WORK:
            raise ValueError(
                f"this is too expensive: at most {WORK:,} model calls x columns x rows, this may "
                f"need {work:,}; measure fewer instances, lower steps, or use fewer panels"
            )
        return cells

    def _measure(self, cells: list[Cell], ticket: slot.Ticket) -> Iterator[str]:
        """Rows of all cells in turn, so that their points come and sharpen together."""
        parts = [batches(cell, "page", lambda: self._between(ticket)) for cell in cells]
        rows: list[list[dict[str, Any]]] = [[] for _ in cells]
        running = set(range(len(cells)))
        while running:
            for number in sorted(running):
                batch = next(parts[number], None)
                if batch is None:
                    running.remove(number)
                    continue
                rows[number] += batch
                own_points.add(self.key, live_points(rows[number]), self.visitor or "")
                done = sum(map(len, rows))
                yield f"Measuring: {done} of {self.count * len(cells)} rows"

    def _between(self, ticket: slot.Ticket) -> None:
        """Between two steps: whether to end, and whether it is somebody else's turn."""
        now = monotonic()
        self._seconds, self._began = self._seconds + now - self._began, now
        if self.stop.is_set():
            raise _Stopped("stopped")
        if self._seconds > slot.SECONDS:
            raise _Stopped(f"stopped after {slot.SECONDS:.0f} s, the longest it may compute")
        if ticket.turn_is_over():
            ticket.to_the_end()
            while ticket.wait(slot.WAIT) and not self.stop.is_set():
                pass
            self._began = monotonic()


def live_points(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as points whose setting's name says that they were measured here."""
    points = summarise(pd.DataFrame(rows))
    return points.assign(setting=points["setting"] + MARKED[0])
