"""The bound that GIDD proves for hybrid noise (arXiv 2503.04482), given a net's full posterior."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from samplers.schedules import Hybrid


class Marginal(NamedTuple):
    """q_t and its slopes at time t, float64: alpha, mask share, share of EACH other id."""

    alpha: torch.Tensor
    mask: torch.Tensor
    each: torch.Tensor
    alpha_slope: torch.Tensor
    mask_slope: torch.Tensor
    each_slope: torch.Tensor


def marginal(time: torch.Tensor, p_uniform: float, vocab_size: int) -> Marginal:
    """GIDD's curve with gamma 1 at time (any shape), c = B sqrt(t(1-t)), C = 1 + c; slopes in t."""
    time = time.double()
    alpha, mask, uniform = Hybrid(p_uniform).at(time)
    total = 1 / (1 - uniform)
    slope = 0.5 * (1 - 2 * time) / (time * (1 - time)) * uniform * total
    others = vocab_size - 1
    return Marginal(
        alpha,
        mask,
        uniform / others,
        (-total - (1 - time) * slope) / total**2,
        (total - time * slope) / total**2,
        slope / total**2 / others,
    )


def leave_one_out(
    log_full: torch.Tensor, noisy: torch.Tensor, curve: Marginal, mask_id: int
) -> torch.Tensor:
    """Turn log full posterior [n, V] into the leave-one-out one: divide by q_t(z | x), renormalise.

    Where z [n] is the mask the two agree; elsewhere only the logit of z changes, by
    log(1 + alpha / (beta pi(z))) (samplers.md F1).
    """
    gain = torch.log1p(curve.alpha / curve.each).masked_fill(noisy == mask_id, 0.0)
    lowered = log_full.double().scatter_add(1, noisy[:, None], -gain[:, None])
    return lowered.log_softmax(1)


def integrand(
    log_loo: torch.Tensor,
    noisy: torch.Tensor,
    clean: torch.Tensor,
    curve: Marginal,
    mask_id: int,
) -> torch.Tensor:
    """GIDD's ELBO integrand [n], nats a token: w(z) [KL(q_t(.|x) || q_t(.|x_th)) + r - log r - 1].

    log_loo [n, V] is the leave-one-out posterior, zero at the mask; r = q_t(z|x) / q_t(z|x_th).
    """
    one = torch.arange(len(noisy))
    alpha, each = curve.alpha, curve.each
    told = alpha[:, None] * log_loo.exp() + each[:, None]
    told[:, mask_id] = curve.mask
    true = each[:, None].expand_as(told).clone()
    true[one, clean] += alpha
    true[:, mask_id] = curve.mask
    divergence = (true * (true / told).log()).sum(1)
    ratio = true[one, noisy] / told[one, noisy]
    is_mask = noisy == mask_id
    share = torch.where(is_mask, curve.mask, each)
    slope = torch.where(is_mask, curve.mask_slope, curve.each_slope)
    weight = (slope - curve.alpha_slope / alpha * share) / true[one, noisy]
    return weight * (divergence + ratio - ratio.log() - 1)


def stratified_times(
    count: int, random: torch.Generator, eps: float = 1e-4
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw t [count] = sin^2(pi s / 2), s one a stratum, and dt/ds [count].

    The integrand grows like t^(-1/2) at both ends; in s it is level, so few draws suffice.
    """
    unit = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
    low = 2 / math.pi * math.asin(math.sqrt(eps))
    s = low + (1 - 2 * low) * unit.double()
    return torch.sin(math.pi / 2 * s) ** 2, (1 - 2 * low) * math.pi / 2 * torch.sin(math.pi * s)
