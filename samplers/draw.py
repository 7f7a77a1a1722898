"""Tokens from logits: tempered, filtered, drawn; their probability and entropy."""

from functools import partial

import torch
from torch import Tensor

from .noise import Noise


def token_weights(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    nucleus_rule: str = "keep_crossing",
) -> Tensor:
    """Turn logits [..., V] into normalised weights [..., V]: temper, top-k, then nucleus.

    Temperature 0 is all weight on the most likely token. The nucleus drops the token that crosses
    `top_p` (`drop_crossing`: kuleshov-group's code, samplers of BD3LM and ReMDM) or keeps it
    (`keep_crossing`: Hugging Face, Dream, SDAR, LLaDA2).
    """
    if temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    best = logits.amax(-1, keepdim=True)
    weights = ((logits - best) / temperature).exp()
    if top_k is not None and top_k < weights.shape[-1]:
        kept, ids = weights.topk(top_k, dim=-1)
        weights = torch.zeros_like(weights).scatter_(-1, ids, kept)
    if top_p is not None and top_p < 1:
        weights = _nucleus(weights, top_p, nucleus_rule)
    return weights / weights.sum(-1, keepdim=True, dtype=torch.float64).to(weights.dtype)


def _nucleus(weights: Tensor, top_p: float, rule: str) -> Tensor:
    total = weights.sum(-1, keepdim=True, dtype=torch.float64)
    # Sorting a whole vocabulary costs more than the model: 256 nearly always hold the mass.
    for size in (min(256, weights.shape[-1]), weights.shape[-1]):
        kept, ids = weights.topk(size, dim=-1)
        mass = kept.double().cumsum(-1) / total
        if bool((mass[..., -1] > top_p).all()):
            break
    inside = mass <= top_p if rule == "drop_crossing" else mass - kept / total <= top_p
    inside[..., 0] = True
    return torch.zeros_like(weights).scatter_(-1, ids, kept * inside)


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

    Returns ids [B, W] (-1 elsewhere) and their probabilities [B, W] float64 (0 elsewhere), taken
    at temperature 1 and unfiltered, so that the draw's settings never change who is confident.
    """
    if temperature == 0:
        predicted = torch.where(where, logits.argmax(-1), -1)
    else:
        weigh = partial(token_weights, temperature=temperature, top_k=top_k, top_p=top_p,
                        nucleus_rule=nucleus_rule)  # fmt: skip
        predicted = noise.reveal(logits, where, weigh)
    return predicted, probability(logits, predicted, where)


def probability(logits: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    """The softmax probability [B, W] float64 of `ids` under logits [B, W, V]; 0 off `where`."""
    asked = logits[where]
    chosen = asked.gather(-1, ids[where][:, None])[:, 0].double()
    confidence = torch.zeros(where.shape, dtype=torch.float64, device=where.device)
    confidence[where] = (chosen - asked.logsumexp(-1).double()).exp()
    return confidence


def entropy(logits: Tensor) -> Tensor:
    """Entropy [B, W] float64 in nats over the vocabulary of logits [B, W, V]."""
    p = logits.double().softmax(-1)
    return torch.special.entr(p).sum(-1)
