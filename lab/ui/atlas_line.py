"""What the atlas says of a panel's settings, on texts like the panel's: one line beside its run."""

import math
from typing import Any

from lab.record.trajectory import Trajectory, canonical
from lab.run.plan import Plan
from lab.study.cells import PROMPTS
from lab.study.statistics import Interval
from lab.study.summary import of_case
from lab.tasks import TASKS
from lab.tasks.task import PROMPT, kind_of
from lab.ui import picture


def atlas_point(plan: Plan, text: str) -> dict[str, Any] | None:
    """The point of this sampler, model and every setting in the case that the text is one of."""
    task = TASKS.get(plan.task)
    if task is None:
        return None
    case = task.case(text) if task.cases else PROMPTS if kind_of(text) == PROMPT else None
    points = of_case(picture.atlas(), task.name, case or "")
    same = (
        (points["sampler"] == plan.sampler.name)
        & (points["model"] == plan.model.card.name)
        & (points["settings"] == canonical(plan.values))
    )
    return next(iter(points[same].to_dict("records")), None)


def atlas_line(point: dict[str, Any], run: Trajectory, solved: bool | None) -> str:
    """What was measured with the settings, and how this run came out: one sentence."""
    about = TASKS[point["task"]].cases.get(point["case"], "")
    rows = f"{point['rows']:,} rows" + (f", {about}" if about else "")
    if math.isnan(point["score"]):
        what = (
            f"{point['nats']:.2f} nats a token [{point['nats_low']:.2f}, {point['nats_high']:.2f}]"
        )
        return f"The atlas: {what} at {point['calls']:.3g} calls ({rows})."
    score = Interval(point["score"], point["score_low"], point["score_high"]).percent()
    share, interval = score.split(" [")
    line = (
        f"The atlas: {share} solved [{interval} at {point['calls']:.3g} calls ({rows}); this run: "
    )
    outcome = {True: "solved", False: "not solved", None: "not finished"}[solved]
    return f"{line}{outcome}, {int(run.calls[-1])} calls."
