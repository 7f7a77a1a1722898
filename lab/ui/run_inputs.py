"""What all panels of a run share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.run import limits
from lab.tasks.task import PROMPT, TEMPLATE
from samplers.signature import brief

ROWS = 64  # texts that a panel writes at once, at most


@dataclass(frozen=True)
class RunInputs:
    """What all panels share: a task, a prompt or a template, a length and a seed.

    task: one of the lab's, or the name of another model that was loaded (lab.ui.loaded_models).
    rows: how many texts each panel writes. draft: what stands there at first.
    """

    task: str
    prompt: str = ""
    template: str | list[int] | None = None
    gen_length: int | None = None
    seed: int = 0
    rows: int = 1
    draft: str | list[int] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of lab.run that all panels share."""
        more = {} if self.draft is None else {"draft": self.draft}
        more |= {} if self.rows == 1 else {"rows": self.rows}
        if self.template is not None:
            return {"template": self.template, "seed": self.seed, **more}
        return {"prompts": self.prompt, "gen_length": self.gen_length, "seed": self.seed, **more}


def run_inputs(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, rows: Any = 1, draft: Any = ""
) -> RunInputs:
    """The visitor's inputs, as the page sends them; a slider at 0 leaves the length to the model.

    ValueError, naming the field, for what no panel could be run with; the rest is checked where a
    run is planned.
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be text, got {type(text).__name__}")
    if not isinstance(draft, str):
        raise ValueError(f"draft must be text, got {type(draft).__name__}")
    more: Any = {"rows": limits.whole("rows", rows, 1, ROWS), "draft": draft or None}
    if check_kind(kind) == TEMPLATE:
        return RunInputs(task, template=text, seed=seed, **more)
    model_says = gen_length == 0 and not isinstance(gen_length, bool)
    length = None if model_says else gen_length
    return RunInputs(task, text, gen_length=length, seed=seed, **more)


def check_upload(path: Any, button: str, content: str) -> Path:
    """Where the file lies that came by a button for uploads; ValueError where none came."""
    if not isinstance(path, str):
        raise ValueError(f"{button} takes one file of {content}; none came")
    return Path(path)


def check_kind(kind: Any) -> str:
    """Whether a text is a prompt or a template. ValueError for anything else."""
    if not isinstance(kind, str) or kind not in (PROMPT, TEMPLATE):
        raise ValueError(f"kind must be one of {PROMPT}, {TEMPLATE}, got {brief(kind)}")
    return kind
