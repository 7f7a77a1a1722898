"""How likely an autoregressive model finds what a run wrote: the field's generative perplexity."""

import math
from collections.abc import Sequence

import torch

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
    told = []
    for run in runs:
        ids, written = run.tokens[-1].tolist(), run.writable.tolist()
        ends = [i for i, token in enumerate(ids) if written[i] and token in card.eos_ids]
        ids, written = ids[: min(ends, default=len(ids))], written[: min(ends, default=len(ids))]
        if card.bos_id is not None and ids[:1] != [card.bos_id]:
            ids, written = [card.bos_id, *ids], [False, *written]
        tokens, asked = torch.tensor([ids]), torch.tensor(written)
        if not asked[1:].any():
            told.append(math.nan)
            continue
        logits = model.denoise(tokens, window=slice(1, len(ids)))[0]
        nats = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
        told.append(float(nats[asked[1:]].double().mean()))
    return told
