"""Steps that several samplers share: shares and orders, ancestral and reverse kernels.

B rows, W window width, V vocabulary size; tokens int64, logits float32, probabilities float64.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from . import schedules
from .canvas import Canvas, Denoiser, Step, any_of, write
from .draw import most_likely, ranking
from .noise import Noise, choose, inverse_cdf


def top_k(score: Tensor, k: Tensor | int) -> Tensor:
    """Mark the k [B] best positions of each row of score [B, W]; -inf is never marked."""
    rank = score.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    k = k[:, None] if isinstance(k, Tensor) else k
    return (rank < k) & (score > -torch.inf)


def at_least(confident: Tensor, rank: Tensor, quota: Tensor) -> Tensor:
    """Mark the confident positions [B, W] of a row, or its `quota` [B] best if more."""
    return torch.where((confident.sum(-1) < quota)[:, None], top_k(rank, quota), confident)


def within_entropy(doubt: Tensor, bound: float) -> Tensor:
    """Mark the k positions of least entropy, k the most with sum_{i<=k} H_i - max H_i <= bound.

    doubt [B, W]: the entropies in nats, infinite where nothing is to be marked.
    """
    ascending = doubt.sort(dim=-1).values
    before = ascending.cumsum(-1) - ascending  # the largest of the first k is the k-th
    return top_k(-doubt, (before <= bound).sum(-1))


def share(count: Tensor, steps: int, step: int) -> Tensor:
    """How many of `count` [B] masked positions step number `step` of `steps` takes.

    count // steps, the remainder on the first steps (LLaDA, SDAR, LLaDA2), over no more steps
    than there are positions, so no step takes nothing while some remain. The official SDAR and
    LLaDA2 share out the block length instead, prompt columns included.
    """
    return (count + (steps - 1 - step)) // steps if step < steps else torch.zeros_like(count)


@lru_cache(8192)
def _move_chances(schedule: str, t: float, s: float) -> tuple[float, float]:
    """The chances that a token is noise at both times."""
    noisy, cleaner = schedules.get(schedule).move_chance(torch.tensor([t, s])).tolist()
    return noisy, cleaner


def far_apart(like: Tensor) -> Tensor:
    """A score [B, W] float64 that puts places far apart first: 0, W/2, W/4, 3W/4, W/8, ...

    The van der Corput sequence: the places' numbers with their bits reversed. It is the same for
    every row, whatever its tokens.
    """
    return _far_apart(like.shape[1]).to(like.device, non_blocking=True).expand(like.shape)


@lru_cache(64)
def _far_apart(width: int) -> Tensor:
    """The score [W] of `far_apart`, the same in every step."""
    bits = max(1, (width - 1).bit_length())
    reversed_bits = [int(f"{place:0{bits}b}"[::-1], 2) for place in range(width)]
    return 1 - torch.tensor(reversed_bits, dtype=torch.float64) / 2**bits


@lru_cache(8192)
def _time(schedule: str, alpha: float) -> float:
    return float(schedules.get(schedule).time(torch.tensor(alpha, dtype=torch.float64)))


def model_time(card: Any, alpha: Tensor | float, x: Tensor) -> Tensor | None:
    """The time [B] at which the model's own schedule has this alpha; None where it needs none.

    alpha: [B] or one number, the same for all rows.

    Among masks alone a model can count them; where noise looks like text, the answer depends on t.
    """
    if card.corruption == "absorbing" and not card.time_conditioned:
        return None
    if isinstance(alpha, Tensor):
        return schedules.get(card.schedule).time(alpha)
    return torch.full((len(x),), _time(card.schedule, alpha), dtype=torch.float64, device=x.device)


def nearest(
    canvas: Canvas, x: Tensor, widest: Tensor, eos_early_stop: bool
) -> tuple[Tensor, slice]:
    """The next span to write, and the rows [B] that have it: rows share a call where they agree.

    A row's own begins at its first masked position and is at most widest [B] columns long; of all
    the one that begins first. It begins behind the last column where no row has any left.
    """
    length = x.shape[1]
    empty = canvas.masked(x, slice(0, length), canvas.finished(x, eos_early_stop))
    first = empty.int().argmax(-1).where(empty.any(-1), length)
    spans = torch.stack([first, (first + widest).minimum(canvas.ends)], -1)
    nearest = spans.gather(0, first.argmin().expand(1, 2))
    return (spans == nearest).all(-1), slice(*nearest[0].tolist())


def pick(logits: Tensor, luck: Tensor, weigh: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Ids [B, W] by logits [B, W, V] and a random number each; without `weigh` the most likely.

    Two answers about a position that get the same number agree the more often the nearer they are.
    """
    return most_likely(logits) if weigh is None else inverse_cdf(weigh(logits), luck)


