"""How likely an autoregressive model finds what a run wrote: the field's generative perplexity."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lab.models.model import Model
from lab.record.trajectory import Trajectory


def judge(model: Model, runs: Sequence[Trajectory]) -> list[float]:
    """Mean NLL of each run's written tokens under a causal model, nats a token.

    NaN where nothing was written. Its exponential is the generative perplexity (Lou et al. 2024,
    arXiv:2310.16834): low for likely text, and for text that repeats itself, so read it beside
    the share of distinct n-grams. ValueError where the model is not causal or has another task's
    vocabulary.
    """
    card = model.card
    if card.attention != "causal":
        raise ValueError(f"a judge must be causal, {card.name} is {card.attention}; name another")
    for run in runs:
        if run.card["vocab_size"] != card.vocab_size or run.task != card.task:
            raise ValueError(
                f"a judge must share the run's vocabulary, got {card.name} of task "
                f"{card.task!r} for a run of {run.task!r}; name a judge of that task"
            )
    rows = [(torch.tensor(run.tokens[-1]).long(), torch.tensor(run.writable)) for run in runs]
    return [_nats(model, *row) for row in rows]


def nats_of(model: Model, tokens: Tensor, writable: Tensor, visible: Tensor) -> list[float]:
    """The same of canvases tokens [B, T]: the mean NLL of each row's writable tokens."""
    return [
        _nats(model, line[seen], free[seen])
        for line, free, seen in zip(tokens, writable, visible, strict=True)
    ]


def _nats(model: Model, ids: Tensor, written: Tensor) -> float:
    card = model.card
    ends = written & torch.isin(ids, torch.tensor(card.eos_ids))
    stop = int(ends.int().argmax()) if ends.any() else len(ids)
    ids, written = ids[:stop], written[:stop]
    if card.bos_id is not None and ids[:1].tolist() != [card.bos_id]:
        ids = torch.cat([torch.tensor([card.bos_id]), ids])
        written = torch.nn.functional.pad(written, (1, 0))
    if not written[1:].any():
        return math.nan
    logits = model.denoise(ids[None], window=slice(1, len(ids)))[0].cpu()
    nats = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
    return float(nats[written[1:]].double().mean())
