"""What a page may still ask about: the runs it shows, kept until they are replaced or too many.

A page shows one comparison, so one is kept a session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lab.record.row_record import RecordedSteps
from lab.record.trajectory import Trajectory
from lab.ui.film import Alternatives, Film, FilmPart, alternatives
from lab.ui.filters_text import FiltersText, filters_text
from lab.ui.panel_value import PanelValue
from lab.ui.shelf import Shelf
from lab.ui.snippet import Code

CELLS_SENT = 50_000  # of uncertainty in one answer: some 400 kB
CELLS = 8_000_000  # steps x columns kept in all; about 80 bytes each
BESIDES = 200  # cells that a panel takes besides, however short its run: settings, words, film
SECONDS = 3600.0  # after which a comparison is given up


@dataclass
class PanelRecord:
    """One panel's run: its name, its film and its last value; the trajectory once it has ended.

    recent: what was recorded, in parts, while it goes on: copies made by the thread that runs it.
    others: records of the run's second row and later ones, once it has ended, each with a name.
    filters: what acts on a draw; None where only a trajectory knows.
    """

    name: str
    film: Film = field(default_factory=Film)
    trajectory: Trajectory | None = None
    head: PanelValue | None = None
    recent: list[RecordedSteps] = field(default_factory=list)
    pieces: dict[int, str] = field(default_factory=dict)
    others: list["PanelRecord"] = field(default_factory=list)
    filters: FiltersText | None = None

    @property
    def rows(self) -> list["PanelRecord"]:
        """The records of all rows, this one first."""
        return [self, *self.others]

    @property
    def runs(self) -> list[Trajectory]:
        """The trajectories of all rows, as far as there are any."""
        return [row.trajectory for row in self.rows if row.trajectory is not None]

    @property
    def cells(self) -> int:
        """Steps x columns of all rows, and what the panel takes besides."""
        return BESIDES + sum(run.tokens.size for run in self.runs)

    def filters_text(self) -> FiltersText:
        """What acts on a draw of this run, in words."""
        if self.filters is None:
            run = self.trajectory
            params = run and run.settings.get("params")
            self.filters = filters_text(run.sampler if run else "", params)
        return self.filters

    def alternatives(self, step: int, position: int) -> Alternatives | None:
        """What the model thought of a position at a step; None where that is not known."""
        answer = self._alternatives(step, position)
        return answer and {**answer, "filters": self.filters_text().line(answer["after"])}

    def _alternatives(self, step: int, position: int) -> Alternatives | None:
        run = self.trajectory
        if run is not None:
            inside = position < run.tokens.shape[1]
            return alternatives(run, step, position, run.piece) if inside else None
        for part in reversed(list(self.recent)):
            if position >= part.tokens.shape[1]:
                return None
            answer = alternatives(part, step - part.since, position, self._piece)
            if answer:
                return {**answer, "step": answer["step"] + part.since}
        return None

    def uncertainty(self, start: int) -> list[list[Any]]:
        """What calls said from step `start` on, counted from 0, as far as it is recorded, for about
        CELLS_SENT cells at most. Of a step: where its window begins, entropies in hundredths of
        nats and most likely ids over the window, -1 where there are none.
        """
        run = self.trajectory
        lines: list[list[Any]] = []
        # Parts follow on one another.
        for part in [run.steps_since(start)] if run is not None else list(self.recent):
            for s in range(max(0, start - part.since), len(part.calls)):
                window = slice(int(part.start[s]), int(part.stop[s]))
                nats = np.nan_to_num(100 * part.entropy[s, window], nan=-1).round().astype(int)
                best = part.predicted if part.top_ids is None else part.top_ids[..., 0]
                lines.append([window.start, nats.tolist(), best[s, window].tolist()])
                if len(lines) * part.tokens.shape[1] > CELLS_SENT:
                    return lines
        return lines

    def _piece(self, token_id: int) -> str:
        return self.pieces.get(token_id, str(token_id))


class Place(NamedTuple):
    """number: of the panel, from 0; row: the record of one of its rows."""

    number: int
    row: PanelRecord


@dataclass
class PageRuns:
    """What one page shows: a record a panel (None: empty), and the Python that gets the same.

    shared: its trajectories are the app's own, which no page adds to.
    """

    panels: Sequence[PanelRecord | None]
    code: Code
    shared: bool = False

    @property
    def trajectories(self) -> list[Trajectory | None]:
        """A trajectory a panel, that of its first row; None for those without one."""
        return [panel.trajectory if panel else None for panel in self.panels]

    @property
    def runs(self) -> list[Trajectory]:
        """The trajectories of all rows that there are."""
        return [run for panel in self.panels if panel for run in panel.runs]

    def place_of(self, run: str) -> Place | None:
        """Where the run of this name is; None where it is not shown."""
        for number, panel in enumerate(self.panels):
            for row in panel.rows if panel else ():
                if row.name == run:
                    return Place(number, row)
        return None

    @property
    def cells(self) -> int:
        """The cells of all panels that this page alone holds."""
        return 0 if self.shared else sum(panel.cells for panel in self.panels if panel)


_PAGES: Shelf[PageRuns] = Shelf(CELLS, SECONDS, lambda page: page.cells)  # by session


def keep(session: str, runs: PageRuns, visitor: str = "") -> None:
    """Keep what this session's page shows, instead of what it showed before."""
    _PAGES.put(session, runs, visitor)


def trim() -> None:
    """Give up what is too old or too much."""
    _PAGES.trim()


def drop(session: str) -> None:
    """Forget what this session's page shows."""
    _PAGES.drop(session)


def of_session(session: str) -> PageRuns | None:
    """What this session's page shows; None where nothing is kept."""
    return _PAGES.get(session)


def runs_beside(run: str) -> PageRuns | None:
    """The runs of the page that shows this one; None where it is not held."""
    page, _ = _search(run)
    return page


def _search(run: str) -> tuple[PageRuns, Place] | tuple[None, None]:
    """The page that shows a run, and where on it."""
    for _, page in _PAGES.items():
        if place := page.place_of(run):
            return page, place
    return None, None


def panel_of(run: str) -> PanelRecord | None:
    """The record of the panel that a run, of any of its rows, is shown in; None where none is."""
    page, place = _search(run)
    return page.panels[place.number] if page and place else None


def record_of(run: str) -> PanelRecord | None:
    """The record of a run of this name; None where it is not kept."""
    _, place = _search(run)
    return place and place.row


def film(run: str, start: int) -> FilmPart | None:
    """The steps of a run from `start` on; None where the run is not kept."""
    _, place = _search(run)
    return place and place.row.film.part(start)


def alternatives_of(run: str, step: int, position: int) -> Alternatives | None:
    """What the model thought of a position; None where the run is not kept, or has none."""
    _, place = _search(run)
    return place and place.row.alternatives(step, position)