def accepted(
    canvas: Canvas, ids: Tensor, draft: Tensor, masked: Tensor, eos_early_stop: bool
) -> Tensor:
    """Where ids [B, W] are to be written: left to right as far as the draft [B, W] is the same, and
    one more; none behind an EOS that ends its row. Positions off `masked` [B, W] stop nothing."""
    here = masked.clone()
    stands = agrees(canvas, ids, draft, masked, eos_early_stop)
    here[:, 1:] &= stands.cumprod(-1)[:, :-1] > 0
    return here


def agrees(
    canvas: Canvas, ids: Tensor, draft: Tensor, masked: Tensor, eos_early_stop: bool
) -> Tensor:
    """Where what follows ids [B, W] may be written too: they are the draft's and end no row, or
    nothing is to be written there."""
    return ((ids == draft) & ~(canvas.is_eos(ids) & eos_early_stop)) | ~masked


def refresh(
    logits: Tensor, denoise: Denoiser, x: Tensor, window: slice, rows: Tensor, alpha: float
) -> Tensor:
    """The latest answer of each row [B, W, V]: those of `rows` [B], at least one, asked again."""
    t = model_time(denoise.card, alpha, x)
    return latest(denoise(x, window=window, rows=rows, t=t), rows, logits)


def latest(answer: Tensor, rows: Tensor, logits: Tensor) -> Tensor:
    """This answer [B, W, V] for `rows` [B], `logits` of before for the others; at first none."""
    return answer if not logits.numel() else answer.where(rows[:, None, None], logits)


def in_order(
    denoise: Denoiser,
    canvas: Canvas,
    log_score: Callable[[Tensor], Tensor],
    sample: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    eos_early_stop: bool,
) -> Iterator[Step]:
    """Fill this step's share of the canvas, the positions of highest `log_score` [B, W] first.

    `sample(logits, masked)` draws a token at each masked position; the score sees logits alone.
    """
    x = canvas.tokens
    for window in canvas.blocks():
        count = canvas.masked(x, window).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, window, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=window, rows=rows)
            predicted = sample(logits, masked)
            score = log_score(logits)
            rank = ranking(score).where(masked, -torch.inf)
            x = write(x, window, top_k(rank, share(count, steps, step)), predicted)
            yield Step(x, window, predicted, score.exp().where(masked, torch.nan))


def ancestral(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    x: Tensor,
    window: slice,
    pairs: Sequence[tuple[float, float]],
    schedule: str,
    weigh: Callable[[Tensor], Tensor],
    frozen: Callable[[Tensor], Tensor],
) -> Iterator[Step]:
    """Walk the masked positions of one window through the (t, s) pairs (MDLM, eq. 7).

    `weigh` turns logits into token weights; `frozen(x)` says which rows [B] are done. A row that
    did not change is not asked again, unless the model takes the time.
    """
    logits, stale = torch.empty(0), torch.ones(len(x), dtype=torch.bool, device=x.device)
    masked = canvas.masked(x, window, frozen(x))
    unfilled = masked.any(-1)
    for t, s in pairs:
        rows = unfilled & stale
        some_unfilled, some_stale = any_of(unfilled, rows)
        if not some_unfilled:
            return
        noisy, cleaner = _move_chances(schedule, t, s)
        stay = cleaner / noisy if s > 0 else 0.0  # some curves leave alpha_0 a little below 1
        if some_stale:
            logits = refresh(logits, denoise, x, window, rows, 1 - noisy)
        ids = noise.reveal(logits, masked, weigh, stay)
        commit = ids >= 0
        changed = commit.any(-1)
        stale = (stale & ~rows) | changed | denoise.card.time_conditioned
        if some_stale or changed.any():
            x = write(x, window, commit, ids)
            yield Step(x, window, ids)
            masked = canvas.masked(x, window, frozen(x))
            unfilled = masked.any(-1)


def noise_removal(
    denoise: Denoiser, x: Tensor, window: slice, masked: Tensor, schedule: str, eps: float
) -> Iterator[Step]:
    """The published last call, at time eps: argmax at the masked positions [B, W], if any.

    At eps 0 there are none: the last step has opened all.
    """
    if eps and masked.any():
        t = model_time(denoise.card, float(schedules.get(schedule).alpha(torch.tensor(eps))), x)
        ids = denoise(x, window=window, rows=masked.any(-1), t=t).argmax(-1)
        yield Step(write(x, window, masked, ids), window, ids.where(masked, -1))


