"""The printed parts of docs/samplers.md: guarantees and schedules, from the code that runs."""

import torch

from samplers import SAMPLERS
from samplers.schedules import SCHEDULES


def samplers_table() -> str:
    """One line a sampler: guarantee, blocks, what happens to a written token, presets."""
    head = "| sampler | guarantee | blocks begin | written tokens | presets |"
    lines = [head, "|" + "---|" * 5]
    places = {"prompt": "after the prompt", "first": "at the first token", "whole": "one block"}
    for one in SAMPLERS.values():
        revision: str = one.revision(one.bind()) or "final"
        others = {one.revision(one.bind(values)) for values in one.presets.values()} - {None}
        if revision == "final" and others:
            revision += ", or " + ", ".join(sorted(map(str, others)))
        presets = ", ".join(f"`{name}`" for name in one.presets) or "none"
        cells = (f"`{one.name}`", one.guarantee, places[one.layout], revision, presets)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def schedules_table() -> str:
    """One line a curve: where it was published, its constant, alpha at three times."""
    lines = ["| schedule | curve and source | eps | alpha(1/4) | alpha(1/2) | alpha(3/4) |"]
    lines.append("|" + "---|" * 6)
    times = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    for name, curve in SCHEDULES.items():
        values = " | ".join(f"{alpha:.3f}" for alpha in curve.alpha(times).tolist())
        lines.append(f"| `{name}` | {curve.reference} | {curve.eps:g} | {values} |")
    return "\n".join(lines)
