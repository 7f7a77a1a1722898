"""EB-Sampler: commit as many tokens as their joint entropy allows (arXiv:2505.24857)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw_tokens, entropy
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, Range, sampler

Gamma = Annotated[
    float, Range(0.0, 10.0, 0.05, "Nats that one call's tokens may share; 0 is one token a call.")
]


@sampler(
    title="Entropy bound (EB)",
    paper="arXiv:2505.24857",
    guarantee="floor",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="whole",
    presets={"fast": {"gamma": 1.0}},
)
def entropy_bound(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    gamma: Gamma = 0.1,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Commit the k positions of least entropy H, k the most with sum_{i<=k} H_i - max H_i <= gamma.

    The order depends on the model's distribution alone, so gamma = 0 (one token a call) is exact;
    above it the error is the dependence among the tokens of one call, at most gamma nats of it.
    """
    x = canvas.tokens
    for window in canvas.blocks():
        while True:
            masked = canvas.masked(x, window, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                break
            logits = denoise(x, window=window, rows=rows)
            predicted = draw_tokens(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            uncertainty = entropy(logits).where(masked, torch.inf)
            x = write(x, window, kernels.within_entropy(uncertainty, gamma), predicted)
            yield Step(x, window, predicted, -uncertainty.where(masked, torch.nan))
