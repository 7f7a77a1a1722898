"""Which model each sampler is measured on, and what it continues."""

from collections.abc import Sequence
from typing import Any

import torch

import samplers
from lab.models.catalogue import tasks, weights_folder
from lab.models.device import device_map
from lab.models.load import load, resolve
from lab.models.model import Model
from lab.run import limits


def pairs(
    names: Sequence[str] | None = None,
    task: str | None = None,
    model: str | None = None,
    vocabulary: int | None = None,
    device: str | None = None,
    dual_cache: bool = False,
    size: str = "small",
) -> dict[str, Model]:
    """A model for each sampler: one for all, of a task, random weights, or one that ships.

    names: None is all that fit. dual_cache: of `model`, as `lab.load` has it. size: of the random
    weights (lab.bench.decoder.SIZES). Without task, model and vocabulary every sampler is measured,
    on the first task that serves it. ValueError as `lab.run` raises it.
    """
    if names is not None:
        names = [samplers.get(name).name for name in names]
    if model is not None:
        opened = load(model, device=device, dual_cache=dual_cache)
        fitting = [s.name for s in samplers.SAMPLERS.values() if s.misfit(opened.card) is None]
        return dict.fromkeys(fitting if names is None else names, opened)
    if vocabulary is not None:
        from lab.bench.decoder import decoder

        every = list(samplers.SAMPLERS) if names is None else names
        needs = {name: samplers.get(name).needs for name in every}
        kinds = {one: decoder(one, vocabulary, device, size) for one in set(needs.values())}
        return {name: kinds[one] for name, one in needs.items()}
    device_map(device)  # refuses one that is not there, whatever the models
    known = tasks()
    if task is not None and task not in known:
        raise ValueError(f"no task {task!r}; there are {', '.join(known)}")
    every = list(samplers.SAMPLERS if task is None else known[task]) if names is None else names
    task_of = {name: _serving(name, known) if task is None else task for name in every}
    return {name: _opened(name, task_of[name], known, device) for name in every}


def _serving(name: str, known: dict[str, dict[str, str]]) -> str:
    """The first task that has a model for a sampler."""
    return next(task for task, models in known.items() if name in models)


def _opened(name: str, task: str, known: dict[str, dict[str, str]], device: str | None) -> Model:
    """The task's model for a sampler; a table or a chain stays on the CPU."""
    exact = name in known[task] and weights_folder(known[task][name]) is None
    return resolve(task, name, None if exact else device)[1]


def prompt_for(model: Model, length: int | None, text: str | None) -> Any:
    """What a run continues: text, or so many ids drawn from a model's own, none of them special."""
    if length is None:
        return text
    length = limits.whole("prompt_length", length, 0, limits.PROMPT_CHARACTERS)
    card = model.card
    special = {card.mask_id, card.pad_id, card.bos_id, *card.eos_ids, *model.banned_ids}
    usual = torch.tensor([i for i in range(card.vocab_size) if i not in special])
    picks = torch.randint(len(usual), (length,), generator=torch.Generator().manual_seed(0))
    return [usual[picks].tolist()]
