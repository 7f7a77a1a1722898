"""Estimates over held-out windows: bounds on the NLL with error bars, accuracy, loss variance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.nn import functional

from lab.train import gidd
from lab.train.corpus import Stream, generator
from lab.train.learner import Learner
from lab.train.objectives import bd3lm
from lab.train.problem import Problem
from lab.train.replacement_noise import everywhere, hybrid_noise, uniform_noise


class Estimate(NamedTuple):
    """A mean over windows and its standard error."""

    mean: float
    error: float


class Accuracy(NamedTuple):
    """At one noise level: share of masked tokens predicted right, and cross-entropy there.

    level None: the next token, with all text before it known.
    """

    level: float | None
    right: float
    nats: float


def held_out_windows(stream: Stream, length: int, most: int | None = None) -> torch.Tensor:
    """Windows [N, length] from each held-out story's start, reaching into the next story."""
    starts = stream.starts[stream.starts + length <= len(stream.tokens)]
    if not len(starts):
        raise ValueError(
            f"the held-out split must hold one window of {length} tokens, got "
            f"{len(stream.tokens)} tokens; give more text or a smaller --length"
        )
    return stream.tokens[starts[:most, None] + torch.arange(length)].long()


def estimate(each: list[torch.Tensor]) -> Estimate:
    """Mean and standard error of values a window, given chunk by chunk.

    Noise levels are stratified within a chunk, so the chunks, not the windows, are independent.
    Of a single chunk the windows must do: an error bar that is too wide rather than none.
    """
    if len(each) == 1:
        each = list(each[0].split(1))
    size = torch.tensor([len(part) for part in each]).double()
    mean = torch.stack([part.double().mean() for part in each])
    share = size / size.sum()
    centre = (share * mean).sum()
    spread = (share**2 * (mean - centre) ** 2).sum() * len(each) / max(1, len(each) - 1)
    return Estimate(float(centre), float(spread.sqrt()))


