"""Feynman-Kac steering: a reward multiplies particles, or ends them (arXiv:2501.06848)."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from . import kernels, schedules
from .canvas import Canvas, Denoiser, Step, any_of, write
from .draw import weighing
from .noise import Noise
from .params import AlphaSchedule, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

Particles = Annotated[int, Range(1, 64, 1, "Canvases that a row walks at once; each call counts.")]
Strength = Annotated[
    float, Range(0.0, 100.0, 0.5, "Texts count e^(strength reward) times; 0 is no steering.")
]
Every = Annotated[
    int, Range(1, 5000, 1, "Steps from one selection to the next; the last is at the end.")
]
Reward = Annotated[
    str,
    Choice(
        ("score", "right"),
        "What the task's checker gives: its verdict, or the share of positions it finds right.",
    ),
]
Potential = Annotated[
    str,
    Choice(
        ("difference", "max", "sum"),
        "What a selection weighs: the rise of the reward, its largest so far, or its sum so far.",
    ),
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    # A selection brings back canvases with more to fill in: no step can be counted on to ask none.
    return values["particles"] * steps_per_block(values, masked, False)


def _check(values: dict[str, Any], card: Any) -> None:
    if values["reward"] not in card.rewards:
        raise ValueError(
            f"fk_steering: reward must be one of {', '.join(card.rewards)} for this model, got "
            f"{values['reward']!r}; leave it out for the default 'score'"
        )


@sampler(
    title="FK steering (particles)",
    paper="arXiv:2501.06848",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), time=True, reward=True),
    layout="whole",
    revises="remasks",
    budget=_budget,
    copies=lambda values: values["particles"],
    check=_check,
    presets={"paper": {"steps": 1000}},
)
def fk_steering(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    particles: Particles = 4,
    strength: Strength = 10.0,
    every: Every = 20,
    reward: Reward = "score",
    potential: Potential = "difference",
    schedule: AlphaSchedule = "loglinear",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
) -> Iterator[Step]:
    """Walk particles through MDLM's steps and now and then draw them anew, by their rewards.

    A selection judges each with its masked positions filled at once. The potentials multiply to
    e^(strength r(x)), so that many particles write p(x) e^(strength r(x)). Shown is the first.
    """
    curve, weigh = schedules.get(schedule), weighing(temperature, top_k, top_p, nucleus_rule)
    for window in canvas.blocks():
        z, logits = canvas.tokens.expand(particles, -1, -1), torch.empty(0)
        earned, stale = Earned.nothing(z), torch.ones_like(z[..., 0], dtype=torch.bool)
        for number, (t, s) in enumerate(pairwise(schedules.grid("uniform", steps))):
            masked = canvas.writable[:, window] & (z[:, :, window] == canvas.mask)
            rows = masked.any(-1) & stale
            some_masked, some_stale = any_of(masked, rows)
            if not some_masked:
                break
            noisy, cleaner = curve.move_chance(torch.tensor([t, s])).tolist()
            if some_stale:
                logits = _refreshed(denoise, z, window, rows, logits, 1 - noisy)
            if selects := number > 0 and number % every == 0:
                live = masked.any(-1).any(0)
                whole, _ = _opened(z, window, masked, logits, noise, weigh, 0.0, "prediction")
                rewards = denoise.reward(whole, reward)
                log_weight, earned = earned.weigh(rewards, live, strength, potential)
                ancestors = _select(log_weight, live, noise)
                z, masked, logits = (_at(each, ancestors) for each in (z, masked, logits))
                earned = Earned(*(_at(each, ancestors) for each in earned))
            stay = cleaner / noisy if s > 0 else 0.0
            z, ids = _opened(z, window, masked, logits, noise, weigh, stay, "draw")
            stale = (ids >= 0).any(-1) | denoise.card.time_conditioned
            if some_stale or selects or stale.any():
                yield Step(z[0], window, ids[0])
        log_weight = strength * denoise.reward(z, reward) - earned.spent
        yield Step(_at(z, _select(log_weight, canvas.writable.any(-1), noise))[0], window)


class Earned(NamedTuple):
    """Of each particle [K, B]: its log potentials so far, its largest reward, the sum of all."""

    spent: Tensor
    most: Tensor
    total: Tensor

    @classmethod
    def nothing(cls, z: Tensor) -> "Earned":
        """What particles z [K, B, T] begin with."""
        nothing = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
        return cls(nothing, nothing - torch.inf, nothing)

    def weigh(
        self, rewards: Tensor, live: Tensor, strength: float, potential: str
    ) -> tuple[Tensor, "Earned"]:
        """Log weights [K, B] of a selection by rewards [K, B], and what is earned after it in the
        rows `live` [B]."""
        most, total = torch.maximum(self.most, rewards), self.total + rewards
        log_weight = strength * {"difference": rewards, "max": most, "sum": total}[potential]
        if potential == "difference":
            log_weight = log_weight - self.spent
        after = (self.spent + log_weight, most, total)
        return log_weight, Earned(
            *(torch.where(live, new, old) for new, old in zip(after, self, strict=True))
        )


def _refreshed(
    denoise: Denoiser, z: Tensor, window: slice, rows: Tensor, logits: Tensor, alpha: float
) -> Tensor:
    """The latest answer about each particle [K, B, W, V]: those of `rows` [K, B] asked again."""
    time = kernels.model_time(denoise.card, alpha, z[0])
    answer = denoise.each(z, window=window, rows=rows, t=time)
    return answer.where(rows[..., None, None], logits) if logits.numel() else answer


def _opened(
    z: Tensor, window: slice, masked: Tensor, logits: Tensor, noise: Noise,
    weigh: Callable[[Tensor], Tensor], stay: float, purpose: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Particles [K, B, T] with their masked positions [K, B, W] open but for a chance `stay`, and
    the ids [K, B, W] written there, -1 elsewhere."""
    where, values = (each.transpose(0, 1).flatten(1, 2) for each in (masked, logits))
    ids = noise.reveal(values, where, weigh, stay, purpose).unflatten(1, (len(z), -1))
    ids = ids.transpose(0, 1)
    opened = write(z.flatten(0, 1), window, ids.flatten(0, 1) >= 0, ids.flatten(0, 1))
    return opened.view_as(z), ids


def _select(log_weight: Tensor, rows: Tensor, noise: Noise) -> Tensor:
    """The numbers [K, B] of the particles that go on, drawn in proportion to their weights; in
    other rows than these [B] all do."""
    count = len(log_weight)
    weights = log_weight.T.softmax(-1)[:, None].expand(-1, count, -1)
    drawn = noise.categorical(weights, rows[:, None].expand(-1, count), "selection").T
    return drawn.where(drawn >= 0, torch.arange(count, device=drawn.device)[:, None])


def _at(each: Tensor, ancestors: Tensor) -> Tensor:
    """The particles [K, B, ...] of these numbers [K, B]."""
    return each[ancestors, torch.arange(each.shape[1], device=each.device)]
