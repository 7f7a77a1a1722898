"""A branch: another run that goes on from a step of one that is over, with what a reader changed.

What stood at that step is pinned, or is a draft that its sampler may change: the branch fills in a
template of token ids, so that it can be repeated from its code like any other run.
"""

from dataclasses import asdict
from typing import Any, NamedTuple, cast

import numpy as np

from lab.models.catalogue import card, served
from lab.models.model import ModelCard
from lab.record.history import AFTER_EOS, MASK, NOISE, REMASKED
from lab.record.trajectory import Trajectory
from lab.run import limits
from lab.ui import loaded_models
from lab.ui.page_runs import PageRuns
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PANELS, RELOAD, FormValue, PanelSettings, panel_settings
from lab.ui.tasks import check_task
from samplers.signature import brief

PINNED, DRAFT = "pinned", "draft"


class Branch(NamedTuple):
    """panels: what each runs, all but one None; form: the page's settings with its own; origin:
    what it goes on from, in words."""

    inputs: RunInputs
    panels: list[PanelSettings | None]
    form: FormValue
    origin: str


def branch(request: Any, page: PageRuns | None, task: Any, seed: Any, form: FormValue) -> Branch:
    """What a page asks for: {run, step, changes: [[position, id, or -1 to mask it], ...], panel,
    stays}. stays: whether what stood is `pinned`, or a `draft`.

    panel: 1 to 4; an empty one takes the parent's sampler and parameters, another keeps its own.
    ValueError names what is wrong; it comes from a browser, or from anybody who posts to it.
    """
    if not isinstance(request, dict):
        raise ValueError(f"a branch must be an object, got {brief(request)}; {RELOAD}")
    parent, number = _parent(request.get("run"), page)
    target = limits.whole("panel", request.get("panel"), 1, PANELS) - 1
    step = limits.whole("step", request.get("step"), 0, len(parent.tokens) - 1)
    _check_task(parent, check_task(task))
    settings = panel_settings(form)[target] or _settings(parent)
    model = _card(task, settings.sampler)
    changes = _changes(request.get("changes"), parent.tokens.shape[1], model.vocab_size)
    if (stays := request.get("stays", PINNED)) not in (PINNED, DRAFT):
        raise ValueError(f"stays must be {PINNED} or {DRAFT}, got {brief(stays)}; {RELOAD}")
    ids, drafted = _columns(parent, step, changes, model), None
    if stays == DRAFT:
        ids, drafted = _as_draft(ids, parent, model)
    elif model.mask_id not in ids:
        raise ValueError("nothing is left to fill in: take an earlier step, mask a token, or let "
                         "what stands be a draft")  # fmt: skip
    panels: list[PanelSettings | None] = [None] * PANELS
    panels[target] = settings
    own = [
        asdict(settings) if number == target and not panel else panel
        for number, panel in enumerate(form["panels"])
    ]
    return Branch(
        RunInputs(task, template=ids, seed=seed, draft=drafted),
        panels,
        cast(FormValue, {**form, "panels": own}),
        f"goes on from panel {number + 1}, step {step}",
    )


def beside(page: PageRuns | None, branched: PageRuns) -> PageRuns:
    """A page's runs, with a branch in its panel."""
    if page is None:
        return branched
    panels = [new or old for old, new in zip(page.panels, branched.panels, strict=True)]
    code = page.code._make(
        f"{old}\n\n# A branch:\n{new}" if old else new
        for old, new in zip(page.code, branched.code, strict=True)
    )
    return PageRuns(panels, code)


def _parent(name: Any, page: PageRuns | None) -> tuple[Trajectory, int]:
    place = page.place_of(name) if page and isinstance(name, str) else None
    if place is None:
        raise ValueError("this run is not kept any more: run it again")
    run = place.row.trajectory
    if run is None or not len(run.tokens):
        raise ValueError("a branch goes on from a run that is over: wait for its end")
    return run, place.number


def _check_task(parent: Trajectory, task: str) -> None:
    entry = loaded_models.known().get(task)
    same = parent.card.get("name") == entry.card.name if entry else parent.task == task
    if not same:
        name = parent.task or parent.model
        raise ValueError(f"this run is one of {brief(name)}: choose it as the task to go on")


def _settings(parent: Trajectory) -> PanelSettings:
    params = parent.settings.get("params")
    return PanelSettings(parent.sampler, None, dict(params) if isinstance(params, dict) else {})


def _changes(request: Any, length: int, size: int) -> dict[int, int]:
    rule = f"changes must be at most {length} pairs of a position and an id"
    if not isinstance(request, list) or len(request) > length:
        raise ValueError(f"{rule}, got {brief(request)}; {RELOAD}")
    changes = {}
    for pair in request:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"{rule}, got {brief(pair)}; {RELOAD}")
        position = limits.whole("position", pair[0], 0, length - 1)
        changes[position] = limits.whole("id", pair[1], -1, size - 1)
    return changes


def _card(task: str, sampler: str) -> ModelCard:
    if entry := loaded_models.known().get(task):
        return entry.card
    known = served(task)
    if sampler not in known:
        raise ValueError(f"{sampler} has no model on {task}; choose another sampler there")
    return card(known[sampler])


def _columns(
    parent: Trajectory, step: int, changes: dict[int, int], target: ModelCard
) -> list[int]:
    """Ids of the columns at a step, the target model's mask where something is to be filled in."""
    if target.corruption == "uniform":
        raise ValueError(f"{target.name} has no mask: choose a sampler with another model")
    state = parent.state[step]
    after = np.flatnonzero(state == AFTER_EOS)
    length = max([int(after[0]) if len(after) else len(state), *(one + 1 for one in changes)])
    empty = np.isin(state, (MASK, NOISE, REMASKED, AFTER_EOS))
    ids = parent.tokens[step].tolist()
    mask = target.mask_id or 0
    for position in range(length):
        own = -1 if empty[position] else ids[position]
        own = changes.get(position, own)
        if own == mask:
            raise ValueError(f"id {mask} is the mask of {target.name}, and stands at {position}")
        ids[position] = mask if own < 0 else own
    return ids[:length]


def _as_draft(ids: list[int], parent: Trajectory, target: ModelCard) -> tuple[list[int], list[int]]:
    """The template in which all that was generated is open, and the draft of it; no draft ends."""
    mask = target.mask_id or 0
    writable = parent.writable[: len(ids)].tolist()
    template = [mask if free else token for token, free in zip(ids, writable, strict=True)]
    ends = set(target.eos_ids)
    draft = [mask if i in ends else i for i, free in zip(ids, writable, strict=True) if free]
    return template, draft
