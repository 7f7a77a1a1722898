"""Is a sampler correct? Its exact error on a chain that is known, by number of steps.

    import my_sampler  # registers it
    from lab.study.correctness import check
    print(check("my_sampler"))

The sampler runs on the exact model of a short chain, at temperature 1 and with no filter. Every
choice that it can make is followed (lab.study.enumeration), so that its error has no noise; one
that draws plain uniform numbers, or remembers more than its canvas for long, is run on many rows,
beside what as many perfect rows would show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
import torch

import samplers
from lab.models.exact.oracle import oracle
from lab.models.model import Model
from lab.run.plan import plan
from lab.run.request import RunRequest
from lab.study.enumeration import Law, NotEnumerable, exact_law
from lab.study.measure import run
from lab.study.truth import Floor, Slope, distance, frequencies, noise_floor, slope
from samplers.registry import Sampler

INITIAL = (0.5, 0.3, 0.2)
TRANSITION = ((0.7, 0.2, 0.1), (0.1, 0.2, 0.7), (0.3, 0.6, 0.1))
LENGTH = 3
STEPS = (1, 2, 4, 8, 16)
ROWS = 20_000  # where the law cannot be enumerated
MOST_PATHS = 20_000  # followed apart; beyond that, paths that meet on one canvas are joined
EXACT = 1e-6  # an error below this is rounding
# What the slope of a guarantee may be: the error falls like N to that power, or faster.
PROMISED = {"O(1/N)": -1.0, "O(N^-1/2)": -0.5}
ROOM = 0.15  # above the promised slope, for N that is not large yet
# The kinds of model that a sampler may need; the first that fits is taken.
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"corruption": "hybrid"},
    {"corruption": "hybrid", "posterior": "loo"},
    {"corruption": "uniform"},
    {"draft_length": LENGTH},
)


class ErrorPoint(NamedTuple):
    """The error at one setting: total variation and KL (nats) to the truth, calls a row."""

    values: Mapping[str, Any]
    calls: float
    total_variation: float
    kl: float


class Correctness(NamedTuple):
    """What a sampler promises and what it does; print it for a table and a verdict.

    floor: what as many perfect rows would show, 0 where the law was enumerated; slope: of the error
    against steps, in logarithms.
    """

    sampler: str
    guarantee: str
    points: tuple[ErrorPoint, ...]
    floor: Floor | None
    slope: Slope

    @property
    def agrees(self) -> bool:
        """Whether the error is what the guarantee allows; "biased" allows any."""
        last = self.points[-1].total_variation
        limit = EXACT if self.floor is None else self.floor.high.total_variation
        if self.guarantee in ("exact", "deterministic"):
            return last <= limit
        if self.guarantee in PROMISED:
            return last <= limit or self.slope.value <= PROMISED[self.guarantee] + ROOM
        return self.guarantee != "floor" or last <= self.points[0].total_variation + EXACT

    @property
    def verdict(self) -> str:
        """One sentence."""
        last = self.points[-1].total_variation
        error = "none" if last <= EXACT else f"{last:.4f}"
        fall = "" if np.isnan(self.slope.value) else f", falling like N^{self.slope.value:.2f}"
        start = f"{self.sampler} promises {self.guarantee}; its error ends at {error}{fall}: "
        return start + ("as promised" if self.agrees else "NOT as promised")

    def __str__(self) -> str:
        lines = ["setting                calls  total variation  KL (nats)"]
        for point in self.points:
            label = ", ".join(f"{name}={value}" for name, value in point.values.items())
            lines.append(
                f"{label or 'defaults':20}  {point.calls:6.2f}  {point.total_variation:15.4f}  "
                f"{point.kl:9.4f}"
            )
        if self.floor:
            lines.append(f"{ROWS} perfect rows would show {self.floor.mean.total_variation:.4f}")
        return "\n".join([*lines, self.verdict])


def check(
    sampler: str, settings: Sequence[Mapping[str, Any]] | None = None, *, rows: int = ROWS
) -> Correctness:
    """Measure a sampler's error on the reference chain and hold it against its guarantee.

    settings: values to run with; 1, 2, 4, 8 and 16 steps if left out, or the defaults of a sampler
    that has no `steps`. Temperature 1 where nothing else is said. ValueError where no model of the
    chain fits the sampler.
    """
    one = samplers.get(sampler)
    model = model_for(one)
    names = {param.name for param in one.params}
    if settings is None:
        settings = [{"steps": steps} for steps in STEPS] if "steps" in names else [{}]
    points, sampled = [], False
    for values in settings:
        warm = {"temperature": 1.0, **values} if "temperature" in names else values
        point = None if sampled else _enumerate(one, model, values, one.bind(warm))
        sampled = point is None
        points.append(point or _sample(one, model, values, dict(warm), rows))
    floor = _floor(rows) if sampled else None
    steps = [float(values.get("steps", point.calls)) for values, point in zip(settings, points)]  # noqa: B905
    errors = [point.total_variation for point in points]
    level = EXACT if floor is None else floor.mean.total_variation
    return Correctness(
        sampler, one.guarantee, tuple(points), floor, slope(steps, errors, level / 2)
    )


def model_for(sampler: Sampler) -> Model:
    """The exact model of the reference chain that fits a sampler. ValueError where none does."""
    for number, _ in enumerate(KINDS):
        model = _model(number)
        if sampler.misfit(model.card) is None:
            return model
    raise ValueError(
        f"{sampler.name} fits no exact model of the reference chain: {sampler.misfit(model.card)}"
    )


@cache
def _model(number: int) -> Model:
    model = oracle(INITIAL, TRANSITION, length=LENGTH, **KINDS[number])
    model.card = replace(model.card, rewards=("score",))
    model.reward = _reward  # type: ignore[method-assign]
    return model


def _reward(texts: torch.Tensor, name: str) -> torch.Tensor:
    """What steering samplers are steered to here: a text whose first and last letter are alike."""
    return (texts[:, 0] == texts[:, -1]).double()


@cache
def truth() -> tuple[torch.Tensor, np.ndarray]:
    """Every sequence [27, 3] of the reference chain, and its probability [27]."""
    sequences = torch.tensor(list(product(range(len(INITIAL)), repeat=LENGTH)))
    chances = [
        INITIAL[line[0]] * float(np.prod([TRANSITION[a][b] for a, b in pairwise(line)]))
        for line in sequences.tolist()
    ]
    return sequences, np.array(chances)


@cache
def _floor(rows: int) -> Floor:
    return noise_floor(truth()[1], rows)


def _enumerate(
    sampler: Sampler, model: Model, values: Mapping[str, Any], bound: Mapping[str, Any]
) -> ErrorPoint | None:
    """The point from every path that the sampler can take; None where they cannot be listed."""
    blank = [model.card.mask_id if model.card.mask_id is not None else 0] * LENGTH
    sequences, chances = truth()
    try:
        joined = exact_law(sampler, model, blank, count_calls=True, **bound)
    except NotEnumerable:
        return None
    error = distance(joined.of(sequences).numpy(), chances)
    apart = _apart(sampler, model, blank, bound)
    if apart is not None and not torch.allclose(apart.of(sequences), joined.of(sequences)):
        return None  # it remembers: paths that meet on a canvas do not go on alike
    return ErrorPoint(values, joined.mean_calls, error.total_variation, max(0.0, error.kl))


def _apart(
    sampler: Sampler, model: Model, blank: Sequence[int], bound: Mapping[str, Any]
) -> Law | None:
    """The law with every path followed apart, where they are few."""
    try:
        return exact_law(sampler, model, blank, join=False, most_rows=MOST_PATHS, **bound)
    except NotEnumerable:
        return None


def _sample(
    sampler: Sampler, model: Model, values: Mapping[str, Any], params: dict[str, Any], rows: int
) -> ErrorPoint:
    template = f"[MASK]*{LENGTH}"
    request = RunRequest(sampler.name, model, template=template, rows=rows, params=params)
    tokens, meter, _ = run(plan(request))
    sequences, chances = truth()
    error = distance(frequencies(tokens.numpy(), sequences.numpy()), chances)
    return ErrorPoint(
        values, float(meter.calls.double().mean()), error.total_variation, max(0.0, error.kl)
    )
