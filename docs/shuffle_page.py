"""What docs/generate.py prints of a shuffle: how far from the truth so many calls can come."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from lab.models.load import load
from lab.study.enumeration import exact_law
from lab.study.svg_figure import Guide, log_figure
from lab.study.truth import distance
from lab.tasks.lists import EOS, LENGTH, SIZE, TASK, questions
from samplers import SAMPLERS

QUESTION, ANSWERS = questions("shuffle")[0]
STEPS = [{"steps": steps} for steps in (1, 2, 3, 4)]
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "mdlm": STEPS[:2],
    "llada": [{**each, "block_length": 8, "temperature": 1.0} for each in STEPS],
    "dream": [{**each, "temperature": 1.0} for each in STEPS],
    "threshold": [{"threshold": each, "temperature": 1.0} for each in (0.2, 0.3, 0.5, 0.9)],
    "entropy_bound": [{"gamma": each, "temperature": 1.0} for each in (2.0, 1.0, 0.5)],
    "first_hitting": STEPS[:3],
    "margin": [{**each, "temperature": 1.0} for each in STEPS],
    "autoregressive": [{"temperature": 1.0}],
}


class Point(NamedTuple):
    """A setting's law: mean calls, the share of right answers, KL (nats) of the truth to it."""

    setting: str
    calls: float
    right: float
    kl: float


@cache
def points() -> dict[str, list[Point]]:
    """The points of every sampler, exact: each choice is listed with its probability."""
    return {name: list(_points(name)) for name in SETTINGS}


def _points(name: str) -> Iterator[Point]:
    model, sampler = load(TASK.models[0]), SAMPLERS[name]
    words = list(TASK.words or ())  # an exact table counts its tokens like this, then the mask
    begin, ends = len(QUESTION), [EOS] * (LENGTH - len(QUESTION) - SIZE)
    lines = [[*QUESTION, *answer, *ends] for answer in ANSWERS]
    sequences = torch.tensor([[words.index(word) for word in line] for line in lines])
    blank = sequences[0].tolist()
    blank[begin : begin + SIZE] = [len(words)] * SIZE
    truth = np.full(len(ANSWERS), 1 / len(ANSWERS))
    for settings in SETTINGS[name]:
        law = exact_law(sampler, model, blank, count_calls=True, **sampler.bind(settings))
        reached = law.of(sequences).numpy()
        label = next((f"{key}={value:g}" for key, value in settings.items()), "")
        kl = max(0.0, distance(truth, reached).kl)
        yield Point(label, law.mean_calls, float(reached.sum()), kl)


def shuffle_table() -> str:
    """A line a setting."""
    lines = ["| sampler | setting | calls | right | KL (nats) |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {each.setting} | {each.calls:.2f} | {100 * each.right:.1f} % "
        f"| {each.kl:.3f} |"
        for name, settings in points().items()
        for each in settings
    ]
    return "\n".join(lines)


def shuffle_figure() -> str:
    """KL by calls, beside what one call can do at best."""
    series = {
        name: [(each.calls, each.kl) for each in settings if each.kl > 1e-9]
        for name, settings in points().items()
    }
    guides = [Guide("one call at best", (1, TASK.bounds["shuffle"]))]
    return log_figure(
        series, "Model calls", "KL of the truth to what is written (nats)", guides=guides,
        title="Distance from all 24 orders of four names, by model calls",
    )  # fmt: skip
