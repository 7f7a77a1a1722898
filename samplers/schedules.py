"""Noise schedules: alpha_t, the chance that a token is still clean at time t (1 = all noise).

One table, one name a curve. Two different curves are both called "cosine" in the literature, so
each carries its own name here. `move_chance = 1 - alpha`; a sampler steps from t to the next grid
point s, never to `t - 1/N`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """A curve alpha(t, eps) with its derivative in t and where it was published.

    `alpha` and `derivative` take t of any shape in [0, 1] and return float64 of that shape.
    """

    name: str
    eps: float
    reference: str
    curve: Callable[[Tensor, float], Tensor]
    slope: Callable[[Tensor, float], Tensor]

    def alpha(self, t: Tensor) -> Tensor:
        return self.curve(t.double(), self.eps)

    def derivative(self, t: Tensor) -> Tensor:
        return self.slope(t.double(), self.eps)

    def move_chance(self, t: Tensor) -> Tensor:
        """The chance 1 - alpha_t that a token has been replaced by noise at time t."""
        return 1 - self.alpha(t)

    def weight(self, t: Tensor) -> Tensor:
        """The weight -alpha' / (1 - alpha) of the cross-entropy in the bound (MDLM eq. 10)."""
        return -self.derivative(t) / self.move_chance(t)

    def time(self, alpha: Tensor) -> Tensor:
        """Invert alpha by bisection: the t in [0, 1] at which the curve has this value."""
        low, high = torch.zeros_like(alpha).double(), torch.ones_like(alpha).double()
        for _ in range(60):
            middle = (low + high) / 2
            above = self.alpha(middle) > alpha
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        return (low + high) / 2


_QUARTER = math.pi / 2
_SIGMA = (1e-3, 7.0)  # linear_sigma: MDLM's sigma_min, sigma_max
_GEOMETRIC = (1e-4, 20.0)  # geometric: the sigma_min, sigma_max of the published configuration


def _geometric_sigma(t: Tensor) -> Tensor:
    return _GEOMETRIC[0] ** (1 - t) * _GEOMETRIC[1] ** t


_TABLE = (
    Schedule(
        "loglinear",
        1e-3,
        "MDLM arXiv:2406.07524, SEDD, ReMDM, Duo: 1 - (1 - eps) t",
        lambda t, e: 1 - (1 - e) * t,
        lambda t, e: torch.full_like(t, e - 1),
    ),
    Schedule(
        "linear",
        0.0,
        "LLaDA arXiv:2502.09992 eq. 8, BD3LM: 1 - t",
        lambda t, e: 1 - (1 - e) * t,
        lambda t, e: torch.full_like(t, e - 1),
    ),
    Schedule(
        "cosine",
        0.0,
        "MD4 arXiv:2406.04329 table 4, Duo: 1 - cos(pi (1 - t) / 2)",
        lambda t, e: 1 - torch.cos(_QUARTER * (1 - (1 - e) * t)),
        lambda t, e: -(1 - e) * _QUARTER * torch.sin(_QUARTER * (1 - (1 - e) * t)),
    ),
    Schedule(
        "cosine_mdlm",
        1e-3,
        "MDLM appendix E.1: eps + (1 - eps) cos(pi t / 2)",
        lambda t, e: e + (1 - e) * torch.cos(_QUARTER * t),
        lambda t, e: -(1 - e) * _QUARTER * torch.sin(_QUARTER * t),
    ),
    Schedule(
        "cosine_squared",
        1e-3,
        "MDLM appendix E.1: eps + (1 - eps) cos^2(pi t / 2)",
        lambda t, e: e + (1 - e) * torch.cos(_QUARTER * t) ** 2,
        lambda t, e: -(1 - e) * _QUARTER * torch.sin(2 * _QUARTER * t),
    ),
    Schedule(
        "cosine_bd3lm",
        1e-3,
        "BD3LM arXiv:2503.09573: (1 - eps) cos(pi t / 2)",
        lambda t, e: (1 - e) * torch.cos(_QUARTER * t),
        lambda t, e: -(1 - e) * _QUARTER * torch.sin(_QUARTER * t),
    ),
    Schedule(
        "square",
        1e-3,
        "BD3LM: 1 - max(t^2, eps)",
        lambda t, e: 1 - (t**2).clamp(min=e),
        lambda t, e: torch.where(t**2 > e, -2 * t, 0.0),
    ),
    Schedule(
        "square_root",
        1e-3,
        "BD3LM: 1 - max(t^0.5, eps)",
        lambda t, e: 1 - t.sqrt().clamp(min=e),
        lambda t, e: torch.where(t.sqrt() > e, -0.5 / t.clamp(min=1e-12).sqrt(), 0.0),
    ),
    Schedule(
        "log",
        0.0,
        "BD3LM: 1 - log(1 + t) / log 2",
        lambda t, e: 1 - torch.log1p((1 - e) * t) / math.log(2),
        lambda t, e: -(1 - e) / (1 + (1 - e) * t) / math.log(2),
    ),
    Schedule(
        "linear_sigma",
        0.0,
        "MDLM Linear: exp(-(sigma_min + t (sigma_max - sigma_min)))",
        lambda t, e: torch.exp(-(_SIGMA[0] + t * (_SIGMA[1] - _SIGMA[0]))),
        lambda t, e: (
            (_SIGMA[0] - _SIGMA[1]) * torch.exp(-(_SIGMA[0] + t * (_SIGMA[1] - _SIGMA[0])))
        ),
    ),
    Schedule(
        "geometric",
        0.0,
        "SEDD arXiv:2310.16834: exp(-sigma_min^(1-t) sigma_max^t)",
        lambda t, e: torch.exp(-_geometric_sigma(t)),
        lambda t, e: (
            -math.log(_GEOMETRIC[1] / _GEOMETRIC[0])
            * _geometric_sigma(t)
            * torch.exp(-_geometric_sigma(t))
        ),
    ),
)

