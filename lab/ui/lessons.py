"""Lessons: recorded comparisons that play at once, each with a sentence on what to look for.

assets/lessons/lessons.json says what each compares; `python -m lab.ui.lessons [NAME ...]` runs them
and writes the recordings beside it, one JSON file a lesson, as lab.save does.
"""

import json
import sys
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any
from uuid import uuid4

from lab.record import files
from lab.record.trajectory import Trajectory
from lab.tasks.task import kind_of
from lab.ui.assets import ASSETS
from lab.ui.film import Film, whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel_value import PanelValue, metrics_of, panel_value, subtitle, verdict
from lab.ui.run_inputs import RunInputs
from lab.ui.safe_text import visible
from lab.ui.settings_form import PANELS, FormValue, PanelSettings
from lab.ui.snippet import snippet
from lab.ui.tasks import misfits
from samplers import get

FOLDER = ASSETS / "lessons"


@dataclass(frozen=True)
class Lesson:
    """What is compared: panels on one text of a task. text: what to look for, in a few words."""

    name: str
    title: str
    text: str
    task: str
    prompt: str
    seed: int
    panels: tuple[PanelSettings, ...]

    @property
    def kind(self) -> str:
        """Whether the text is a prompt or a template."""
        return kind_of(self.prompt)

    @property
    def inputs(self) -> RunInputs:
        """What all panels share."""
        if "[MASK]" in self.prompt:
            return RunInputs(self.task, template=self.prompt, seed=self.seed)
        return RunInputs(self.task, self.prompt, seed=self.seed)

    def form(self) -> FormValue:
        """The settings that repeat it."""
        panels: list[dict[str, Any] | None] = [asdict(panel) for panel in self.panels]
        panels += [None] * (PANELS - len(panels))
        return {
            "shared": {}, "panels": panels, "initial": panels, "fits": misfits(self.task),
            "task": self.task,
        }  # fmt: skip


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in the order of their cards."""
    entries = json.loads((FOLDER / "lessons.json").read_text(encoding="utf-8"))
    return tuple(
        Lesson(**{**entry, "panels": tuple(PanelSettings(**one) for one in entry["panels"])})
        for entry in entries
    )


@cache
def recording(name: str) -> tuple[tuple[Trajectory, Film], ...]:
    """The runs of a lesson, as they were recorded, and their films."""
    runs = files.read(FOLDER / f"{name}.json")
    return tuple((run, whole_film(run)) for run in runs)


def show(lesson: Lesson) -> tuple[list[PanelValue], PageRuns]:
    """A value a panel that plays from its first step, and the records behind them.

    Each showing has names of its own, so that a page that shows a lesson twice plays it twice.
    """
    values, records = [], []
    for panel, (run, film) in zip(lesson.panels, recording(lesson.name), strict=True):
        sampler = get(panel.sampler)
        record = PanelRecord(uuid4().hex, film, run)
        record.head = panel_value(
            "done", record.name, title=sampler.title,
            subtitle=subtitle(sampler, run.card["name"], run.settings["params"], "recorded"),
            metrics=metrics_of(run), verdict=verdict(run), text=visible(run.text), play=True,
            **film.part(0),
        )  # fmt: skip
        values.append(record.head)
        records.append(record)
    empty = PANELS - len(records)
    values += [panel_value("empty", uuid4().hex) for _ in range(empty)]
    code = snippet(lesson.inputs, lesson.panels)
    return values, PageRuns([*records, *[None] * empty], code, shared=True)


def record(lesson: Lesson) -> list[Trajectory]:
    """Run a lesson anew."""
    import lab

    runs = []
    for panel in lesson.panels:
        preset = {"preset": panel.preset} if panel.preset else {}
        arguments = {**lesson.inputs.arguments, **preset, **panel.params}
        runs += lab.run(panel.sampler, lesson.task, **arguments)
    return runs


if __name__ == "__main__":
    for each in lessons():
        if sys.argv[1:] and each.name not in sys.argv[1:]:
            continue
        files.save(record(each), FOLDER / f"{each.name}.json")
