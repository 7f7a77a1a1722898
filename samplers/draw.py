"""Tokens from logits: tempered, filtered, drawn; their confidence and entropy.

Confidence is kept as log-probability and ranked by log-odds, which keep their digits however near
a probability is to 1: there confident positions would tie at 1.0 and their column would decide.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from .canvas import on_cpu
from .noise import CHUNK, Noise, gathered, places, put_back, total
from .nucleus import nucleus

GREEDY = 1e-6  # a temperature below it is 0: the most likely token, no division
LOWEST = -1e300  # ranks below every log-probability, and is still ranked
TWO_LEVELS = 1024  # a vocabulary of which a CPU looks at chunks first
DOUBT = 1e-9  # what float64 sums still know of 1 - p with all the digits of float32
TIE = 1e-5  # log-odds nearer than this are tied: float32 logits carry no more digits


class Filters(NamedTuple):
    """What probabilities go through before a token is drawn by them: see `token_weights`."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    nucleus_rule: str = "keep_crossing"

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn: the most likely token is taken."""
        return self.temperature < GREEDY

    @property
    def plain(self) -> bool:
        """Whether they leave the model's probabilities as they are."""
        no_nucleus = self.top_p is None or self.top_p >= 1
        return self.temperature == 1 and self.top_k is None and no_nucleus

    def weights(self, logits: Tensor) -> Tensor:
        """The probabilities [..., V] by logits [..., V] after them."""
        return token_weights(logits, *self)


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
    weights = _weigh(logits, temperature, top_k, top_p, nucleus_rule)
    return weights.div_(total(weights).to(weights.dtype)[..., None])


def _weigh(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, nucleus_rule: str
) -> Tensor:
    """The weights of `token_weights` on a scale of their own: the largest is 1."""
    weights = logits - logits.amax(-1, keepdim=True)  # a copy, changed in place from here on
    weights = (weights if temperature == 1 else weights.div_(temperature)).exp_()
    if top_k is not None and top_k < weights.shape[-1]:
        top, ids = weights.topk(top_k, dim=-1)
        weights = torch.zeros_like(weights).scatter_(-1, ids, top)
    if top_p is not None and top_p < 1:
        weights = nucleus(weights, top_p, nucleus_rule)
    return weights


def weighing(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    nucleus_rule: str,
    normalised: bool = False,
) -> Callable[[Tensor], Tensor]:
    """`token_weights` under these settings, on any scale if not `normalised`: a draw needs none.

    logits [..., V] to weights [..., V].
    """
    rule = token_weights if normalised or temperature < GREEDY else _weigh
    return partial(rule, temperature=temperature, top_k=top_k, top_p=top_p,
                   nucleus_rule=nucleus_rule)  # fmt: skip


