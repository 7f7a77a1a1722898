"""Left to right, one token a call: the baseline (Graves 2013, arXiv:1308.0850)."""

from collections.abc import Iterator

from .canvas import Canvas, Denoiser, Step, write
from .draw import draw_tokens
from .noise import Noise
from .params import EosEarlyStop, NucleusRule, Temperature, TopK, TopP
from .registry import Needs, sampler


@sampler(
    title="Autoregressive",
    paper="arXiv:1308.0850",
    guarantee="exact",
    needs=Needs(frozenset({"absorbing"}), frozenset({"causal"})),
    layout="whole",
)
def autoregressive(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Draw each token given all text left of it: one call a token."""
    x = canvas.tokens
    for block in canvas.blocks():
        for column in range(block.start, block.stop):
            window = slice(column, column + 1)
            masked = canvas.masked(x, window, canvas.finished(x, eos_early_stop))
            if not (rows := masked.any(-1)).any():
                continue
            logits = denoise(x, window=window, rows=rows)
            predicted = draw_tokens(logits, masked, noise, temperature, top_k, top_p, nucleus_rule)
            x = write(x, window, masked, predicted)
            yield Step(x, window, predicted)
