"""LLaDA: fill a fixed number of masked positions a step, the most confident first
(arXiv:2502.09992)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import draw, probability
from .kernels import share
from .noise import Noise, coin
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Flag, Needs, Range, Values, sampler, steps_per_block

RULES = ("low_confidence", "random", "bernoulli", "bernoulli_s")
Remasking = Annotated[
    str,
    Choice(
        RULES,
        "Which predictions stay: the most confident, a random set of the same size, each with 1 "
        "- s/t (the paper's algorithm 4), or each with 1 - s (javiersgjavi/diffusion-llm).",
    ),
]
Guidance = Annotated[
    float,
    Range(
        0.0,
        8.0,
        0.1,
        "Classifier-free guidance: push away from what the model says without the prompt, at two "
        "calls for one.",
    ),
]
ForbidEos = Annotated[bool, Flag("Never predict EOS: always gen_length tokens.")]
EosLast = Annotated[
    bool, Flag("Confidence is taken without EOS: one is committed only when nothing else is left.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached) * (2 if values["guidance"] else 1)


@sampler(
    title="LLaDA (remasking)",
    paper="arXiv:2502.09992",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    budget=_budget,
    presets={
        "random": {"remasking": "random", "temperature": 1.0},
        "bernoulli": {"remasking": "bernoulli", "temperature": 1.0},
        "bernoulli_s": {"remasking": "bernoulli_s", "steps": 512, "block_length": 512},
        "chat": {"block_length": 8, "steps": 8, "eos_last": True},
    },
)
def llada(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    block_length: BlockLength = 128,
    steps: Steps = 128,
    remasking: Remasking = "low_confidence",
    temperature: Temperature = 0.0,
    guidance: Guidance | None = None,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    forbid_eos: ForbidEos = False,
    eos_last: EosLast = False,
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Predict every masked position of the block, keep this step's share, mask the rest again.

    `steps` is for one block. The exact-count rules keep masked positions // steps (remainder
    first); the Bernoulli rules keep each prediction by itself and fill what is left in the last
    step. The preset bernoulli_s is the generate() of javiersgjavi/diffusion-llm; its ban list and
    its fixed first and last token are the model's affair (lab.models.transformers.masked).
    """
    x = canvas.tokens
    eos = torch.tensor(canvas.eos_ids, dtype=torch.int64, device=x.device)
    for block in canvas.blocks():
        count = canvas.masked(x, block, canvas.finished(x) & eos_early_stop).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, block, canvas.finished(x) & eos_early_stop)
            if not masked.any():
                break
            commit = _coins(remasking, step, steps, masked, noise)
            rows = masked.any(-1) if commit is None else commit.any(-1)
            if not rows.any():
                continue
            logits = denoise(x, window=block, rows=rows, guidance=guidance)
            if forbid_eos:
                logits = logits.index_fill(-1, eos, -torch.inf)
            asked = masked & rows[:, None]
            predicted, confidence = draw(
                logits, asked, noise, temperature, top_k, top_p, nucleus_rule
            )
            score = torch.full_like(confidence, -torch.inf)
            if commit is None:
                if eos_last:  # before the softmax, where the published code comes too late
                    others = logits.index_fill(-1, eos, -torch.inf)
                    confidence = probability(others, predicted, asked).nan_to_num()
                order = noise.uniform(masked, "order") if remasking == "random" else confidence
                score = order.where(masked, -torch.inf)
                commit = kernels.top_k(score, share(count, steps, step))
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, score.masked_fill(score == -torch.inf, torch.nan))


def _coins(rule: str, step: int, steps: int, masked: Tensor, noise: Noise) -> Tensor | None:
    """Which predictions the Bernoulli rules keep [B, W], thrown before the call: none, no call."""
    if not rule.startswith("bernoulli"):
        return None
    t, s = 1 - step / steps, 1 - (step + 1) / steps
    stay = s if rule == "bernoulli_s" else s / t
    keep = torch.full(masked.shape, 1 - stay, dtype=torch.float64, device=masked.device)
    return coin(keep, masked, noise, "remask")
