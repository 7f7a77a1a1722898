"""The run of the page as code: what to type to get the same trajectories, in Python or a shell."""

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from lab.ui import loaded_models
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings


class Code(NamedTuple):
    """The same in two languages; shell is "" where no command does it."""

    python: str
    shell: str


def snippet(inputs: RunInputs, panels: Sequence[PanelSettings]) -> Code:
    """Code that repeats the run and saves it."""
    return Code(_python(inputs, panels), _shell(inputs, panels))


def reading(file: str) -> Code:
    """Code that opens a file of saved runs."""
    lines = ["import lab", "", f"runs = lab.read({file!r})", "for trajectory in runs:"]
    return Code("\n".join([*lines, "    print(trajectory.sampler, trajectory.text)"]), "")


def _python(inputs: RunInputs, panels: Sequence[PanelSettings]) -> str:
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


def _call(model: str, panel: PanelSettings) -> str:
    preset = {"preset": panel.preset} if panel.preset else {}
    settings = "".join(f", {name}={x!r}" for name, x in {**preset, **panel.params}.items())
    return f"    *lab.run({panel.sampler!r}, {model}, **shared{settings}),"


def _shell(inputs: RunInputs, panels: Sequence[PanelSettings]) -> str:
    """A command a panel, each with a file of its own."""
    entry = loaded_models.entry(inputs.task)
    if entry and entry.options:
        names = ", ".join(entry.options)
        return f"# The shell opens models as they are published: for {names} take the Python above."
    if not isinstance(inputs.template or "", str):
        return "# A template of token ids is nothing to type: take the Python above."
    model = {"model": entry.offer.name} if entry else {"task": inputs.task}
    names = {"prompts": "prompt"}
    shared = {names.get(name, name): x for name, x in inputs.arguments.items() if x is not None}
    return "\n".join(
        _command({"sampler": panel.sampler, **model, **shared,
                  **({"preset": panel.preset} if panel.preset else {}), **panel.params,
                  "csv": f"panel-{number}.csv"})
        for number, panel in enumerate(panels, 1)
    )  # fmt: skip


def _command(options: dict[str, Any]) -> str:
    words = [f"--{name.replace('_', '-')}={x}" for name, x in options.items()]
    return f"python -m lab generate {shlex.join(words)}"