def draw_tokens(
    logits: Tensor,
    where: Tensor,
    noise: Noise,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> Tensor:
    """Choose a token at each True of `where` [B, W] from logits [B, W, V]: ids [B, W], else -1."""
    if temperature >= GREEDY:
        return noise.reveal(logits, where, weighing(temperature, top_k, top_p, nucleus_rule))
    if not on_cpu(where):
        return most_likely(logits).where(where, -1)
    place = places(where)
    return put_back(most_likely(gathered(logits, place)), place, where.shape, -1)


def draw(
    logits: Tensor,
    where: Tensor,
    noise: Noise,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> tuple[Tensor, Tensor]:
    """The tokens of `draw_tokens` and their log-probabilities [B, W] float64, -inf off `where`.

    These are taken at temperature 1 and unfiltered, so that the draw's settings never change the
    ranking.
    """
    if temperature < GREEDY:
        return _lead_at(logits, where)
    weigh = weighing(temperature, top_k, top_p, nucleus_rule)
    if not Filters(temperature, top_k, top_p).plain or not on_cpu(where):
        predicted = noise.reveal(logits, where, weigh)
        return predicted, log_probability(logits, predicted, where)
    memory: list[Tensor] = []  # the weights drawn from are the probabilities to record, too

    def weigh_once(cells: Tensor) -> Tensor:
        memory.append(weigh(cells))
        return memory[0]

    predicted = noise.reveal(logits, where, weigh_once)
    if not memory:  # nothing was to be drawn
        return predicted, torch.full(where.shape, -torch.inf, dtype=torch.float64)
    return predicted, _log_share(memory[0], logits, predicted, where)


def _lead_at(logits: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely ids [B, W] of logits [B, W, V] at `where`, and their log-probabilities."""
    if not on_cpu(where):
        lead = _lead(logits)
        return lead.top.where(where, -1), _log_top(lead).where(where, -torch.inf)
    place = places(where)
    lead = _lead(gathered(logits, place))
    ids = put_back(lead.top, place, where.shape, -1)
    return ids, put_back(_log_top(lead), place, where.shape, -torch.inf)


def _log_share(weights: Tensor, logits: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    """Log-probability [B, W] float64 of `ids` [B, W] from the weights they were drawn from, on a
    CPU: those of the True cells [N, V], or of all [B, W, V]."""
    place = places(where)
    weights = weights if weights.dim() == 2 else gathered(weights, place)
    token = gathered(ids, place)[:, None]
    own = weights.gather(-1, token)[:, 0].double()
    others = total(weights) - own
    log_p = -torch.log1p(others / own)
    if bool((unsure := others < DOUBT * own).any()):
        log_p[unsure] = _log_p(gathered(logits, place)[unsure], token[unsure, 0])
    return put_back(log_p, place, where.shape, -torch.inf)


class Lead(NamedTuple):
    """The most likely token: its id, its logit and the second's, and log((1 - p) / p) of it."""

    top: Tensor
    best: Tensor
    second: Tensor
    odds: Tensor


def most_likely(logits: Tensor) -> Tensor:
    """The id [...] of the largest of logits [..., V], the first of a tie."""
    if not on_cpu(logits) or logits.shape[-1] < TWO_LEVELS:
        return logits.argmax(-1)
    start, near, _ = _near_the_top(logits)
    return start[..., 0] + near.argmax(-1)


def _near_the_top(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where [..., 1] the chunk with the largest of logits [..., V] begins, its logits [..., CHUNK],
    and the largest logit [..., 1] of all other chunks; in tensors of their own.

    On a CPU torch's argmax takes 8 times as long as its amax: so the chunk is found first.
    """
    size = logits.shape[-1]
    whole = size - size % CHUNK
    tops = logits[..., :whole].unflatten(-1, (-1, CHUNK)).amax(-1)
    if whole < size:
        tops = torch.cat([tops, logits[..., whole:].amax(-1, keepdim=True)], -1)
    chunk = tops.argmax(-1, keepdim=True)
    start = (chunk * CHUNK).clamp_(max=size - CHUNK)
    near = logits.gather(-1, start + torch.arange(CHUNK))
    return start, near, tops.scatter_(-1, chunk, -torch.inf).amax(-1, keepdim=True)


def log_probability(logits: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    """Log-softmax [B, W] float64 of `ids` [B, W] under logits [B, W, V]; -inf off `where`."""
    if on_cpu(where):
        place = places(where)
        log_p = _log_p(gathered(logits, place), gathered(ids, place))
        return put_back(log_p, place, where.shape, -torch.inf)
    return _log_p(logits, ids.clamp(min=0)).where(where, -torch.inf)


def _log_p(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-softmax [...] float64 of ids [...] under logits [..., V]."""
    token = logits.gather(-1, ids[..., None])[..., 0].double()
    lead = _lead(logits)
    return token - lead.best - torch.nn.functional.softplus(lead.odds)


def ranking(log_p: Tensor) -> Tensor:
    """Log-odds of log-probabilities (any shape), in whole steps of 1e-5; -inf stays -inf.

    Equal steps are ties, which the left column wins: what float32 rounding makes of two equal
    confidences does not decide. The same holds of a confidence and a threshold (`rank_of`).
    """
    return ((log_p - torch.log(-torch.expm1(log_p))) / TIE).round()


@lru_cache(1024)
def rank_of(probability: float | None) -> float:
    """Where a probability in [0, 1] stands in `ranking`; None is NaN, which nothing reaches."""
    if probability is None:
        return math.nan
    log_p = math.log(probability) if probability else -math.inf
    return float(ranking(torch.tensor(log_p, dtype=torch.float64)))


def log_top(logits: Tensor) -> Tensor:
    """Log-probability [B, W] float64 of the most likely token of logits [B, W, V]."""
    return _log_top(_lead(logits))


def _log_top(lead: Lead) -> Tensor:
    return -torch.nn.functional.softplus(lead.odds)


def log_margin(logits: Tensor) -> Tensor:
    """Log of how far the two most likely tokens are apart in probability, [B, W] float64.

    Two equal tokens give LOWEST, so that the position can still be ranked.
    """
    _, best, second, odds = _lead(logits)
    gap = second - best  # log(1 - e^gap), by the form that keeps its digits
    apart = torch.where(gap > -0.7, (-torch.expm1(gap)).log(), torch.log1p(-gap.exp()))
    return (apart - torch.nn.functional.softplus(odds)).clamp(min=LOWEST)


def _lead(logits: Tensor) -> Lead:
    """What leads in logits [..., V]; logits and odds float64 [...].

    The others are summed relative to the second, so nothing cancels however near p is to 1.
    """
    if on_cpu(logits) and logits.shape[-1] >= TWO_LEVELS:
        return _lead_on_cpu(logits)
    top = most_likely(logits)[..., None]
    others = logits.scatter(-1, top, -torch.inf)
    second = others.amax(-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    mass = others.sub_(second).exp_().sum(-1, dtype=torch.float64)
    best, second = logits.gather(-1, top)[..., 0].double(), second[..., 0].double()
    return Lead(top[..., 0], best, second, second - best + mass.log())


def _lead_on_cpu(logits: Tensor) -> Lead:
    """The same by a softmax, one pass there, of logits of which none is above the second.

    Its largest share 1 / s is known to all digits, and the others weigh s - 1, at least 1.
    """
    start, near, elsewhere = _near_the_top(logits)
    place = near.argmax(-1, keepdim=True)
    best, top = near.gather(-1, place), start + place
    second = torch.maximum(near.scatter_(-1, place, -torch.inf).amax(-1, keepdim=True), elsewhere)
    second.clamp_(min=torch.finfo(logits.dtype).min)
    share = logits.clamp(max=second).softmax(-1).gather(-1, top)
    best, second = best[..., 0].double(), second[..., 0].double()
    return Lead(top[..., 0], best, second, second - best - share[..., 0].double().logit())


def entropy(logits: Tensor) -> Tensor:
    """Entropy [B, W] float64 in nats over the vocabulary of logits [B, W, V].

    A sum of positive terms: a sharp distribution keeps the digits of its small entropy.
    """
    top = most_likely(logits)[..., None]
    behind = logits - logits.gather(-1, top)
    weights = behind.exp().scatter_(-1, top, 0.0)
    others = weights.sum(-1, dtype=torch.float64)
    cross = weights.mul_(behind.clamp_(min=-1e30)).sum(-1, dtype=torch.float64)
    return others.log1p() - cross / (1 + others)
