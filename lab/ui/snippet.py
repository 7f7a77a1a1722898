"""The run of the page as Python: what to type to get the same trajectories."""

from collections.abc import Sequence

from lab.ui import loaded_models
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings


def snippet(inputs: RunInputs, panels: Sequence[PanelSettings]) -> str:
    """Source code that repeats the run with lab.run and saves it."""
    shared = ", ".join(f"{name}={x!r}" for name, x in inputs.arguments.items() if x is not None)
    lines = ["import lab", ""]
    model = repr(inputs.task)
    if entry := loaded_models.entry(inputs.task):
        options = "".join(f", {name}={x!r}" for name, x in entry.options.items())
        lines.append(f"model = lab.load({entry.offer.name!r}{options})")
        model = "model"
    calls = [_call(model, panel) for panel in panels]
    lines += [f"shared = dict({shared})", "runs = [", *calls, "]"]
    lines += ["for trajectory in runs:", "    print(trajectory.sampler, trajectory.text)"]
    lines += ['lab.save(runs, "trajectories.csv")']
    return "\n".join(lines)


def reading(file: str) -> str:
    """Source code that opens a file of saved runs."""
    lines = ["import lab", "", f"runs = lab.read({file!r})", "for trajectory in runs:"]
    return "\n".join([*lines, "    print(trajectory.sampler, trajectory.text)"])


def _call(model: str, panel: PanelSettings) -> str:
    preset = {"preset": panel.preset} if panel.preset else {}
    settings = "".join(f", {name}={x!r}" for name, x in {**preset, **panel.params}.items())
    return f"    *lab.run({panel.sampler!r}, {model}, **shared{settings}),"
