"""Check a run before it begins: sampler, model, parameters, text, limits, canvas."""

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import samplers
from lab.models.catalogue import resolve
from lab.models.model import Model
from lab.record.trajectory import SCHEMA
from lab.run import limits
from lab.run import prompts as canvases
from samplers.canvas import Canvas
from samplers.registry import Sampler, shown


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
    work: int  # calls x columns x rows, at most


def plan(
    sampler: str,
    model: Model | str,
    prompts: Any = "",
    *,
    template: Any = None,
    gen_length: int | None = None,
    seed: int = 0,
    rows: int = 1,
    first_row: int = 0,
    preset: str | None = None,
    chat_template_kwargs: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
) -> Plan:
    """Check everything and lay the canvas out. ValueError before any work is done."""
    chosen = samplers.get(sampler)
    task, model = resolve(model, sampler)
    card = model.card
    if reason := chosen.misfit(card):
        raise ValueError(reason)
    values = chosen.bind({**_preset(chosen, preset), **(params or {})})
    if chosen.check:
        chosen.check(values, card)
    seed = limits.whole("seed", seed, 0, limits.SEED)
    rows = limits.whole("rows", rows, 1, limits.ROWS)
    first_row = limits.whole("first_row", first_row, 0, limits.FIRST_ROW)
    given, asked = _given(prompts, template), gen_length
    options = _options(chat_template_kwargs, given)
    if template is None:
        encoded = [len(canvases.encode(model, prompt, options)) or (card.bos_id is not None)
                   for prompt in given]  # fmt: skip
        left = limits.GEN_LENGTH if card.length is None else card.length - max(encoded)
        if gen_length is None:
            gen_length = min(64, left) if card.length is None else left
        gen_length = limits.whole("gen_length", gen_length, 1, limits.GEN_LENGTH)
        laid = [canvases.prompt_row(model, prompt, gen_length, options) for prompt in given]
    elif asked is not None or prompts not in ("", [], None):
        raise ValueError("template already says what to fill: leave prompts and gen_length out")
    else:
        laid = [canvases.template_row(model, one, options) for one in given]
        gen_length = None
    longest = max(len(row.ids) for row in laid)
    limits.context(longest, gen_length or 0, card, chosen.exceeds_context(values))
    limits.work(1, longest, len(laid) * rows, limits.CELLS)
    block_length = values.get("block_length")
    canvas = canvases.lay_out(laid, card, chosen.layout, block_length)
    blocks = canvas.blocks()
    masked = [int(canvas.writable[:, block].sum(-1).max()) for block in blocks]
    span = sum(block.stop - block.start for block in blocks)
    calls = chosen.most_calls(values, masked, not card.time_conditioned, span)
    work = limits.work(calls, longest, len(laid) * rows)
    widest = max(block.stop - block.start for block in blocks)
    limits.logits(len(laid) * rows, widest, card.vocab_size)
    copies = {name: getattr(canvas, name).repeat_interleave(rows, 0)
              for name in ("tokens", "writable", "visible")}  # fmt: skip
    canvas = replace(canvas, **copies)
    key = "prompt" if template is None else "template"
    shared = {"params": values, "gen_length": gen_length, "schema": SCHEMA,
              "versions": _versions()}  # fmt: skip
    if options:
        shared["chat_template_kwargs"] = options
    settings = tuple({**shared, key: one} for one in given for _ in range(rows))
    return Plan(chosen, model, task, values, canvas, seed, first_row, settings, work)


def _given(prompts: Any, template: Any) -> list[Any]:
    name, value = ("prompt", prompts) if template is None else ("template", template)
    given = canvases.as_list("" if value is None else value)
    limits.prompts(name, given)
    return given


def _options(options: Any, given: list[Any]) -> dict[str, Any]:
    if options is None:
        return {}
    rule = "chat_template_kwargs must be a dict of names to what JSON can hold, without tokenize"
    if not isinstance(options, dict) or "tokenize" in options:
        raise ValueError(f"{rule}, got {shown(options)}")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"{rule}, got {shown(options)}") from None
    if not all(isinstance(name, str) for name in options):
        raise ValueError(f"{rule}, got {shown(options)}")
    if not any(map(canvases.is_chat, given)):
        raise ValueError("chat_template_kwargs go with chats ({role, content}); leave them out")
    return dict(options)


def _preset(sampler: Sampler, preset: str | None) -> dict[str, Any]:
    if preset is None:
        return {}
    if not isinstance(preset, str) or preset not in sampler.presets:
        known = ", ".join(sampler.presets) or "none"
        raise ValueError(f"{sampler.name} has no preset {shown(preset)}; it has {known}")
    return dict(sampler.presets[preset])


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "transformers", "numpy")}
