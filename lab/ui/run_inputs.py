"""What all panels of a run share."""

from dataclasses import dataclass
from typing import Any

from lab.run import limits
from lab.tasks.task import PROMPT, TEMPLATE
from samplers.signature import brief

ROWS = 64  # texts that a panel writes at once, at most


@dataclass(frozen=True)
class RunInputs:
    """What all panels share: a task, a prompt or a template, a length and a seed.

    task: one of the lab's, or the name of another model that was loaded (lab.ui.loaded_models).
    rows: how many texts each panel writes.
    """

    task: str
    prompt: str = ""
    template: str | list[int] | None = None
    gen_length: int | None = None
    seed: int = 0
    rows: int = 1

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of lab.run that all panels share."""
        rows = {} if self.rows == 1 else {"rows": self.rows}
        if self.template is not None:
            return {"template": self.template, "seed": self.seed, **rows}
        return {"prompts": self.prompt, "gen_length": self.gen_length, "seed": self.seed, **rows}


def run_inputs(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, rows: Any = 1
) -> RunInputs:
    """The visitor's inputs, as the page sends them; a slider at 0 leaves the length to the model.

    ValueError, naming the field, for what no panel could be run with; the rest is checked where a
    run is planned.
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be text, got {type(text).__name__}")
    rows = limits.whole("rows", rows, 1, ROWS)
    if check_kind(kind) == TEMPLATE:
        return RunInputs(task, template=text, seed=seed, rows=rows)
    model_says = gen_length == 0 and not isinstance(gen_length, bool)
    length = None if model_says else gen_length
    return RunInputs(task, text, gen_length=length, seed=seed, rows=rows)


def check_kind(kind: Any) -> str:
    """Whether a text is a prompt or a template. ValueError for anything else."""
    if not isinstance(kind, str) or kind not in (PROMPT, TEMPLATE):
        raise ValueError(f"kind must be one of {PROMPT}, {TEMPLATE}, got {brief(kind)}")
    return kind
