"""The run of the page as Python: what to type to get the same trajectories."""

from collections.abc import Sequence

from .lane import Request
from .settings import Choice


def snippet(request: Request, chosen: Sequence[Choice]) -> str:
    """Source code that repeats the run with lab.run and saves it."""
    given = ", ".join(f"{name}={x!r}" for name, x in request.given.items() if x is not None)
    calls = [_call(request.suite, choice) for choice in chosen]
    lines = ["import lab", "", f"given = dict({given})", "runs = [", *calls, "]"]
    lines += ["for trajectory in runs:", "    print(trajectory.sampler, trajectory.text)"]
    lines += ['lab.save(runs, "trajectories.csv")']
    return "\n".join(lines)


def _call(suite: str, choice: Choice) -> str:
    preset = {"preset": choice.preset} if choice.preset else {}
    settings = "".join(f", {name}={x!r}" for name, x in {**preset, **choice.params}.items())
    return f"    *lab.run({choice.sampler!r}, {suite!r}, **given{settings}),"
