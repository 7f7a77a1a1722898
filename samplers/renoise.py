"""Renoise, DiffusionGemma's sampler: keep what an entropy bound allows, make the rest noise again.

The model has no paper; its sampler is transformers' `generation_diffusion_gemma`, whose bound is
that of EB-Sampler (arXiv:2505.24857).
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import GREEDY, Filters, entropy, most_likely, weighing
from .noise import Noise
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, Range, Values, sampler, shared_filters

Bound = Annotated[
    float, Range(0.0, 10.0, 0.05, "Nats that the tokens kept in one call may share; 0 keeps one.")
]
Cooling = Annotated[
    float, Range(0.0, 1.0, 0.05, "The share of the temperature that the last step nears.")
]
Stability = Annotated[
    int, Range(0, 16, 1, "To stop, this many calls before must have the same most likely tokens.")
]
StopEntropy = Annotated[
    float, Range(0.0, 10.0, 0.001, "To stop, the mean entropy (nats) of a position must be below.")
]


def _filters(values: Values, call: int) -> Filters:
    cooled = _cooled(values["temperature"], values["cooling"], call, values["steps"])
    return shared_filters(values)._replace(temperature=cooled)


def _cooled(temperature: float, cooling: float, call: int, steps: int) -> float:
    """The temperature of call number `call` of a block, from 0."""
    return temperature * (cooling + (1 - cooling) * (steps - call) / steps)


@sampler(
    title="Renoise (DiffusionGemma)",
    paper="arXiv:2505.24857",
    guarantee="biased",
    needs=Needs(frozenset({"uniform"}), frozenset({"full"}), time=True),
    layout="prompt",
    revises="edits",
    draws=_filters,
    presets={"diffusiongemma": {"steps": 48, "entropy_bound": 0.1, "temperature": 0.8}},
)
def renoise(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 48,
    block_length: BlockLength = 256,
    entropy_bound: Bound = 0.1,
    temperature: Temperature = 0.8,
    cooling: Cooling = 0.5,
    stability: Stability = 1,
    stop_entropy: StopEntropy | None = 0.005,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Keep the draws of least entropy H, k the most with sum_{i<=k} H_i - max H_i <= entropy_bound.

    All other positions become noise again, also those kept before. The temperature falls from
    `temperature` towards `cooling` of it. A block ends with the most likely tokens of its last
    call: after `steps`, or once they stay and H is low. EOS ends a row with its block.
    """
    x, clean = canvas.tokens, torch.zeros_like(canvas.writable)
    spread = kernels.noise_spread(denoise.card, x.device)
    x = x.where(~canvas.writable, kernels.fresh(canvas.writable, spread, noise, "prior"))
    for first in canvas.blocks()[:1]:
        yield Step(x, first)
    for block in canvas.blocks():
        ended = canvas.finished(x, eos_early_stop, block.start)
        free, previous = canvas.writable[:, block] & ~ended[:, None], None
        before: list[Tensor] = []
        for left in range(steps, 0, -1):
            if not (rows := free.any(-1)).any():
                break
            t = kernels.model_time(denoise.card, clean.sum(-1) / canvas.writable.sum(-1), x)
            logits = denoise(x, window=block, rows=rows, t=t, previous=previous)
            heat = _cooled(temperature, cooling, steps - left, steps)
            best = most_likely(logits := _tempered(logits, heat))
            drawn, doubt = _draw(best, logits, free, noise, heat, top_k, top_p, nucleus_rule)
            stop = rows if left == 1 else _settled(best, doubt, before, stability, stop_entropy)
            keep = kernels.within_entropy(doubt, entropy_bound) | (free & stop[:, None])
            ids = torch.where(stop[:, None], best, drawn).where(keep, -1)
            x = write(x, block, keep, ids)
            x = write(x, block, free & ~keep, kernels.fresh(free & ~keep, spread, noise, "renoise"))
            clean = write(clean, block, free, keep)
            free, before = free & ~stop[:, None], [best, *before][:stability]
            previous = logits if denoise.card.self_conditioning else None
            del logits  # before the model wants the room
            yield Step(x, block, ids, (-doubt).where(doubt < torch.inf, torch.nan))


def _tempered(logits: Tensor, temperature: float) -> Tensor:
    if temperature >= GREEDY:
        return logits / temperature
    top = most_likely(logits)[..., None]
    return torch.full_like(logits, -torch.inf).scatter_(-1, top, 0.0)


def _draw(
    best: Tensor, logits: Tensor, free: Tensor, noise: Noise, temperature: float,
    top_k: int | None, top_p: float | None, nucleus_rule: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """A token at each True of `free` [B, W], and the entropies [B, W], infinite elsewhere."""
    if temperature < GREEDY:  # one token has all the weight
        return best, torch.where(free, 0.0, torch.inf).double()
    drawn = noise.reveal(logits, free, weighing(1.0, top_k, top_p, nucleus_rule))
    return drawn, entropy(logits).where(free, torch.inf)


def _settled(
    best: Tensor, doubt: Tensor, before: list[Tensor], stability: int, stop_entropy: float | None
) -> Tensor:
    """Rows [B] whose most likely tokens `best` [B, W] stay, at a low mean of the entropies `doubt`.

    doubt [B, W] is infinite at positions that are not free; before: `best` of the calls
    before, the latest first.
    """
    free = doubt < torch.inf
    low = doubt.where(free, 0.0).sum(-1) < (stop_entropy or 0.0) * free.sum(-1)
    if stop_entropy is None or len(before) < stability:
        return torch.zeros_like(low)
    return torch.stack([low, *(((old == best) | ~free).all(-1) for old in before)]).all(0)
