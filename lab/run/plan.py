"""Check a run before it begins: sampler, model, parameters, text, limits, canvas."""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any

import samplers
from lab.models.load import resolve
from lab.models.model import Model, ModelCard
from lab.record.trajectory import SCHEMA
from lab.run import limits, prompts
from lab.run.request import RunRequest
from samplers.canvas import Canvas
from samplers.registry import Sampler
from samplers.signature import brief


@dataclass(frozen=True)
class Plan:
    """A run that passed every check and has not begun."""

    sampler: Sampler
    model: Model
    task: str
    values: dict[str, Any]
    canvas: Canvas
    seed: int
    first_row: int
    settings: tuple[dict[str, Any], ...]  # one a row
    calls: int  # of the model, at most
    work: int  # model calls x columns x rows, at most


def plan(request: RunRequest) -> Plan:
    """Check everything and lay the canvas out. ValueError before any work is done."""
    sampler = samplers.get(request.sampler)
    task, model = resolve(request.model, sampler.name, request.device)
    if reason := sampler.misfit(model.card):
        raise ValueError(reason)
    values = request.values()
    if sampler.check:
        sampler.check(values, model.card)
    seed = limits.whole("seed", request.seed, 0, limits.SEED)
    copies = limits.whole("rows", request.rows, 1, limits.ROWS)
    first_row = limits.whole("first_row", request.first_row, 0, limits.FIRST_ROW)
    inputs = _inputs(request)
    options = _chat_options(request.chat_template_kwargs, inputs)
    rows, gen_length = _encode(request, model, inputs, options)
    if request.draft is not None:
        _check_draft(request.draft, sampler, model.card, values)
        limits.prompts("draft", [request.draft])
        ids = prompts.draft_ids(model, request.draft)
        rows = [prompts.with_draft(row, ids) for row in rows]
    canvas, calls, work = _lay_out(sampler, model.card, values, rows, gen_length, copies)
    settings: dict[str, Any] = {"params": values, "gen_length": gen_length, "schema": SCHEMA,
                "versions": versions()}  # fmt: skip
    if options:
        settings["chat_template_kwargs"] = options
    if request.draft is not None:
        text = isinstance(request.draft, str)
        settings["draft"] = request.draft if text else [int(token) for token in request.draft]
    key = "prompt" if request.template is None else "template"
    each = tuple({**settings, key: one} for one in inputs for _ in range(copies))
    return Plan(sampler, model, task, values, canvas, seed, first_row, each, calls, work)


def _check_draft(draft: Any, sampler: Sampler, card: ModelCard, values: dict[str, Any]) -> None:
    """ValueError where a draft would stay as it is, or could not be told from noise."""
    if not isinstance(draft, (str, list, tuple)) or prompts.is_chat(draft):
        raise ValueError(f"draft must be text or token ids, got {brief(draft)}")
    if card.mask_id is None:
        raise ValueError(f"a draft goes with models that have a mask, {card.name} has none; leave "
                         "draft out, or choose another model")  # fmt: skip
    if not sampler.takes_draft(values):
        others = [one.name for one in samplers.SAMPLERS.values() if one.drafts]
        raise ValueError(f"{sampler.name} keeps a draft as it is under these settings; put it into "
                         f"a template, or choose one of {', '.join(others)} and let it edit or "
                         "remask")  # fmt: skip


def _inputs(request: RunRequest) -> list[Any]:
    """The prompts or the templates of a run, as a list."""
    name, value = "prompt", request.prompts
    if request.template is not None:
        name, value = "template", request.template
        if request.gen_length is not None or request.prompts not in ("", [], None):
            raise ValueError(
                "template already says what to fill in: leave prompts and gen_length out"
            )
    inputs = prompts.as_list("" if value is None else value)
    limits.prompts(name, inputs)
    return inputs


def _encode(
    request: RunRequest, model: Model, inputs: list[Any], options: dict[str, Any]
) -> tuple[list[prompts.Row], int | None]:
    """Every prompt or template as ids and masked positions, and the length that is generated."""
    if request.template is not None:
        return [prompts.template_row(model, one, options) for one in inputs], None
    card = model.card
    encoded = [prompts.prompt_ids(model, one, options) for one in inputs]
    left = limits.GEN_LENGTH
    if card.length is not None:
        left = card.length - max(map(len, encoded))
    gen_length = request.gen_length
    if gen_length is None:
        gen_length = min(limits.USUAL_LENGTH, left) if card.length is None else left
    gen_length = limits.whole("gen_length", gen_length, 1, limits.GEN_LENGTH)
    return [prompts.prompt_row(model, ids, gen_length) for ids in encoded], gen_length


def _lay_out(
    sampler: Sampler,
    card: ModelCard,
    values: dict[str, Any],
    rows: list[prompts.Row],
    gen_length: int | None,
    copies: int,
) -> tuple[Canvas, int, int]:
    """The canvas with `copies` of every row, and the most calls and work that the run can take."""
    longest, count = max(len(row.ids) for row in rows), len(rows) * copies
    limits.context(longest, gen_length or 0, card, sampler.exceeds_context(values))
    limits.CELLS.check(longest, count)
    canvas = prompts.lay_out(rows, card, sampler.layout, values.get("block_length"))
    blocks = canvas.blocks()
    masked = [int(canvas.writable[:, block].sum(-1).max()) for block in blocks]
    widths = [block.stop - block.start for block in blocks]
    calls = sampler.most_calls(values, masked, not card.time_conditioned, sum(widths))
    work = limits.WORK.check(calls, longest, count)
    at_once = count * sampler.canvases_at_once(values)
    limits.LOGITS.check(at_once, max(widths), card.vocab_size)
    canvas = replace(
        canvas,
        tokens=canvas.tokens.repeat_interleave(copies, 0),
        writable=canvas.writable.repeat_interleave(copies, 0),
        visible=canvas.visible.repeat_interleave(copies, 0),
    )
    return canvas, calls, work


def _chat_options(options: Any, inputs: list[Any]) -> dict[str, Any]:
    if options is None:
        return {}
    rule = "chat_template_kwargs must be a dict of names to what JSON can hold, without tokenize"
    if not isinstance(options, dict) or "tokenize" in options:
        raise ValueError(f"{rule}, got {brief(options)}")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"{rule}, got {brief(options)}") from None
    if not all(isinstance(name, str) for name in options):
        raise ValueError(f"{rule}, got {brief(options)}")
    if not any(map(prompts.is_chat, inputs)):
        raise ValueError("chat_template_kwargs go with chats ({role, content}); leave them out")
    return dict(options)


def versions() -> dict[str, str]:
    """The libraries that decide a run's numbers."""
    return {name: _version(name) for name in ("torch", "transformers", "numpy")}


@cache
def _version(name: str) -> str:
    return version(name)
