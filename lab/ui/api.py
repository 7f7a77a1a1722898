"""The named API, typed and documented for gradio_client and MCP."""

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from lab.record.metrics import metrics
from lab.record.trajectory import Trajectory
from lab.run import limits
from lab.ui import loaded_models, slot
from lab.ui.comparison import Told, press, write
from lab.ui.model_picker import described
from lab.ui.panel_run import Request, explain
from lab.ui.settings_form import PANELS, Choice, describe
from samplers import SAMPLERS, get


def attach() -> None:
    """Add the endpoints to the Blocks being built. They wait in the same queue as the page."""
    gr.api(compare, api_name="compare", concurrency_id="model", concurrency_limit=slot.WAITING)
    gr.api(samplers, api_name="samplers", queue=False)
    gr.api(look_up, api_name="look_up", concurrency_limit=4)
    gr.api(load, api_name="load", concurrency_id="load")


def samplers() -> list[dict[str, Any]]:
    """List every sampler: name, title, paper, guarantee, presets, parameters and their limits."""
    return [describe(sampler) for sampler in SAMPLERS.values()]


def compare(
    task: str = "capitals",
    samplers: list[str] | str = "llada2,mdlm",
    prompt: str = "",
    template: str | None = None,
    gen_length: int | None = None,
    seed: int = 0,
    params: dict[str, Any] | str | None = None,
    trajectories: str = "none",
) -> Iterator[dict[str, Any]]:
    """Run up to four samplers side by side on one prompt or template, and return what they wrote.

    Args:
        task: Models of one vocabulary and corpus, each sampler gets the one that fits it; or a
            model that `load` has loaded.
        samplers: One to four sampler names, as a list or separated by commas.
        prompt: Text to go on from. Leave it empty where a template is given.
        template: Text with [MASK] or [MASK]*8 as masked positions to fill.
        gen_length: Tokens to generate; 64, or what the model's length leaves, where left out.
        seed: The same seed gives the same tokens.
        params: JSON. A parameter for every sampler that has it, {"steps": 8}; or for one alone,
            {"llada2": {"threshold": 0.5, "preset": "llada2.1_speed"}}.
        trajectories: "none", "csv" or "json": add every step of all runs as one text.

    Returns:
        status, results (sampler, model, text, error, metrics, in order) and trajectories.
        While the run goes on, the same with what there is so far.
    """
    try:
        request, chosen = _asked(task, samplers, prompt, template, gen_length, seed, params)
        if trajectories not in ("none", "csv", "json"):
            raise ValueError(f"trajectories must be none, csv or json, got {trajectories!r}")
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None
    with closing(press(request, chosen, threading.Event())) as items:
        for told in items:
            yield _answer(chosen, told, trajectories)


def look_up(model: str, dtype: str = "float32") -> dict[str, Any]:
    """Say what a checkpoint of the Hugging Face hub (or a local folder) is and what it would cost.

    Args:
        model: owner/name or owner/name@revision, or a folder on the machine that the app runs on.
        dtype: float32 or bfloat16.

    Returns:
        model, family, tested, download, memory, attention, corruption, samplers, usual_sampler.
    """
    return described(_found(model, dtype))


def load(model: str, dtype: str = "float32") -> dict[str, Any]:
    """Fetch and open a checkpoint; what is returned as `model` is then a task for `compare`.

    Args:
        model: owner/name or owner/name@revision, or a folder on the machine that the app runs on.
        dtype: float32 or bfloat16.

    Returns:
        As look_up, the samplers being those that fit the model as it was loaded.
    """
    found = _found(model, dtype)
    try:
        return described(loaded_models.load(found, lambda words, share: None, threading.Event()))
    except Exception as error:
        raise gr.Error(explain(error), print_exception=False) from None


def _found(model: Any, dtype: Any) -> loaded_models.Found:
    try:
        return loaded_models.look_up(model, dtype)
    except Exception as error:
        raise gr.Error(explain(error), print_exception=False) from None


def _asked(
    task: Any, names: Any, prompt: Any, template: Any, gen_length: Any, seed: Any, params: Any
) -> tuple[Request, list[Choice]]:
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
    if not isinstance(names, list) or not 1 <= len(names) <= PANELS:
        raise ValueError(
            f"samplers must be one to {PANELS} names, as a list or separated by commas"
        )
    if template is not None and (prompt or gen_length is not None):
        raise ValueError("template already says what to fill: leave prompt and gen_length out")
    shared, own = _split(params, [get(name).name for name in names])
    chosen = []
    for name in names:
        given = dict(own.get(name, {}))
        preset = given.pop("preset", None)
        known = {param.name for param in get(name).params}
        inherited = {k: v for k, v in shared.items() if k in known}
        chosen.append(Choice(name, preset, {**inherited, **given}))
    return Request(task, prompt, template, gen_length, seed), chosen


def _split(params: Any, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters for all, and those under a sampler's own name."""
    if isinstance(params, str):
        try:
            params = json.loads(limits.text("params", params) or "{}")
        except json.JSONDecodeError as error:
            raise ValueError(f"params must be a JSON object, {error}") from None
    if not isinstance(params or {}, dict):
        raise ValueError('params must be a JSON object such as {"steps": 8}')
    params = params or {}
    own = {name: params[name] for name in params if name in SAMPLERS}
    if wrong := [name for name, values in own.items() if not isinstance(values, dict)]:
        raise ValueError(f"params of {wrong[0]} must be a JSON object of its parameters")
    shared = {name: value for name, value in params.items() if name not in own}
    known = {param.name for name in names for param in get(name).params}
    if unknown := [name for name in shared if name not in known]:
        raise ValueError(
            f"no chosen sampler has a parameter {unknown[0][:60]!r}; they have "
            f"{', '.join(sorted(known))}"
        )
    return shared, own


def _answer(chosen: Sequence[Choice], told: Told, trajectories: str) -> dict[str, Any]:
    found = told.result.trajectories if told.result else [None] * len(chosen)
    lines = zip(chosen, told.values, found, strict=True)
    return {
        "status": told.status,
        "results": [_result(*line) for line in lines],
        "trajectories": _text(found, trajectories),
    }


def _result(choice: Choice, value: dict[str, Any], trajectory: Trajectory | None) -> dict[str, Any]:
    numbers = metrics(trajectory)._asdict() if trajectory else {}
    return {
        "sampler": choice.sampler,
        "model": trajectory.model if trajectory else None,
        "text": trajectory.text if trajectory else None,
        "error": value["message"] if value["kind"] == "error" else None,
        "metrics": {name: x if math.isfinite(x) else None for name, x in numbers.items()},
    }


def _text(found: Sequence[Trajectory | None], kind: str) -> str | None:
    runs = [one for one in found if one]
    if kind == "none" or not runs:
        return None
    with TemporaryDirectory(prefix="sampler-lab-") as folder:
        paths = dict(zip(("csv", "json"), write(Path(folder), runs), strict=True))
        return Path(paths[kind]).read_text(encoding="utf-8")
