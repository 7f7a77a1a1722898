"""What a page may still ask about: the runs it shows, kept until they are replaced or too many.

A page shows one comparison, so one is kept a session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.record.row_record import RecordedSteps
from lab.record.trajectory import Trajectory
from lab.ui.film import Alternatives, Film, FilmPart, alternatives
from lab.ui.panel_value import PanelValue
from lab.ui.shelf import Shelf
from lab.ui.snippet import Code

CELLS = 8_000_000  # steps x columns kept in all; about 60 bytes each
SECONDS = 3600.0  # after which a comparison is given up


@dataclass
class PanelRecord:
    """One panel's run: its name, its film and its last value; the trajectory once it has ended.

    recent: what was recorded, in parts, while it goes on: copies made by the thread that runs it.
    """

    name: str
    film: Film = field(default_factory=Film)
    trajectory: Trajectory | None = None
    head: PanelValue | None = None
    recent: list[RecordedSteps] = field(default_factory=list)
    pieces: dict[int, str] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """Steps x columns."""
        return 0 if self.trajectory is None else self.trajectory.tokens.size

    def alternatives(self, step: int, position: int) -> Alternatives | None:
        """What the model thought of a position at a step; None where that is not known."""
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

    def _piece(self, token_id: int) -> str:
        return self.pieces.get(token_id, str(token_id))


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
        """A trajectory a panel; None for those without one."""
        return [panel.trajectory if panel else None for panel in self.panels]

    @property
    def runs(self) -> list[Trajectory]:
        """The trajectories that there are."""
        return [run for run in self.trajectories if run is not None]

    @property
    def cells(self) -> int:
        """Steps x columns of all panels that this page alone holds."""
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
    pages = (page for _, page in _PAGES.items())
    return next((page for page in pages if any(p and p.name == run for p in page.panels)), None)


def _panel(run: str) -> PanelRecord | None:
    page = runs_beside(run)
    panels = page.panels if page else ()
    return next((panel for panel in panels if panel and panel.name == run), None)


def film(run: str, start: int) -> FilmPart | None:
    """The steps of a run from `start` on; None where the run is not kept."""
    panel = _panel(run)
    return None if panel is None else panel.film.part(start)


def alternatives_of(run: str, step: int, position: int) -> Alternatives | None:
    """What the model thought of a position; None where the run is not kept, or has none."""
    panel = _panel(run)
    return None if panel is None else panel.alternatives(step, position)