def chunks(rows: torch.Tensor, size: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Number the parts of at most `size` rows."""
    yield from enumerate(rows.split(size))


def weighted(learner: Learner, problem: Problem) -> torch.Tensor:
    """The weighted cross-entropy [B, C] of a problem, 0 outside its loss mask."""
    nats, scored = torch.zeros_like(problem.weight), problem.loss_mask
    nats[scored] = problem.weight[scored] * functional.cross_entropy(
        learner.logits(problem), problem.target[scored], reduction="none"
    )
    return nats


@torch.no_grad()
def bound(
    learner: Learner,
    rows: torch.Tensor,
    objective: Callable[..., Problem],
    seed: int = 0,
) -> Estimate:
    """Bound on the NLL, nats a token, from weighted cross-entropy (mdlm, bd3lm).

    Each of rows [N, T] is one estimate; the columns that the objective keeps clean do not count.
    """
    each = []
    for number, part in chunks(rows, 16):
        problem = objective(part, random=generator(seed, number))
        each.append(weighted(learner, problem).sum(1) / (problem.tokens / len(part)))
    return estimate(each)


class NoiseProcess(NamedTuple):
    """Noise that looks like text: draws z_t of tokens [B, T] at time [B]; its curve at times."""

    noisy: Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]
    curve: Callable[[torch.Tensor], gidd.Marginal]


def hybrid_process(
    mask_id: int, vocab_size: int, p_uniform: float, prefix: int = 1
) -> NoiseProcess:
    """Masks and random tokens, GIDD's curve."""
    return NoiseProcess(
        lambda x, t, random: hybrid_noise(x, t, mask_id, vocab_size, p_uniform, random, prefix),
        lambda t: gidd.marginal(t, p_uniform, vocab_size),
    )


def uniform_process(mask_id: int, vocab_size: int, prefix: int = 1) -> NoiseProcess:
    """Random tokens alone, alpha = 1 - t."""
    return NoiseProcess(
        lambda x, t, random: uniform_noise(x, t, mask_id, vocab_size, random, prefix),
        lambda t: gidd.uniform_marginal(t, vocab_size),
    )


@torch.no_grad()
def replacement_bound(
    learner: Learner,
    rows: torch.Tensor,
    process: NoiseProcess,
    mask_id: int,
    posterior: str = "full",
    seed: int = 0,
    prefix: int = 1,
) -> Estimate:
    """GIDD's bound, nats a token; a model's full posterior is made leave-one-out by Bayes' rule.

    The integral from eps = 1e-4 to 1 - eps plus the reconstruction -log p(x | z_eps); the prior's
    term (about 1e-4 in all) is left out. The first `prefix` columns are known. Of uniform noise
    this is UDLM's bound (arXiv 2412.10193).
    """
    eps, each = 1e-4, []
    for number, part in chunks(rows, 8):
        random = generator(seed, number)
        times, jacobian = gidd.stratified_times(len(part), random, eps)
        total = torch.zeros(len(part), dtype=torch.float64)
        for time, integral in ((times, True), (torch.full_like(times, eps), False)):
            wide = time[:, None].expand(part.shape)
            noisy = process.noisy(part, time, random)
            problem = everywhere(noisy, part, torch.ones(part.shape), prefix)
            scored = problem.loss_mask
            posterior_log = learner.logits(problem).log_softmax(1)
            clean, seen = part[scored], noisy[scored]
            curve = process.curve(wide[scored])
            if integral:
                if posterior == "full":
                    posterior_log = gidd.leave_one_out(posterior_log, seen, curve, mask_id)
                value = gidd.integrand(posterior_log.double(), seen, clean, curve, mask_id)
                total += value.view(len(part), -1).mean(1) * jacobian
            else:
                if posterior == "loo":
                    posterior_log = gidd.full(posterior_log, seen, curve, mask_id)
                total -= posterior_log.gather(1, clean[:, None]).view(len(part), -1).mean(1)
        each.append(total)
    return estimate(each)


@torch.no_grad()
def noise_ranges(
    learner: Learner, rows: torch.Tensor, mask_id: int, block_length: int, seed: int = 0
) -> list[tuple[float, float, float]]:
    """Limits of t by the variance of a block's weighted loss, least first: (low, high, variance).

    BD3LM's clipped schedules (section 5.3): widths .5 to 1 in steps of .1, limits in steps of .05.
    """
    level, loss = [], []
    for number, part in chunks(rows, 16):
        problem = bd3lm(part, mask_id, generator(seed, number), block_length=block_length)
        nats = weighted(learner, problem)
        # The first block has one column known, the last may be short: leave both out.
        half = part.shape[1] // block_length * block_length
        shape = (len(part), -1, block_length)
        loss.append(nats[:, block_length:half].reshape(shape).mean(2).flatten())
        level.append(
            problem.loss_mask[:, block_length:half].reshape(shape).double().mean(2).flatten()
        )
    t, nats = torch.cat(level), torch.cat(loss)
    ranges = []
    for width in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        for step in range(round((1 - width) / 0.05) + 1):
            low = round(0.05 * step, 2)
            inside = nats[(t > low) & (t <= low + width + 1e-9)]
            ranges.append((low, round(low + width, 2), float(inside.var())))
    return sorted(ranges, key=lambda each: each[2])


@torch.no_grad()
def accuracy(
    learner: Learner,
    rows: torch.Tensor,
    objective: Callable[..., Problem],
    mask_id: int,
    level: float | None,
) -> Accuracy:
    """Predict the masked tokens of rows [N, T] at noise level t = level, or each next token.

    Under uniform noise, which masks nothing, the tokens that were replaced.
    """
    right, nats, count = 0, 0.0, 0
    for number, part in chunks(rows, 16):
        if level is None:
            problem = objective(part, random=generator(1, number))
        else:
            problem = objective(part, random=generator(1, number), level=level)
            masked = problem.inputs == mask_id
            hidden = masked if masked.any() else problem.inputs != problem.target
            problem = problem._replace(loss_mask=problem.loss_mask & hidden)
        logits, target = learner.logits(problem), problem.target[problem.loss_mask]
        right += int((logits.argmax(1) == target).sum())
        nats += float(functional.cross_entropy(logits, target, reduction="sum"))
        count += len(target)
    return Accuracy(level, right / max(1, count), nats / max(1, count))
