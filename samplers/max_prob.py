"""Largest probability: MaskGIT's order made exact (Chang et al. 2022, arXiv:2202.04200).

MaskGIT's own score is the probability of the token drawn, which biases the draw; this one is the
probability of the most likely token, whichever is then drawn.
"""

from collections.abc import Iterator
from functools import partial

from . import kernels
from .canvas import Canvas, Denoiser, Step
from .draw import draw_tokens, log_top
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, sampler


@sampler(
    title="Largest probability",
    paper="arXiv:2202.04200",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
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
    """Fill first where the most likely token is most likely, whichever token is then drawn.

    MaskGIT's order made exact: its own score is the probability of the token drawn. Exact while
    steps >= masked positions (one token a call).
    """
    sample = partial(
        draw_tokens, noise=noise, temperature=temperature, top_k=top_k, top_p=top_p,
        nucleus_rule=nucleus_rule,
    )  # fmt: skip
    return kernels.in_order(denoise, canvas, log_top, sample, steps, eos_early_stop)
