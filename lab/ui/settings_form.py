"""The sampler settings: one form drawn from the registry, one JSON value, checked on its return."""

from dataclasses import asdict, dataclass, field
from typing import Any

import gradio as gr

from lab.run import limits
from lab.ui.panel import ASSETS
from samplers import SAMPLERS, get
from samplers.registry import Param, Sampler

PANELS = 4
FIRST = ("llada2", "mdlm", "hybrid", "bd3lm")
# What takes a panel whose sampler does not fit the task: orders that are worth comparing first.
INSTEAD = ("margin", "mdlm", "first_hitting", "llada", *SAMPLERS)
SHARED = ("block_length", "steps", "threshold", "temperature", "top_p")
USUAL = 128  # where the slider of a wide range ends; the number box beside it takes the rest


@dataclass(frozen=True)
class Choice:
    """What one panel runs: a sampler, a preset or None, and the parameters that were set."""

    sampler: str
    preset: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


class SettingsForm(gr.HTML):
    """The shared controls and one card a panel, drawn in the browser from `catalog`.

    A form of its own, where four samplers with a dozen parameters each would take 48 sliders of
    Gradio's, several screens tall; and a panel may hold any sampler, twice if need be.
    """

    def __init__(self, value: dict[str, Any], **layout: Any):
        folder = ASSETS / "settings"
        parts = ("controls", "settings")
        super().__init__(
            value,
            html_template=(folder / "settings.html").read_text(encoding="utf-8"),
            js_on_load="\n".join((folder / f"{p}.js").read_text(encoding="utf-8") for p in parts),
            catalog=catalog(),
            **layout,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def start_value(fits: dict[str, str | None]) -> dict[str, Any]:
    """The form as it opens: every shared control at "each sampler's own".

    fits: why each sampler does not fit, or None; made: the panels as they were made here, so that
    it can be told what a visitor has changed.
    """
    names = [name for name in FIRST if name in SAMPLERS] or list(SAMPLERS)
    panels = [asdict(Choice(name)) for name in names[:PANELS]]
    panels += [None] * (PANELS - len(panels))
    return {"shared": {}, "panels": panels, "fits": fits, "made": panels}


def for_task(
    value: dict[str, Any], fits: dict[str, str | None], usual: Choice | None = None
) -> dict[str, Any]:
    """The form for another task: what a visitor chose stays, where it can run there.

    Other panels begin anew, so that the way back to a task brings its own samplers back; one
    whose sampler does not fit gets one that does, or is closed where none is left. usual: what
    the model is published with, for the first panel.
    """
    panels, made, fresh = value["panels"], value["made"], start_value(fits)["panels"]
    if usual:
        fresh[0] = asdict(usual)
    wanted = [
        new if panel == old else panel for panel, old, new in zip(panels, made, fresh, strict=True)
    ]
    taken = {panel["sampler"] for panel in wanted if panel and not fits.get(panel["sampler"])}
    free = [name for name in dict.fromkeys(INSTEAD) if not fits.get(name) and name not in taken]
    settled = []
    for panel in wanted:
        if panel and fits.get(panel["sampler"]):
            panel = asdict(Choice(free.pop(0))) if free else None
        settled.append(panel)
    made = [
        old if now == panel else now for now, panel, old in zip(settled, panels, made, strict=True)
    ]
    return {**value, "panels": settled, "fits": fits, "made": made}


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
    found = [p for s in SAMPLERS.values() for p in s.params if p.name == name]
    return max(found, key=lambda param: param.high - param.low, default=None)


def _describe(param: Param) -> dict[str, Any]:
    described = {**asdict(param), "choices": list(param.choices)}
    if param.kind in ("int", "float"):
        wide = param.kind == "int" and param.high - param.low > 2 * USUAL
        described["usual"] = USUAL if wide else param.high
        # What a switch turns on where the default is off: a value that does something.
        described["suggested"] = 20 if wide else param.low + 0.9 * (param.high - param.low)
    return described


def choices(value: Any) -> list[Choice | None]:
    """The form's value as one Choice a panel, shared controls merged in. ValueError if malformed.

    It comes from a browser, or from anybody who posts to it; the values themselves are checked
    where the run is planned.
    """
    if not isinstance(value, dict) or not isinstance(value.get("panels"), list):
        raise ValueError("settings must be {shared, panels}; reload the page")
    shared, panels = value.get("shared") or {}, value["panels"]
    if not isinstance(shared, dict) or len(panels) > PANELS:
        raise ValueError(f"settings hold at most {PANELS} panels, got {len(panels)}")
    return [None if panel is None else _choice(panel, shared) for panel in panels]


def _choice(panel: Any, shared: dict[str, Any]) -> Choice:
    params = panel.get("params") if isinstance(panel, dict) else None
    if not isinstance(params, dict):
        raise ValueError("every panel of the settings must be {sampler, preset, params} or null")
    sampler = get(panel.get("sampler"))
    preset = panel.get("preset")
    if preset is not None:
        limits.text("preset", preset, 100)
    known = {param.name for param in sampler.params}
    inherited = {name: x for name, x in shared.items() if name in SHARED and name in known}
    return Choice(sampler.name, preset, {**inherited, **params})
