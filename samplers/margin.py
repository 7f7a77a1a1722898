"""Largest margin: fill first where the model decides most clearly (Kim et al., arXiv:2502.06768).

The order looks at the model's distribution alone, not at the token drawn: one token a call in such
an order is exactly unbiased, by the chain rule.
"""

from collections.abc import Iterator
from functools import partial

from . import kernels
from .canvas import Canvas, Denoiser, Step
from .draw import draw_tokens, log_margin
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, sampler


@sampler(
    title="Largest margin",
    paper="arXiv:2502.06768",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
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
    """Fill first where the two most likely tokens differ most in probability.

    Exact while steps >= masked positions (one token a call).
    """
    sample = partial(
        draw_tokens, noise=noise, temperature=temperature, top_k=top_k, top_p=top_p,
        nucleus_rule=nucleus_rule,
    )  # fmt: skip
    return kernels.in_order(denoise, canvas, log_margin, sample, steps, eos_early_stop)
