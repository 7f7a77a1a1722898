"""GIDD's bound and losses for hybrid noise (arXiv 2503.04482), from a model's posterior."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from samplers.schedules import Hybrid

CLIP = 2.0  # most weight of one token, where weights are clipped (GIDD's published bound)


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


def uniform_marginal(time: torch.Tensor, vocab_size: int) -> Marginal:
    """Uniform noise with alpha = 1 - t on the V - 1 ids beside the mask (UDLM, arXiv 2412.10193).

    The bound of UDLM (eq. 18) is GIDD's on this curve.
    """
    time, others = time.double(), vocab_size - 1
    zero, one = torch.zeros_like(time), torch.ones_like(time)
    return Marginal(1 - time, zero, time / others, -one, zero, one / others)


def leave_one_out(
    log_full: torch.Tensor, noisy: torch.Tensor, curve: Marginal, mask_id: int
) -> torch.Tensor:
    """Turn log full posterior [n, V] into the leave-one-out one: divide by q_t(z | x), renormalise.

    Where z [n] is the mask the two agree; elsewhere only the logit of z changes, by
    log(1 + alpha / (beta pi(z))).
    """
    return _multiply(log_full, noisy, curve, mask_id, -1.0)


def full(log_loo: torch.Tensor, noisy: torch.Tensor, curve: Marginal, mask_id: int) -> torch.Tensor:
    """Undo leave_one_out."""
    return _multiply(log_loo, noisy, curve, mask_id, 1.0)


def _multiply(
    log_posterior: torch.Tensor, noisy: torch.Tensor, curve: Marginal, mask_id: int, power: float
) -> torch.Tensor:
    gain = torch.log1p(curve.alpha / curve.each).masked_fill(noisy == mask_id, 0.0)
    changed = log_posterior.double().scatter_add(1, noisy[:, None], power * gain[:, None])
    return changed.log_softmax(1)


def weight(noisy: torch.Tensor, clean: torch.Tensor, curve: Marginal, mask_id: int) -> torch.Tensor:
    """GIDD's ELBO weight w(z) [n] of tokens noisy z where clean ones stood."""
    is_mask = noisy == mask_id
    share = torch.where(is_mask, curve.mask, curve.each)
    slope = torch.where(is_mask, curve.mask_slope, curve.each_slope)
    chance = share + curve.alpha * (noisy == clean)
    return (slope - curve.alpha_slope / curve.alpha * share) / chance


def dynamic(
    noisy: torch.Tensor,
    clean: torch.Tensor,
    time: torch.Tensor,
    p_uniform: float,
    vocab_size: int,
    mask_id: int,
) -> torch.Tensor:
    """GIDD's default training weight [n]: 2 at masks, 1 at random tokens, less at clean ones.

    There B/V exp(sigmoid(-t) / 2), as published code has it (its comment says log-SNR for -t).
    """
    odds = 2 * p_uniform / (1 - p_uniform)
    clean_weight = (odds / vocab_size * torch.exp(torch.sigmoid(-time) / 2)).clamp(max=CLIP)
    return torch.where(noisy == mask_id, 2.0, torch.where(noisy == clean, clean_weight, 1.0))


def integrand(
    log_loo: torch.Tensor,
    noisy: torch.Tensor,
    clean: torch.Tensor,
    curve: Marginal,
    mask_id: int,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """GIDD's ELBO integrand [n], nats a token: w(z) [KL(q_t(.|x) || q_t(.|x_th)) + r - log r - 1].

    log_loo [n, V] is the leave-one-out posterior, zero at the mask; r = q_t(z|x) / q_t(z|x_th);
    weights [n] stand in for w(z) where a model is trained under others.
    """
    one = torch.arange(len(noisy))
    alpha, each = curve.alpha, curve.each
    predicted = alpha[:, None] * log_loo.exp() + each[:, None]
    predicted[:, mask_id] = curve.mask
    true = each[:, None].expand_as(predicted).clone()
    true[one, clean] += alpha
    true[:, mask_id] = curve.mask
    divergence = torch.where(true > 0, true * (true / predicted).log(), 0.0).sum(1)
    ratio = true[one, noisy] / predicted[one, noisy]
    factor = weight(noisy, clean, curve, mask_id) if weights is None else weights
    return factor * (divergence + ratio - ratio.log() - 1)


class Divergence(NamedTuple):
    """GIDD's own loss for a batch at time [B, C]: the model is read as the leave-one-out posterior.

    weighting: elbo (the bound), clip (its weights, at most CLIP) or dynamic.
    """

    time: torch.Tensor
    p_uniform: float
    vocab_size: int
    mask_id: int
    weighting: str

    def __call__(
        self,
        logits: torch.Tensor,
        noisy: torch.Tensor,
        clean: torch.Tensor,
        loss_mask: torch.Tensor,
    ) -> torch.Tensor:
        """The weighted loss [n] of logits [n, V] at the loss mask of noisy and clean [B, C]."""
        z, x, time = (each[loss_mask].to(logits.device) for each in (noisy, clean, self.time))
        curve = marginal(time, self.p_uniform, self.vocab_size)
        weights = None
        if self.weighting == "clip":
            weights = weight(z, x, curve, self.mask_id).clamp(max=CLIP)
        elif self.weighting == "dynamic":
            weights = dynamic(z, x, time, self.p_uniform, self.vocab_size, self.mask_id)
        log_loo = logits.double().log_softmax(1)
        return integrand(log_loo, z, x, curve, self.mask_id, weights)


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
