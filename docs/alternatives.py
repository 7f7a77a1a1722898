"""Ways that were tried and left, timed beside those that ship; docs/measure.py keeps the table."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from lab.bench.costs import opened, sample
from lab.bench.machine import machine_columns
from lab.bench.timing import Side, measure, ratio
from lab.models.device import CPU
from lab.run.plan import plan
from lab.run.request import RunRequest
from samplers.draw import draw_tokens, log_top, most_likely, token_weights
from samplers.noise import Noise, inverse_cdf

POSITIONS = 32


class Alternative(NamedTuple):
    """What was tried, why it was left, and the two sides: that, and what ships."""

    text: str
    reason: str
    theirs: Side
    ours: Side


def alternatives(vocabulary: int = 157_184, repeats: int = 9) -> pd.DataFrame:
    """One line a way: its seconds over those of the way that ships, by median and quartiles."""
    lines = []
    for way in (*ways(vocabulary), run_without_gradients()):
        sides = {"theirs": way.theirs, "ours": way.ours}
        for side in sides.values():
            side()
        seconds = measure(sides, repeats, CPU)
        line: dict[str, Any] = {"alternative": way.text, "reason": way.reason}
        line |= ratio(seconds, "theirs", "ours").columns("over_ours")
        lines.append(line | machine_columns(CPU))
    return pd.DataFrame(lines)


def ways(vocabulary: int) -> list[Alternative]:
    """Of draws and confidence: 32 positions, the logits normal with standard deviation 3."""
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(1, POSITIONS, vocabulary, generator=random)
    where, noise = torch.ones(1, POSITIONS, dtype=torch.bool), Noise(0, [0])
    weights, u = token_weights(logits), noise.uniform(where)
    size = f"{vocabulary:,} tokens"
    return [
        Alternative(
            f"a Gumbel race in float64, {size}",
            "as exact, with a random number a token instead of one a position",
            lambda: gumbel_race(logits),
            lambda: draw_tokens(logits, where, noise),
        ),
        Alternative(
            f"inverse CDF by sums in float32, {size}",
            "loses the tail: after a sum near 1 no weight below 1e-7 counts",
            lambda: narrow_sums(weights, u),
            lambda: inverse_cdf(weights, u),
        ),
        Alternative(
            f"`argmax` over all, {size}",
            "on a CPU the largest of every 256 first, then the place among them, is the same",
            lambda: logits.argmax(-1),
            lambda: most_likely(logits),
        ),
        Alternative(
            f"`topk` for the two largest logits, beside all of a confidence, {size}",
            "the largest of every 256, and the largest but that one, give both",
            lambda: logits.topk(2),
            lambda: log_top(logits),
        ),
        Alternative(
            f"a full sort for top-p 0.9, {size}",
            "the 256 most likely nearly always hold the mass; a sort is left for when not",
            lambda: sorted_nucleus(logits, 0.9),
            lambda: token_weights(logits, top_p=0.9),
        ),
    ]


def gumbel_race(logits: Tensor) -> Tensor:
    """The id of the largest logit plus Gumbel noise, in float64."""
    u = torch.rand(logits.shape, dtype=torch.float64)
    return (logits - (-u.log()).log()).argmax(-1)


def narrow_sums(weights: Tensor, u: Tensor) -> Tensor:
    """`inverse_cdf` by cumulative sums that are as narrow as the weights."""
    sums = weights.cumsum(-1)
    target = u.to(sums.dtype)[..., None] * sums[..., -1:]
    return torch.searchsorted(sums, target, right=True)[..., 0].clamp(max=weights.shape[-1] - 1)


def sorted_nucleus(logits: Tensor, top_p: float) -> Tensor:
    """`token_weights` with top-p by a sort of the whole vocabulary."""
    weights, ids = logits.softmax(-1).sort(dim=-1, descending=True)
    inside = weights * (weights.cumsum(-1) - weights <= top_p)
    return torch.zeros_like(weights).scatter(-1, ids, inside / inside.sum(-1, keepdim=True))


def run_without_gradients() -> Alternative:
    """`torch.inference_mode` around a whole run of mdlm on stories."""
    run = plan(RunRequest("mdlm", "stories", "One day", gen_length=64))

    def ours() -> Tensor:
        return sample(run, opened(run))

    return Alternative(
        "`torch.inference_mode` around a run of mdlm on stories",
        "a Step's tensors could not be used where gradients are wanted, nor a wrapped model "
        "take gradients for guidance",
        inference(ours),
        ours,
    )


def inference(side: Callable[[], Tensor]) -> Side:
    def run() -> Tensor:
        with torch.inference_mode():
            return side()

    return run
