"""Objectives under noise that looks like text: tokens replaced by random ones, at any time."""

from __future__ import annotations

import torch

from lab.train.gidd import Divergence
from lab.train.problem import T_LOW, Problem, everything, low_discrepancy
from samplers.schedules import Hybrid

WEIGHTINGS = ("posterior", "elbo", "clip", "dynamic")


def hybrid_noise(
    tokens: torch.Tensor,
    time: torch.Tensor,
    mask_id: int,
    vocab_size: int,
    p_uniform: float,
    random: torch.Generator,
    prefix: int = 1,
) -> torch.Tensor:
    """Draw z_t [B, T] at time [B]: keep, mask, or one of the V-1 other ids at random (GIDD).

    The first `prefix` columns stay clean.
    """
    _, mask, uniform = (share[:, None] for share in Hybrid(p_uniform).at(time))
    draw = torch.rand(tokens.shape, generator=random)
    other = torch.randint(vocab_size - 1, tokens.shape, generator=random)
    other = other + (other >= mask_id)
    noisy = torch.where(draw < mask + uniform, other, tokens).masked_fill(draw < mask, mask_id)
    noisy[:, :prefix] = tokens[:, :prefix]
    return noisy


def uniform_noise(
    tokens: torch.Tensor,
    time: torch.Tensor,
    mask_id: int,
    vocab_size: int,
    random: torch.Generator,
    prefix: int = 1,
) -> torch.Tensor:
    """Draw z_t [B, T] at time [B]: keep with chance 1 - t, else any of the V - 1 ids but the mask.

    The first `prefix` columns stay clean. UDLM's noise (arXiv 2412.10193), its own id included.
    """
    other = torch.randint(vocab_size - 1, tokens.shape, generator=random)
    other = other + (other >= mask_id)
    noised = torch.rand(tokens.shape, generator=random) < time[:, None]
    noised[:, :prefix] = False
    return torch.where(noised, other, tokens)


def everywhere(
    noisy: torch.Tensor, clean: torch.Tensor, weight: torch.Tensor, prefix: int = 1
) -> Problem:
    """Ask a full-attention model for every column of noisy [B, T] but the first `prefix`."""
    rows, length = noisy.shape
    loss_mask = torch.ones_like(noisy, dtype=torch.bool)
    loss_mask[:, :prefix] = False
    return Problem(
        noisy,
        torch.arange(length),
        everything(length),
        loss_mask,
        clean,
        weight,
        rows * (length - prefix),
    )


def hybrid(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    vocab_size: int,
    p_uniform: float = 0.1,
    weighting: str = "posterior",
    low: float = T_LOW,
    level: float | None = None,
    prefix: int = 1,
) -> Problem:
    """Noise of masks and random tokens (GIDD's curve, arXiv 2503.04482).

    posterior: cross-entropy everywhere, 1/t at masks, 1/2 elsewhere: the weight depends on what the
    model sees alone, so that the minimum is the full posterior. elbo, clip, dynamic: GIDD's losses,
    from which a model learns the leave-one-out posterior (dynamic and clipped weights tell random
    tokens from clean ones, which a model cannot, and move the minimum).
    """
    time = low + (1 - 2 * low) * low_discrepancy(len(tokens), random)
    if level is not None:
        time = torch.full_like(time, level)
    noisy = hybrid_noise(tokens, time, mask_id, vocab_size, p_uniform, random, prefix)
    if weighting != "posterior":
        wide = time[:, None].expand(tokens.shape)
        problem = everywhere(noisy, tokens, torch.ones(tokens.shape), prefix)
        divergence = Divergence(wide, p_uniform, vocab_size, mask_id, weighting)
        return problem._replace(divergence=divergence)
    weight = torch.where(noisy == mask_id, 1 / time[:, None], 0.5)
    return everywhere(noisy, tokens, weight, prefix)


def uniform(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    vocab_size: int,
    low: float = T_LOW,
    level: float | None = None,
    prefix: int = 1,
) -> Problem:
    """Uniform noise (UDLM, arXiv 2412.10193): cross-entropy of every token, seen or replaced.

    No weight depends on what is hidden, so that the minimum is the full posterior of each token,
    as in `hybrid`; the bound is lab.train.bounds.uniform_bound.
    """
    time = low + (1 - low) * low_discrepancy(len(tokens), random)
    if level is not None:
        time = torch.full_like(time, level)
    noisy = uniform_noise(tokens, time, mask_id, vocab_size, random, prefix)
    return everywhere(noisy, tokens, torch.ones(tokens.shape), prefix)
