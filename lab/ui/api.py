"""The named API, typed and documented for gradio_client and MCP."""

import json
import math
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gradio as gr

from lab.record.metrics import metrics
from lab.record.trajectory import Trajectory
from lab.run import limits
from lab.ui import exports, loaded_models, model_picker, slot
from lab.ui.background import backlog_of, in_background
from lab.ui.comparison import Run, Update
from lab.ui.error_text import explain
from lab.ui.guard import mcp_call, visitor_of
from lab.ui.panel_run import PanelRun
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PANELS, PanelSettings, describe
from samplers import SAMPLERS, get
from samplers.signature import brief

FORMATS = ("none", "csv", "json")


def attach(demo: gr.Blocks) -> None:
    """Add the endpoints to the Blocks being built. They stand in the same line as the page."""

    async def compare(
        task: str = "capitals",
        samplers: list[str] | str = "llada2,mdlm",
        prompt: str = "",
        template: str | None = None,
        gen_length: int | None = None,
        seed: int = 0,
        params: dict[str, Any] | str | None = None,
        trajectories: str = "none",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> AsyncIterator[dict[str, Any]]:
        inputs, panels = _parse(task, samplers, prompt, template, gen_length, seed, params)
        _one_of("trajectories", trajectories, FORMATS)
        with _ends_with(mcp_call(request)) as stop:
            run = Run(inputs, panels, stop, visitor_of(request) or None, True)
            backlog = backlog_of(demo._queue, (request and request.session_hash) or "")
            async for update in in_background(run.updates, stop, backlog):
                yield _readable(_answer(run, update, trajectories), request)

    compare.__doc__ = COMPARE
    gr.api(compare, api_name="compare", concurrency_id="model", concurrency_limit=slot.LONGEST + 8)
    gr.api(samplers, api_name="samplers", queue=False)
    gr.api(look_up, api_name="look_up", concurrency_limit=4)
    gr.api(load, api_name="load", concurrency_id="load")


def _ends_with(call: str) -> AbstractContextManager[threading.Event]:
    """What ends a run that an MCP call asks for; nothing but its listener ends any other."""
    return slot.stoppable(call) if call else nullcontext(threading.Event())


def _readable(answer: Any, request: gr.Request) -> Any:
    """The answer itself; as JSON where it is for an MCP call, which Gradio answers by its str."""
    return json.dumps(answer, ensure_ascii=False) if mcp_call(request) else answer


COMPARE = """Run up to four samplers side by side on one prompt or template; return their texts.

Args:
    task: Models of one vocabulary, a sampler gets the one that fits; or what `load` has loaded.
    samplers: One to four sampler names, as a list or separated by commas.
    prompt: Text to continue. Leave it empty where a template is given.
    template: Text with [MASK] or [MASK]*8 as masked positions to fill in.
    gen_length: Tokens to generate; 64, or what the model's length leaves, where left out.
    seed: The same seed gives the same tokens.
    params: For all, {"steps": 8}, or for one, {"llada2": {"threshold": 0.5, "preset": "x"}}.
    trajectories: "none", "csv" or "json": add every step of all runs as one text.

Returns:
    status, results (sampler, model, text, error, metrics, in order) and trajectories.
    While the run goes on, the same with what there is so far; trajectories come at the end.
"""


def samplers(request: gr.Request = None) -> list[dict[str, Any]]:  # type: ignore[assignment]
    """List every sampler: name, title, paper, guarantee, presets, parameters and their limits."""
    return _readable([describe(sampler) for sampler in SAMPLERS.values()], request)


def look_up(
    model: str,
    dtype: str = "float32",
    request: gr.Request = None,  # type: ignore[assignment]
) -> dict[str, Any]:
    """Say what a checkpoint of the Hugging Face hub (or a local folder) is and what it would cost.

    Args:
        model: owner/name or owner/name@revision, or a folder on the machine that the app runs on.
        dtype: float32 or bfloat16.

    Returns:
        model, family, tested, download, memory, attention, corruption, samplers, usual_sampler.
    """
    return _readable(model_picker.describe(_entry(model, dtype)), request)


def load(
    model: str,
    dtype: str = "float32",
    request: gr.Request = None,  # type: ignore[assignment]
) -> dict[str, Any]:
    """Fetch and open a checkpoint; what is returned as `model` is then a task for `compare`.

    Args:
        model: owner/name or owner/name@revision, or a folder on the machine that the app runs on.
        dtype: float32 or bfloat16.

    Returns:
        As look_up, the samplers being those that fit the model as it was loaded.
    """
    entry = _entry(model, dtype)
    try:
        stop = threading.Event()
        entry = loaded_models.load(entry, lambda *now: None, stop, visitor_of(request))
    except Exception as error:
        raise _error(error) from None
    return _readable(model_picker.describe(entry), request)


def _entry(model: Any, dtype: Any) -> loaded_models.ModelEntry:
    try:
        return loaded_models.look_up(model, dtype)
    except Exception as error:
        raise _error(error) from None


def _error(error: Exception) -> gr.Error:
    return gr.Error(explain(error), print_exception=False)


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise gr.Error(f"{name} must be one of {', '.join(known)}, got {brief(value)}",
                       print_exception=False)  # fmt: skip


def _parse(
    task: Any, names: Any, prompt: Any, template: Any, gen_length: Any, seed: Any, params: Any
) -> tuple[RunInputs, list[PanelSettings]]:
    """The arguments as a run's; gr.Error for what no panel could be run with."""
    try:
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        if not isinstance(names, list) or not 1 <= len(names) <= PANELS:
            raise ValueError(
                f"samplers must be one to {PANELS} names, as a list or separated by commas, got "
                f"{brief(names)}"
            )
        if template is not None and (prompt or gen_length is not None):
            raise ValueError(
                "template already says what to fill in: leave prompt and gen_length out"
            )
        shared, own = _split(params, [get(name).name for name in names])
        panels = [_settings(name, shared, own.get(name, {})) for name in names]
    except ValueError as error:
        raise _error(error) from None
    return RunInputs(task, prompt, template, gen_length, seed), panels


def _settings(name: str, shared: dict[str, Any], own: dict[str, Any]) -> PanelSettings:
    own = dict(own)
    preset = own.pop("preset", None)
    known = {param.name for param in get(name).params}
    inherited = {name: value for name, value in shared.items() if name in known}
    return PanelSettings(name, preset, {**inherited, **own})


def _split(params: Any, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters for all, and those under a sampler's own name.

    A name may be both (`threshold`): an object is a sampler's parameters, anything else a value.
    """
    if isinstance(params, str):
        try:
            params = json.loads(limits.text("params", params) or "{}")
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"params must be a JSON object, {explain_json(error)}") from None
    params = {} if params is None else params
    if not isinstance(params, dict):
        raise ValueError(
            f'params must be a JSON object such as {{"steps": 8}}, got {brief(params)}'
        )
    own = {k: v for k, v in params.items() if k in SAMPLERS and isinstance(v, dict)}
    shared = {name: value for name, value in params.items() if name not in own}
    if others := [name for name in own if name not in names]:
        raise ValueError(f"params names {others[0]}, which is not among the samplers of this run: "
                         f"{', '.join(names)}")  # fmt: skip
    known = {param.name for name in names for param in get(name).params}
    if unknown := [name for name in shared if name not in known]:
        what = (
            "must be a JSON object of its parameters"
            if unknown[0] in SAMPLERS
            else (f"is no parameter of these samplers; they have {', '.join(sorted(known))}")
        )
        raise ValueError(f"params: {brief(unknown[0])} {what}")
    return shared, own


def explain_json(error: Exception) -> str:
    """What is wrong with a JSON text."""
    return "not one nested so deeply" if isinstance(error, RecursionError) else str(error)


def _answer(run: Run, update: Update, trajectories: str) -> dict[str, Any]:
    """The answer as things stand; gr.Error at the end where nothing came of any panel."""
    status, text = update.status, None
    if update.over:
        errors = [panel.message for panel in run.panels if panel.kind == "error"]
        if run.refusal or len(errors) == len(run.panels):
            raise gr.Error(run.refusal or "; ".join(dict.fromkeys(errors)), print_exception=False)
        if trajectories != "none":
            try:
                text = exports.text(run.comparison.runs, trajectories)
            except (OSError, ValueError) as error:
                status += f" · no {trajectories.upper()}: {explain(error)}"
    return {"status": status, "results": [_result(one) for one in run.panels], "trajectories": text}


def _result(panel: PanelRun) -> dict[str, Any]:
    trajectory: Trajectory | None = panel.record.trajectory
    numbers = metrics(trajectory)._asdict() if trajectory else {}
    return {
        "sampler": panel.settings.sampler if panel.settings else None,
        "model": trajectory.model if trajectory else None,
        "text": trajectory.text if trajectory else None,
        "error": panel.message if panel.kind == "error" else None,
        "metrics": {name: x if math.isfinite(x) else None for name, x in numbers.items()},
    }
