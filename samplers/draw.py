"""Tokens from logits: tempered, filtered, drawn; their confidence and entropy.

Confidence is kept as log-probability and ranked by log-odds, which keep their digits however near
a probability is to 1: there confident positions would tie at 1.0 and their column would decide.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .canvas import on_cpu
from .noise import CHUNK, Noise, chunk_sums, gathered

GREEDY = 1e-6  # a temperature below it is 0: the most likely token, no division
LOWEST = -1e300  # ranks below every log-probability, and is still ranked
TWO_LEVELS = 1024  # a vocabulary of which a CPU looks at chunks first
SMALLEST = 1e-30  # a float32 probability below it has lost digits
TIE = 1e-5  # log-odds nearer than this are tied: float32 logits carry no more digits


def token_weights(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> Tensor:
    """Turn logits [..., V] into normalised weights [..., V]: temper, top-k, then nucleus.

    Temperature 0 (anything below 1e-6) is all weight on the most likely token. top_k keeps exactly
    k tokens, the lower ids of a tie. The nucleus drops the token that crosses `top_p`
    (`drop_crossing`: kuleshov-group's code, samplers of BD3LM and ReMDM) or keeps it
    (`keep_crossing`: Hugging Face, Dream, SDAR, LLaDA2).
    """
    if temperature < GREEDY:
        return torch.zeros_like(logits).scatter_(-1, most_likely(logits)[..., None], 1.0)
    weights = logits - logits.amax(-1, keepdim=True)  # a copy, changed in place from here on
    weights = (weights if temperature == 1 else weights.div_(temperature)).exp_()
    if top_k is not None and top_k < weights.shape[-1]:
        top, ids = weights.topk(top_k, dim=-1)
        weights = torch.zeros_like(weights).scatter_(-1, ids, top)
    if top_p is not None and top_p < 1:
        weights = _nucleus(weights, top_p, nucleus_rule)
    return weights.div_(total(weights).to(weights.dtype)[..., None])


def weighing(
    temperature: float, top_k: int | None, top_p: float | None, nucleus_rule: str
) -> Callable[[Tensor], Tensor]:
    """`token_weights` under these settings: logits [..., V] to weights [..., V]."""
    return partial(token_weights, temperature=temperature, top_k=top_k, top_p=top_p,
                   nucleus_rule=nucleus_rule)  # fmt: skip


def _nucleus(weights: Tensor, top_p: float, rule: str) -> Tensor:
    mass_of_all = total(weights)[..., None]
    # Sorting a whole vocabulary costs more than the model: 256 nearly always hold the mass. To ask
    # whether they do would make a GPU wait, and it sorts quickly.
    sizes = (min(256, weights.shape[-1]), weights.shape[-1])
    for size in sizes if on_cpu(weights) else sizes[1:]:
        top, ids = weights.topk(size, dim=-1)
        mass = top.double().cumsum(-1) / mass_of_all
        if not on_cpu(weights) or bool((mass[..., -1] > top_p).all()):
            break
    inside = mass <= top_p if rule == "drop_crossing" else mass - top / mass_of_all <= top_p
    inside[..., 0] = True
    return torch.zeros_like(weights).scatter_(-1, ids, top * inside)


def draw(
    logits: Tensor,
    where: Tensor,
    noise: Noise,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> tuple[Tensor, Tensor]:
    """Choose a token at each True of `where` [B, W] from logits [B, W, V].

    Returns ids [B, W] (-1 elsewhere) and their log-probabilities [B, W] float64 (-inf elsewhere),
    taken at temperature 1 and unfiltered, so that the draw's settings never change the ranking.
    """
    if temperature < GREEDY:
        predicted = most_likely(logits).where(where, -1)
    else:
        weigh = weighing(temperature, top_k, top_p, nucleus_rule)
        predicted = noise.reveal(logits, where, weigh)
    return predicted, log_probability(logits, predicted, where)


def most_likely(logits: Tensor) -> Tensor:
    """The id [...] of the largest of logits [..., V], the first of a tie."""
    size = logits.shape[-1]
    if not on_cpu(logits) or size < TWO_LEVELS:
        return logits.argmax(-1)
    # On a CPU torch's argmax takes 8 times as long as its amax: find the chunk, then the place.
    whole = size - size % CHUNK
    chunks = logits[..., :whole].unflatten(-1, (-1, CHUNK))
    tops = chunks.amax(-1)
    if whole < size:
        tops = torch.cat([tops, logits[..., whole:].amax(-1, keepdim=True)], -1)
    start = tops.argmax(-1, keepdim=True) * CHUNK
    place = start + torch.arange(CHUNK)
    near = logits.gather(-1, place.clamp(max=size - 1))
    return start[..., 0] + near.argmax(-1)


def total(weights: Tensor) -> Tensor:
    """Sums [...] float64 of weights [..., K]."""
    flat = weights.reshape(-1, weights.shape[-1])
    return chunk_sums(flat, max(1, weights.shape[-1])).sum(-1).view(weights.shape[:-1])


def log_probability(logits: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    """Log-softmax [B, W] float64 of `ids` [B, W] under logits [B, W, V]; -inf off `where`."""
    if on_cpu(where):
        result = torch.full(where.shape, -torch.inf, dtype=torch.float64)
        result[where] = _log_p(gathered(logits, where), ids[where])
        return result
    return _log_p(logits, ids.clamp(min=0)).where(where, -torch.inf)


def _log_p(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-softmax [...] float64 of ids [...] under logits [..., V]."""
    token = logits.gather(-1, ids[..., None])[..., 0].double()
    best, _, odds = _lead(logits)
    return token - best - torch.nn.functional.softplus(odds)


def ranking(log_p: Tensor) -> Tensor:
    """Log-odds of log-probabilities (any shape), in whole steps of 1e-5; -inf stays -inf.

    Equal steps are ties, which the left column wins: what float32 rounding makes of two equal
    confidences does not decide. The same holds of a confidence and a threshold (`rank_of`).
    """
    return ((log_p - torch.log(-torch.expm1(log_p))) / TIE).round()


def rank_of(probability: float | None) -> float:
    """Where a probability in [0, 1] stands in `ranking`; None is NaN, which nothing reaches."""
    if probability is None:
        return math.nan
    log_p = math.log(probability) if probability else -math.inf
    return float(ranking(torch.tensor(log_p, dtype=torch.float64)))


def log_top(logits: Tensor) -> Tensor:
    """Log-probability [B, W] float64 of the most likely token of logits [B, W, V]."""
    return -torch.nn.functional.softplus(_lead(logits)[2])


def log_margin(logits: Tensor) -> Tensor:
    """Log of how far the two most likely tokens are apart in probability, [B, W] float64.

    Two equal tokens give LOWEST, so that the position can still be ranked.
    """
    best, second, odds = _lead(logits)
    gap = second - best  # log(1 - e^gap), by the form that keeps its digits
    apart = torch.where(gap > -0.7, (-torch.expm1(gap)).log(), torch.log1p(-gap.exp()))
    return (apart - torch.nn.functional.softplus(odds)).clamp(min=LOWEST)


def _lead(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best and second logit of logits [..., V], and log((1 - p) / p) of the best; float64 [...].

    The others are summed relative to the second, so nothing cancels however near p is to 1.
    """
    top = most_likely(logits)[..., None]
    second, mass = (_behind_on_cpu if on_cpu(logits) else _behind)(logits, top)
    best, second = logits.gather(-1, top)[..., 0].double(), second.double()
    return best, second, second - best + mass.log()


def _behind(logits: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    """The second logit [...] of logits [..., V]; what all but `top` [..., 1] weigh beside it."""
    others = logits.scatter(-1, top, -torch.inf)
    second = others.amax(-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    return second[..., 0], others.sub_(second).exp_().sum(-1, dtype=torch.float64)


def _behind_on_cpu(logits: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    """The same from the softmax, which is one pass there: as exact, unless it has underflowed."""
    if logits.shape[-1] < TWO_LEVELS:
        return _behind(logits, top)
    others = logits.softmax(-1).scatter_(-1, top, 0.0)
    runner_up = most_likely(others)[..., None]
    second, share = logits.gather(-1, runner_up)[..., 0], others.gather(-1, runner_up)[..., 0]
    mass = others.sum(-1).double() / share
    if bool((tiny := ~(share > SMALLEST)).any()):
        second[tiny], mass[tiny] = _behind(logits[tiny], top[tiny])
    return second, mass


def entropy(logits: Tensor) -> Tensor:
    """Entropy [B, W] float64 in nats over the vocabulary of logits [B, W, V].

    A sum of positive terms: a sharp distribution keeps the digits of its small entropy.
    """
    best, top = logits.max(-1, keepdim=True)
    behind = (logits - best).double()
    weights = behind.exp()
    others = weights.scatter(-1, top, 0.0).sum(-1)
    return others.log1p() - (weights * behind.clamp(min=-1e30)).sum(-1) / (1 + others)
