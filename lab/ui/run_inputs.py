"""What all panels of a run share."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunInputs:
    """What all panels share: a task, a prompt or a template, a length and a seed.

    task: one of the lab's, or the name of another model that was loaded (lab.ui.loaded_models).
    """

    task: str
    prompt: str = ""
    template: str | None = None
    gen_length: int | None = None
    seed: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of lab.run that all panels share."""
        if self.template is not None:
            return {"template": self.template, "seed": self.seed}
        return {"prompts": self.prompt, "gen_length": self.gen_length, "seed": self.seed}
