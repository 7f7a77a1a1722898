"""One panel's run: opened, recorded step by step, and drawn as the JSON value of its panel."""

from dataclasses import asdict
from typing import Any
from uuid import uuid4

from lab.record.metrics import drafts
from lab.run import limits
from lab.run.recorder import Recorder
from lab.run.request import RunRequest
from lab.ui import loaded_models
from lab.ui.atlas_line import atlas_line, atlas_point
from lab.ui.error_text import explain
from lab.ui.filters_text import filters_text
from lab.ui.many_rows import mean_lines, row_results
from lab.ui.page_runs import PanelRecord
from lab.ui.panel_frames import PanelFrame, PanelJob
from lab.ui.panel_value import Kind, PanelMetrics, PanelValue, panel_value, subtitle, verdict
from lab.ui.quality import costs, nats_of, quality_lines
from lab.ui.run_inputs import RunInputs
from lab.ui.safe_text import visible
from lab.ui.settings_form import PanelSettings
from lab.ui.tasks import check_task
from samplers import get
from samplers.canvas import Canvas


class PanelRun:
    """A panel's run. Whatever goes wrong in it is shown in its panel, never raised."""

    def __init__(
        self,
        inputs: RunInputs,
        settings: PanelSettings | None,
        snapshots: bool = False,
        origin: str = "",
    ):
        """snapshots: whether the record's trajectory is kept up to date while the run goes on.

        origin: what the run goes on from, in words.
        """
        self.inputs, self.settings, self.snapshots = inputs, settings, snapshots
        self.origin = origin
        self.kind: Kind = "empty" if settings is None else "waiting"
        self.message = ""
        self.record = PanelRecord(uuid4().hex)
        self.costs: dict[str, float] = {}  # once it is done: numbers that are better the lower
        self.job: PanelJob | None = None
        self._run: Recorder | None = None
        self._metrics = PanelMetrics(False)
        self._subtitle, self._notes = "", list[str]()
        self._point: dict[str, Any] | None = None

    def open(self, budget: int) -> int:
        """Check everything, make no call yet; returns what is left of the budget of work."""
        if self.settings is None:
            return budget
        settings, inputs = self.settings, self.inputs
        try:
            check_task(inputs.task)
            self.job = job(inputs, settings)
            run = Recorder(self.job.plan)
            budget = _left(run.plan.work, budget)
        except Exception as error:
            self._fail(explain(error))
            return budget
        card = run.plan.model.card
        self._subtitle = subtitle(run.plan.sampler, card.name, run.plan.values, self.origin)
        self._notes = notes(run.plan.canvas, card.attention)
        self._metrics = PanelMetrics(drafts(asdict(card)))
        self.record.film.begin(run.steps_since(0, 0), run.plan.task, asdict(card), run.pieces)
        self.record.filters = filters_text(run.plan.sampler.name, run.plan.values)
        self._run, self.kind = run, "running"
        return budget

    def take(self, step: PanelFrame) -> None:
        """Take the run's next step, or how it has ended."""
        if self.kind != "running" or self._run is None:
            return
        if step.error:
            self._fail(step.error)
        elif step.frame is None:
            self.kind = "done"
        else:
            try:
                self._run.record(step.frame)
            except Exception as error:
                self._fail(explain(error))

    def stop(self, reason: str) -> None:
        """End the run where it stands; what was recorded stays."""
        if self._run is not None:
            self._run.close()
        if self.kind in ("running", "waiting"):
            self.kind, self.message = "stopped", reason

    def release(self) -> None:
        """Let go of the model and its caches, once the run is over; the record stays."""
        if self._run is not None and self._run.started:
            self._record()
            self.record.trajectory, *others = self._run.trajectories()
            self.record.others = [PanelRecord(uuid4().hex, trajectory=run) for run in others]
            self.record.film.settle(self.record.trajectory.state[-1])
            self.record.recent.clear()
            text = self.inputs.template or self.inputs.prompt
            if self.kind == "done" and isinstance(text, str):
                self._point = atlas_point(self._run.plan, text)
        self._run = self.job = None

    def value(self) -> PanelValue:
        """The panel's JSON as things stand, with the steps that no value before this one had."""
        if self.settings is None:
            return panel_value("empty", self.record.name)
        self._record()
        head: dict[str, Any] = {
            "title": get(self.settings.sampler).title,
            "subtitle": self._subtitle,
            "message": visible(self.message),
        }
        if self.record.film.first:
            head |= {"notes": self._notes, "metrics": self._metrics.lines()}
            head |= self.record.film.next_part()
        if self.kind == "done" and self.record.trajectory is not None:
            run, judged = self.record.trajectory, verdict(self.record.trajectory)
            head |= {"verdict": judged, "text": visible(run.text), **self._of_all_rows()}
            if self._point:
                line = atlas_line(self._point, run, judged["ok"] if judged else None)
                head["notes"] = [*self._notes, line]
        self.record.head = panel_value(self.kind, self.record.name, **head)
        return self.record.head

    def _of_all_rows(self) -> dict[str, Any]:
        """What became of each row, and the panel's numbers: means where there are several."""
        runs = self.record.runs
        results, nats = row_results(runs), nats_of(runs)
        self.costs = costs(runs, results, nats)
        lines = mean_lines(runs, results) if results else self._metrics.lines()
        return {"rows": results, "metrics": [*lines, *quality_lines(runs, nats)]}

    def _record(self) -> None:
        """Take what is new from the recorder, at the cost of what is new."""
        run, record = self._run, self.record
        if run is None or not run.started:
            return
        steps = run.steps_since(0, len(record.film.steps))
        record.pieces |= run.pieces(sorted(steps.ids() - record.pieces.keys()))
        record.film.extend(steps, lambda ids: {i: record.pieces[i] for i in ids})
        record.recent.append(steps)
        self._metrics.add(steps)
        if self.snapshots:
            record.trajectory = run.trajectories()[0]

    def _fail(self, message: str) -> None:
        self.kind, self.message = "error", message


def job(inputs: RunInputs, settings: PanelSettings) -> PanelJob:
    """What a panel is to run, as plain values."""
    entry = loaded_models.entry(inputs.task)
    request = RunRequest(
        settings.sampler, entry.offer.name if entry else inputs.task, **inputs.arguments,
        preset=settings.preset, params=settings.params, device=loaded_models.device(),
    )  # fmt: skip
    return PanelJob(request, entry.options if entry else None)


def notes(canvas: Canvas, attention: str) -> list[str]:
    """What a panel's reader should know about how it was run."""
    pinned = (canvas.visible & ~canvas.writable)[0]
    # Tables and full attention see everything; a causal block sees what is left of its end.
    first = canvas.blocks()[0]
    reach = {"block_causal": first.stop, "causal": first.start}
    if bool(pinned[reach.get(attention, len(pinned)) :].any()):
        return ["Text pinned in later blocks is not seen while a block is filled."]
    return []


def _left(work: int, budget: int) -> int:
    if work > budget:
        raise ValueError(
            f"these runs are too expensive: at most {limits.APP_WORK:,} model calls x columns for "
            f"all panels together, {budget:,} are left and this panel may need {work:,}; lower "
            "steps or gen_length, or use fewer panels"
        )
    return budget - work