def first_hits(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    x: Tensor,
    window: slice,
    steps: int,
    schedule: str,
    weigh: Callable[[Tensor], Tensor],
    frozen: Callable[[Tensor], Tensor],
) -> Iterator[Step]:
    """Open the masked positions of one window one a call, or more where `steps` calls must do.

    With n masked positions the next opens at 1 - alpha(t') = (1 - alpha(t)) u^(1/n), at a
    uniformly drawn position (Zheng et al. 2024); the time is drawn for time-conditioned models
    alone, the only ones that it matters to.
    """
    curve = schedules.get(schedule)
    move = curve.move_chance(torch.ones(len(x), device=x.device))
    for calls in range(steps, 0, -1):
        masked = canvas.masked(x, window, frozen(x))
        rows, count = masked.any(-1), masked.sum(-1)
        most = int(count.max())
        if not most:
            return
        time = None
        if denoise.card.time_conditioned:
            move = move * noise.uniform(rows, "time") ** (1 / count.clamp(min=1))
            time = model_time(denoise.card, 1 - move, x)
        logits = denoise(x, window=window, rows=rows, t=time)
        opened = choose(masked, -(-count // calls), noise, -(-most // calls))
        ids = noise.reveal(logits, opened, weigh)
        x = write(x, window, opened, ids)
        yield Step(x, window, ids)


Masses = Sequence[float]  # of the marginal at one time: (alpha, on mask, spread over noise ids)


def leave_one_out(
    logits: Tensor, z: Tensor, free: Tensor, mask_id: int | None, now: Masses, spread: Tensor
) -> Tensor:
    """Turn full-posterior logits [B, W, V] into leave-one-out ones: divide by q(z_t | x).

    The quotient differs at the observed token alone, by q(z | x = z) / q(z | x != z).
    """
    token = free if mask_id is None else free & (z != mask_id)
    own = torch.log(1 + now[0] / (now[2] * spread[z])).where(token, 0.0)
    return logits.scatter_add(-1, z[..., None], -own[..., None].to(logits.dtype))


def reverse(
    clean: Tensor, z: Tensor, mask_id: int | None, now: Masses, then: Masses, spread: Tensor
) -> Tensor:
    """Weights [B, W, V] of z_s given z_t: q(z_t | z_s) q_s(z_s), with clean [B, W, V] for x.

    The plug-in step of GIDD (eq. 12) and UDLM; clean must be leave-one-out.
    """
    (alpha_t, mask_t, uniform_t), (alpha_s, mask_s, uniform_s) = now, then
    stay = alpha_t / alpha_s
    target = (alpha_s * clean).add_(uniform_s * spread)
    arrival = (uniform_t - stay * uniform_s) * spread[z]
    if mask_id is not None:
        target[..., mask_id] += mask_s
        arrival = arrival.masked_fill(z == mask_id, mask_t - stay * mask_s)
    arrival = arrival.clamp(min=0)[..., None]
    own = target.gather(-1, z[..., None]) * (arrival + stay)
    return target.mul_(arrival).scatter_(-1, z[..., None], own)


def predictions(
    ids: Tensor, clean: Tensor, mask_id: int | None, then: Masses, spread: Tensor
) -> Tensor:
    """The ids [B, W] that came from the model sooner than from the noise; -1 for the others."""
    index = ids.clamp(min=0)
    likely = then[0] * clean.gather(-1, index[..., None])[..., 0] >= then[2] * spread[index]
    return ids.where(likely & (ids != (-1 if mask_id is None else mask_id)), -1)


def noise_spread(card: Any, device: torch.device) -> Tensor:
    """Where uniform noise lands: 1/K on each of the K noise ids [V], 0 elsewhere."""
    spread = torch.zeros(card.vocab_size)
    ids = card.noise_ids or [i for i in range(card.vocab_size) if i != card.mask_id]
    spread[list(ids)] = 1 / len(ids)
    return spread.to(device, non_blocking=True)


def fresh(where: Tensor, spread: Tensor, noise: Noise, purpose: str) -> Tensor:
    """Noise ids [B, W] at the True of `where`, of the distribution spread [V]; -1 elsewhere."""
    return noise.categorical(spread.expand(*where.shape, len(spread)), where, purpose)
