"""Press Run without a page: the updates of a comparison, and what they left."""

from collections.abc import Sequence
from typing import Any

from lab.run.plan import plan
from lab.run.recorder import Recorder
from lab.run.request import RunRequest
from lab.ui.comparison import Run, Update
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings

FOUR = [PanelSettings(name) for name in ("llada2", "mdlm", "hybrid", "bd3lm")]
CAPITALS = RunInputs("capitals", "The capital of", seed=3)


def press(inputs: RunInputs, settings: Sequence[PanelSettings | None]) -> tuple[Run, Update]:
    """A run taken to its end, and its last update."""
    run = Run(inputs, settings)
    return run, list(run.updates())[-1]


def recorder(sampler: str, model: str, **arguments: Any) -> Recorder:
    """A run that has made no call yet."""
    return Recorder(plan(RunRequest(sampler, model, **arguments)))


def kinds(update: Update) -> list[str]:
    """How each panel stands."""
    return [value["kind"] for value in update.values]
