"""The run of the page as Python: what to type to get the same trajectories."""

from collections.abc import Sequence

from lab.ui import loaded_models
from lab.ui.panel_run import Request
from lab.ui.settings_form import Choice


def snippet(request: Request, chosen: Sequence[Choice]) -> str:
    """Source code that repeats the run with lab.run and saves it."""
    given = ", ".join(f"{name}={x!r}" for name, x in request.given.items() if x is not None)
    lines = ["import lab", ""]
    model = repr(request.task)
    if found := loaded_models.known().get(request.task):
        how = "".join(f", {name}={x!r}" for name, x in found.given.items())
        lines.append(f"model = lab.load({found.offer.name!r}{how})")
        model = "model"
    calls = [_call(model, choice) for choice in chosen]
    lines += [f"given = dict({given})", "runs = [", *calls, "]"]
    lines += ["for trajectory in runs:", "    print(trajectory.sampler, trajectory.text)"]
    lines += ['lab.save(runs, "trajectories.csv")']
    return "\n".join(lines)


def reading(file: str) -> str:
    """Source code that opens a file of saved runs."""
    lines = ["import lab", "", f"runs = lab.read({file!r})", "for trajectory in runs:"]
    return "\n".join([*lines, "    print(trajectory.sampler, trajectory.text)"])


def _call(model: str, choice: Choice) -> str:
    preset = {"preset": choice.preset} if choice.preset else {}
    settings = "".join(f", {name}={x!r}" for name, x in {**preset, **choice.params}.items())
    return f"    *lab.run({choice.sampler!r}, {model}, **given{settings}),"
