"""A request to run a sampler, before any check: one type for lab.run, shell, page and API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import samplers
from lab.models.model import Model
from samplers.registry import Sampler
from samplers.signature import brief

# What other libraries call an argument of a run.
OTHER_NAMES = {
    "max_new_tokens": "gen_length",
    "max_length": "gen_length",
    "num_inference_steps": "steps",
    "num_return_sequences": "rows",
    "batch_size": "rows",
    "prompt": "prompts",
    "generator": "seed",
}
RUN_ARGUMENTS = ("prompts", "template", "gen_length", "draft", "seed", "rows", "first_row",
                 "preset", "chat_template_kwargs")  # fmt: skip


@dataclass(frozen=True)
class RunRequest:
    """One sampler on one model; `lab.run` says what each field is.

    device: where a model that is given by its name is opened (lab.load says which there are).
    params: this sampler's own parameters. shared: parameters meant for several samplers at once, of
    which each takes those that it has.
    """

    sampler: str
    model: Model | str
    prompts: Any = ""
    template: Any = None
    gen_length: int | None = None
    seed: int = 0
    rows: int = 1
    first_row: int = 0
    preset: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    draft: Any = None

    def values(self) -> dict[str, Any]:
        """Every parameter of the sampler, checked; each step overrides the one before: default,
        preset, shared, own.

        ValueError for an unknown sampler, preset or parameter, or a value out of range.
        """
        sampler = samplers.get(self.sampler)
        known = [param.name for param in sampler.params]
        if unknown := [name for name in self.params if name not in known]:
            raise ValueError(_no_parameter(sampler, unknown[0], known))
        shared = {name: value for name, value in self.shared.items() if name in known}
        return sampler.bind({**_preset(sampler, self.preset), **shared, **self.params})


def _preset(sampler: Sampler, preset: str | None) -> Mapping[str, Any]:
    if preset is None:
        return {}
    if not isinstance(preset, str) or preset not in sampler.presets:
        known = ", ".join(sampler.presets) or "none"
        raise ValueError(f"{sampler.name} has no preset {brief(preset)}; it has {known}")
    return sampler.presets[preset]


def _no_parameter(sampler: Sampler, name: str, known: list[str]) -> str:
    near = OTHER_NAMES.get(name)
    if near not in (*known, *RUN_ARGUMENTS):
        near = next(iter(get_close_matches(name, [*known, *RUN_ARGUMENTS], 1)), None)
    hint = f"; did you mean {near}?" if near else ""
    return (
        f"{sampler.name} has no parameter {brief(name)}; it has {', '.join(known)}; and every run "
        f"takes {', '.join(RUN_ARGUMENTS)}{hint}"
    )