SCHEDULES = {schedule.name: schedule for schedule in _TABLE}


def get(name: str, eps: float | None = None) -> Schedule:
    """Look a curve up by name; `eps` replaces its published constant. ValueError if unknown."""
    if name not in SCHEDULES:
        raise ValueError(f"no schedule {name!r}; there are {', '.join(SCHEDULES)}")
    schedule = SCHEDULES[name]
    return schedule if eps is None else replace(schedule, eps=eps)


GRIDS = {"uniform": 1.0, "sqrt": 2.0}


def grid(name: str, steps: int) -> list[float]:
    """Times 1 = t_0 > ... > t_steps = 0, evenly spaced in t (`uniform`) or in its root (`sqrt`)."""
    return [(1 - i / steps) ** GRIDS[name] for i in range(steps + 1)]


@dataclass(frozen=True)
class Hybrid:
    """GIDD's mixture of mask and uniform noise (arXiv:2503.04482 section 4, eqs. 9-12).

    p_uniform: the uniform share of the noise at t = 1/2; gamma: how sharply that share is
    concentrated around t = 1/2 (1 published); clip_noise: p_uniform is floored at
    exp(-clip_noise) and |log B| capped there, so that 0 stays finite (20 published).
    """

    p_uniform: float = 0.1
    gamma: float = 1.0
    clip_noise: float = 20.0

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The marginal at t, float64: (alpha, mass on mask, mass spread over all noise ids)."""
        t = t.double()
        p = max(math.exp(-self.clip_noise), self.p_uniform)
        log_b = self.gamma * math.log(2) + math.log(p) - math.log1p(-p)
        b = math.exp(min(max(log_b, -self.clip_noise), self.clip_noise))
        c = b * (t * (1 - t)).clamp(min=0) ** (self.gamma / 2)
        return (1 - t) / (1 + c), t / (1 + c), c / (1 + c)


@lru_cache(8192)
def masses(mixture: Hybrid, t: float) -> tuple[float, float, float]:
    """`mixture.at(t)` as three numbers."""
    alpha, mask, uniform = (mass.item() for mass in mixture.at(torch.tensor(t)))
    return alpha, mask, uniform
