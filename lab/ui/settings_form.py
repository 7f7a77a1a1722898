"""The sampler settings: one form drawn from the registry, one JSON value, checked on its return."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict, cast

import gradio as gr

from lab.run import limits
from lab.ui.assets import asset
from samplers import SAMPLERS, get
from samplers.registry import Sampler
from samplers.signature import Param, brief

PANELS = 4
FIRST = ("llada2", "mdlm", "hybrid", "bd3lm")
# What takes a panel whose sampler does not fit the task: orders that are worth comparing first.
FALLBACKS = ("margin", "mdlm", "first_hitting", "llada", *SAMPLERS)
SHARED = ("block_length", "steps", "threshold", "temperature")
SLIDER = 128  # where the slider of a wide range ends; the number box beside it takes the rest
RELOAD = "reload the page"


@dataclass(frozen=True)
class PanelSettings:
    """What one panel runs: a sampler, a preset or None, and the parameters that were set."""

    sampler: str
    preset: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


class FormValue(TypedDict):
    """The form as JSON.

    shared: the parameters set for all panels; panels, initial: PANELS of {sampler, preset, params}
    or None, as they stand and as the page filled them in, so that a visitor's changes can be told
    apart; fits: why each sampler does not fit the task, or None; task: whose samplers these are.
    """

    shared: dict[str, Any]
    panels: list[dict[str, Any] | None]
    initial: list[dict[str, Any] | None]
    fits: dict[str, str | None]
    task: str


class SettingsForm(gr.HTML):
    """The shared controls and one card a panel, drawn in the browser from `catalog`.

    A form of its own, where four samplers with a dozen parameters each would take 48 sliders of
    Gradio's, several screens tall; and a panel may hold any sampler, twice if need be.
    """

    def __init__(self, value: FormValue | None = None, **layout: Any):
        parts = ("controls", "settings")
        super().__init__(
            value,
            html_template=asset("settings", "settings.html"),
            js_on_load="\n".join(asset("settings", f"{part}.js") for part in parts),
            # as text: Gradio watches and copies each object of what is handed to it
            catalog=json.dumps(catalog()),
            **layout,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def start_value(task: str, fits: dict[str, str | None]) -> FormValue:
    """The form as it opens: every shared control at "each sampler's default"."""
    names = [name for name in FIRST if name in SAMPLERS] or list(SAMPLERS)
    panels: list[dict[str, Any] | None] = [asdict(PanelSettings(name)) for name in names[:PANELS]]
    panels += [None] * (PANELS - len(panels))
    return {"shared": {}, "panels": panels, "initial": panels, "fits": fits, "task": task}


def for_task(
    value: FormValue, task: str, fits: dict[str, str | None], usual: PanelSettings | None = None
) -> FormValue:
    """The form for another task: a visitor's choices stay, where they can run there.

    Other panels begin again, so that the way back to a task brings its own samplers back; one
    whose sampler does not fit gets one that does, or is closed where none is left. usual: what
    the model is published with, for the first panel.
    """
    panels, initial, defaults = value["panels"], value["initial"], start_value(task, fits)["panels"]
    if usual:
        defaults[0] = asdict(usual)
    candidates = [
        default if panel == old else panel
        for panel, old, default in zip(panels, initial, defaults, strict=True)
    ]
    taken = {panel["sampler"] for panel in candidates if panel and not fits.get(panel["sampler"])}
    free = [name for name in dict.fromkeys(FALLBACKS) if not fits.get(name) and name not in taken]
    fitting = []
    for panel in candidates:
        if panel and fits.get(panel["sampler"]):
            panel = asdict(PanelSettings(free.pop(0))) if free else None
        fitting.append(panel)
    initial = [
        old if now == panel else now
        for now, panel, old in zip(fitting, panels, initial, strict=True)
    ]
    shared = value["shared"]
    return {"shared": shared, "panels": fitting, "initial": initial, "fits": fits, "task": task}


def catalog() -> dict[str, Any]:
    """The registry as JSON: what can be chosen, and every parameter's description."""
    return {
        "samplers": {name: describe(sampler) for name, sampler in SAMPLERS.items()},
        "shared": [_describe(param) for name in SHARED if (param := _widest(name))],
    }


def describe(sampler: Sampler) -> dict[str, Any]:
    """One sampler as JSON."""
    return {
        "name": sampler.name,
        "title": sampler.title,
        "paper": sampler.paper,
        "guarantee": sampler.guarantee,
        "help": sampler.help.split("\n\n")[0].replace("\n", " ").replace("`", ""),
        "presets": {name: dict(values) for name, values in sampler.presets.items()},
        "params": [_describe(param) for param in sampler.params],
    }


def _widest(name: str) -> Param | None:
    params = [p for s in SAMPLERS.values() for p in s.params if p.name == name]
    return max(params, key=lambda param: (param.high or 0) - (param.low or 0), default=None)


def _describe(param: Param) -> dict[str, Any]:
    described = {**asdict(param), "choices": list(param.choices)}
    if param.low is not None and param.high is not None:
        wide = param.kind == "int" and param.high - param.low > 2 * SLIDER
        described["slider_high"] = SLIDER if wide else param.high
        # What a switch turns on where the default is off: a value that does something.
        described["suggested"] = 20 if wide else param.low + 0.9 * (param.high - param.low)
    return described


def check_form(value: Any) -> FormValue:
    """The form's value, checked for its shape. ValueError names the field.

    It comes from a browser, or from anybody who posts to it; the parameters themselves are checked
    where the run is planned.
    """
    if not isinstance(value, dict):
        raise ValueError(f"settings must be an object, got {brief(value)}; {RELOAD}")
    for name in ("shared", "fits"):
        if not isinstance(value.get(name), dict):
            raise ValueError(f"settings.{name} must be an object, got {brief(value.get(name))}; "
                             f"{RELOAD}")  # fmt: skip
    for name in ("panels", "initial"):
        panels = value.get(name)
        if not isinstance(panels, list) or len(panels) != PANELS:
            raise ValueError(f"settings.{name} must hold {PANELS} panels, got {brief(panels)}; "
                             f"{RELOAD}")  # fmt: skip
        for panel in panels:
            _check_panel(name, panel)
    if not isinstance(value.get("task"), str):
        raise ValueError(f"settings.task must be text, got {brief(value.get('task'))}; {RELOAD}")
    return cast(FormValue, {name: value[name] for name in FormValue.__annotations__})


def _check_panel(name: str, panel: Any) -> None:
    if panel is None:
        return
    params = panel.get("params") if isinstance(panel, dict) else None
    if not isinstance(params, dict):
        raise ValueError(f"every panel of settings.{name} must be {{sampler, preset, params}} or "
                         f"null, got {brief(panel)}; {RELOAD}")  # fmt: skip
    get(panel.get("sampler"))
    if panel.get("preset") is not None:
        limits.text("preset", panel["preset"], 100)


def panel_settings(form: FormValue) -> list[PanelSettings | None]:
    """What each panel runs, shared values merged in where the sampler has them."""
    return [_merged(panel, form["shared"]) if panel else None for panel in form["panels"]]


def _merged(panel: dict[str, Any], shared: dict[str, Any]) -> PanelSettings:
    known = {param.name for param in get(panel["sampler"]).params}
    inherited = {name: x for name, x in shared.items() if name in SHARED and name in known}
    return PanelSettings(panel["sampler"], panel.get("preset"), {**inherited, **panel["params"]})
