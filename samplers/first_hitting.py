"""The first-hitting sampler for full attention (Zheng et al. 2024, arXiv:2409.02908)."""

from collections.abc import Iterator

from . import kernels
from .canvas import Canvas, Denoiser, Step
from .draw import weighing
from .noise import Noise
from .params import AlphaSchedule, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Needs, Values, sampler, steps_per_block


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=True)


@sampler(
    title="First hitting",
    paper="arXiv:2409.02908",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"}), time=True),
    layout="whole",
    budget=_budget,
)
def first_hitting(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 1024,
    schedule: AlphaSchedule = "loglinear",
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "drop_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Open one masked position a call: drawn uniformly, at the time at which it would open.

    The distribution of MDLM with infinitely many steps, at one call a token. With fewer steps than
    masked positions several open a call, and it is no longer exact.
    """
    weigh = weighing(temperature, top_k, top_p, nucleus_rule)
    x = canvas.tokens
    for window in canvas.blocks():
        run = kernels.first_hits(
            denoise, canvas, noise, x, window, steps, schedule, weigh,
            lambda x: canvas.finished(x, eos_early_stop),
        )  # fmt: skip
        for step in run:
            x = step.tokens
            yield step
