"""What every run must show, whatever the sampler: checks that the conformance tests share.

They read the frames of a run and the canvas it began with, and ask the code under test for
nothing else. `check(run)` holds all laws that need no second run.
"""

from dataclasses import fields
from typing import Any

import numpy as np
import torch

import samplers
from lab.models import Model
from lab.record.trajectory import Frame
from lab.run.plan import plan
from lab.run.recorder import Recorder
from lab.run.request import RunRequest

SAMPLERS = list(samplers.SAMPLERS)
# Samplers whose calls may write nothing by chance: the noise process decides when a masked position
# opens.
BY_CHANCE = {"mdlm"}


class Run(Recorder):
    """A recorder whose frames are kept beside it, for the laws to read."""

    frames: list[Frame]


def start(sampler: str, model: Model | str, prompts: Any = "", **arguments: Any) -> Run:
    """A run that is checked and has made no call, from the arguments of lab.run."""
    own = {field.name for field in fields(RunRequest)}
    values = {name: value for name, value in arguments.items() if name in own}
    params = {name: value for name, value in arguments.items() if name not in own}
    return Run(plan(RunRequest(sampler, model, prompts, params=params, **values)))


def record(sampler: str, model: Model, prompts: Any = "", **arguments: Any) -> Run:
    """Run to the end and keep everything."""
    run = start(sampler, model, prompts, **arguments)
    run.frames = list(run)
    return run


def has(sampler: str, *names: str) -> bool:
    """Whether the sampler has all of these parameters."""
    return set(names) <= {param.name for param in samplers.get(sampler).params}


def with_all(pairs: list[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    """Those (sampler, model) whose sampler has all of these parameters."""
    return [pair for pair in pairs if has(pair[0], *names)]


def only(sampler: str, **values: Any) -> dict[str, Any]:
    """Those of the values that this sampler has a parameter for."""
    return {name: value for name, value in values.items() if has(sampler, name)}


def revises(run: Run) -> bool:
    """Whether a written token may change again: then EOS counts when a block or run is settled."""
    return run.plan.sampler.revision(run.plan.values) is not None


def stops_at_eos(run: Run) -> bool:
    """Whether the settings end a row at its first EOS."""
    return run.plan.sampler.stops_at_eos(run.plan.values)


def leaves_masks(run: Run) -> bool:
    """Whether the settings ask for a published grid that breaks law P2."""
    return run.plan.values.get("grid") == "published"


def check(run: Run) -> None:
    """Every law that one run alone can show."""
    writes_masked_only(run)
    fills_without_mask(run)
    stays_finished(run)
    keeps_to_the_budget(run)
    returns_up_to_the_first_eos(run)


def writes_masked_only(run: Run) -> None:
    """P1: prompt, pinned text, pads and columns beyond the request never change."""
    canvas = run.plan.canvas
    fixed = ~canvas.writable.numpy()
    for frame in run.frames:
        assert (frame.tokens == canvas.tokens.numpy())[fixed].all(), "wrote a column not its own"


def fills_without_mask(run: Run) -> None:
    """P2: neither mask nor pad is chosen; no masked position is left up to the row's first
    generated EOS."""
    canvas, card = run.plan.canvas, run.plan.model.card
    banned = [card.mask_id, card.pad_id]
    for frame in run.frames[1:]:
        assert not np.isin(frame.predicted, banned).any(), "chose the mask or the pad"
    for row, line in enumerate(run.frames[-1].tokens):
        for column in np.flatnonzero(canvas.writable[row].numpy()):
            if leaves_masks(run) and line[column] == card.mask_id:
                continue
            ended = (
                run.frames[-1].finished[row]
                and not canvas.finished(torch.tensor(run.frames[-1].tokens))[row]
            )
            assert line[column] not in banned or ended, f"row {row} returns {line[column]}"
            if line[column] in card.eos_ids and stops_at_eos(run):
                break


def finished(run: Run, tokens: np.ndarray, stop: int | None = None) -> np.ndarray:
    """Rows where an EOS stands at a writable column with no masked position before it, by plain
    loops; left of `stop`, for noise may look like an EOS."""
    card, writable = run.plan.model.card, run.plan.canvas.writable.numpy()
    done = np.zeros(len(tokens), bool)
    for row, line in enumerate(tokens):
        for token in line[:stop][writable[row][:stop]]:
            if token == card.mask_id:
                break
            if token in card.eos_ids:
                done[row] = True
                break
    return done


def stays_finished(run: Run) -> None:
    """L5: a finished row keeps its canvas and is not charged; a revising sampler's, once settled.

    Settled means that the sampler went on to another block.
    """
    remasks = run.plan.sampler.revision(run.plan.values) == "remasks"
    if remasks or not stops_at_eos(run):
        return
    for before, after in zip(run.frames[1:], run.frames[2:], strict=False):
        if revises(run) and before.window == after.window:
            continue
        done = finished(run, before.tokens, before.window.stop)
        assert (before.tokens == after.tokens)[done].all(), "wrote a finished row"
        assert (before.calls == after.calls)[done].all(), "charged a finished row"


def masked_of_blocks(run: Run, row: int) -> list[int]:
    """How many masked positions each block of a row has, counted from the definition of its
    layout."""
    canvas, values = run.plan.canvas, run.plan.values
    columns = np.flatnonzero(canvas.writable[row].numpy())
    length = values.get("block_length") or 10**9
    if canvas.layout == "prompt":
        columns = columns - columns[0]
    return np.unique(columns // length, return_counts=True)[1].tolist()


def keeps_to_the_budget(run: Run) -> None:
    """P3: a row takes no more calls than its sampler declares for the blocks that it has.

    Where an unchanged canvas needs no new call, a block takes no more calls than it has masked
    positions. tests/conformance/test_declarations.py holds what is declared to plain numbers.
    """
    plan = run.plan
    rows = len(plan.canvas.tokens)
    planned = plan.work / rows / max(int(plan.canvas.visible.sum(-1).max()), 1)
    columns = int(plan.canvas.writable.any(0).sum())
    for row in range(rows):
        budget = plan.sampler.most_calls(
            plan.values, masked_of_blocks(run, row), not plan.model.card.time_conditioned, columns
        )
        calls = run.frames[-1].calls[row]
        assert calls <= budget, f"row {row} made {calls} calls of {budget}"
        assert calls <= planned, f"row {row} made {calls} calls, planned were {planned}"


def returns_up_to_the_first_eos(run: Run) -> None:
    """The output is what stands from the first masked position on, as long as asked or up to an
    EOS."""
    card = run.plan.model.card
    for row, trajectory in enumerate(run.trajectories()):
        free = run.plan.canvas.writable[row].numpy()
        line = run.frames[-1].tokens[row]
        target = []
        for column in range(int(free.argmax()), len(line)):
            if not run.plan.canvas.visible[row, column]:
                break
            if not (free[column] and line[column] in (card.mask_id, card.pad_id)):
                target.append(int(line[column]))
            if free[column] and line[column] in card.eos_ids:
                break
        assert trajectory.output == target
