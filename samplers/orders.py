"""Orders that look at the model's distribution alone: largest margin, largest probability.

One token a call in such an order is exactly unbiased, whatever the order (the chain rule); the
probability of the token *drawn* is not such a score. Kim et al. 2025, arXiv:2502.06768, show how
much the order matters to a trained masked net.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .core import Canvas, Denoiser, Noise, Step, draw, share, write
from .core import top_k as first
from .params import EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, sampler

NEEDS = Needs(frozenset({"absorbing"}), frozenset({"full"}))


@sampler(
    title="Largest margin",
    paper="arXiv:2502.06768",
    law="exact",
    needs=NEEDS,
    layout="whole",
)
def margin(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 1024,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill first where the two likeliest tokens differ most in probability.

    Exact while steps >= holes (one token a call).
    """

    def score(logits: Tensor) -> Tensor:
        best = logits.double().softmax(-1).topk(min(2, logits.shape[-1]), dim=-1).values
        return best[..., 0] - best[..., -1]

    return _in_order(denoise, canvas, noise, score, steps, temperature, top_k, top_p,
                     nucleus_rule, eos_early_stop)  # fmt: skip


@sampler(
    title="Largest probability",
    paper="arXiv:2202.04200",
    law="exact",
    needs=NEEDS,
    layout="whole",
)
def max_prob(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 1024,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Fill first where the likeliest token is likeliest, whichever token is then drawn.

    MaskGIT's order (Chang et al. 2022) made exact: its score is the drawn token's probability.
    Exact while steps >= holes (one token a call).
    """

    def score(logits: Tensor) -> Tensor:
        return logits.double().softmax(-1).amax(-1)

    return _in_order(denoise, canvas, noise, score, steps, temperature, top_k, top_p,
                     nucleus_rule, eos_early_stop)  # fmt: skip


def _in_order(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    score: Callable[[Tensor], Tensor],
    steps: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    nucleus_rule: str,
    eos_early_stop: bool,
) -> Iterator[Step]:
    x = canvas.tokens
    for window in canvas.blocks():
        count = canvas.holes(x, window).sum(-1)
        for step in range(steps):
            hole = canvas.holes(x, window, canvas.finished(x) & eos_early_stop)
            if not (rows := hole.any(-1)).any():
                break
            logits = denoise(x, window=window, rows=rows)
            guess, _ = draw(logits, hole, noise, temperature, top_k, top_p, nucleus_rule)
            ranked = score(logits).where(hole, -torch.inf)
            x = write(x, window, first(ranked, share(count, steps, step)), guess)
            yield Step(x, window, guess, ranked.where(hole, torch.nan))
