"""LLaDA: a fixed number of positions a step, the most confident first (arXiv:2502.09992)."""

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from . import kernels
from .canvas import Canvas, Denoiser, Step, any_of, write
from .draw import LOWEST, TIE, draw, log_probability, ranking
from .noise import Noise, coin
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Flag, Needs, Range, Values, filters_unless, sampler, steps_per_block

Remasking = Annotated[
    str,
    Choice(
        ("low_confidence", "random", "spread", "bernoulli", "bernoulli_s"),
        "Predictions that stay: the most confident, as many at random or far apart, each with "
        "1 - s/t (the paper's algorithm 4), or each with 1 - s (javiersgjavi/diffusion-llm).",
    ),
]
Guidance = Annotated[
    float, Range(0.0, 8.0, 0.1, "Push away from what the model says without the prompt; 2 calls.")
]
NOTHING = 1e-30  # the least score that is ranked
CertaintySigma = Annotated[
    float, Range(0.1, 100.0, 0.1, "Confidence times the share of known positions so far around it.")
]
ForbidEos = Annotated[bool, Flag("Never predict EOS: always gen_length tokens.")]
EosLast = Annotated[bool, Flag("Rank without EOS: one is committed when nothing else is left.")]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached) * (2 if values["guidance"] else 1)


@sampler(
    title="LLaDA (remasking)",
    paper="arXiv:2502.09992",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
    budget=_budget,
    draws=filters_unless("forbid_eos"),
    presets={
        "random": {"remasking": "random", "temperature": 1.0},
        "certainty_prior": {"certainty_sigma": 10.0},
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
    certainty_sigma: CertaintySigma | None = None,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
    forbid_eos: ForbidEos = False,
    eos_last: EosLast = False,
    eos_early_stop: EosEarlyStop = True,
) -> Iterator[Step]:
    """Predict every masked position of the block, keep this step's share, mask the rest again.

    The exact-count rules keep masked positions // steps (remainder first), the Bernoulli rules each
    prediction by itself, the last step the rest (preset bernoulli_s: javiersgjavi/diffusion-llm).
    """
    x = canvas.tokens
    eos = torch.tensor(canvas.eos_ids, dtype=torch.int64).to(x.device, non_blocking=True)
    for block in canvas.blocks():
        count = canvas.masked(x, block, canvas.finished(x, eos_early_stop)).sum(-1)
        for step in range(steps):
            masked = canvas.masked(x, block, canvas.finished(x, eos_early_stop))
            commit = _coins(remasking, step, steps, masked, noise)
            rows = masked.any(-1) if commit is None else commit.any(-1)
            if not any(some := any_of(masked, rows)):
                break
            if not some[1]:
                continue
            logits = denoise(x, window=block, rows=rows, guidance=guidance)
            if forbid_eos:
                logits = logits.index_fill(-1, eos, -torch.inf)
            here = masked & rows[:, None]
            predicted, log_p = draw(logits, here, noise, temperature, top_k, top_p, nucleus_rule)
            if eos_last:  # before the softmax, where the published code comes too late
                others = logits.index_fill(-1, eos, -torch.inf)
                log_p = log_probability(others, predicted, here).nan_to_num(LOWEST, 0, LOWEST)
            score, rank = _ranked(log_p, masked, remasking, certainty_sigma, noise)
            quota = kernels.share(count, steps, step)
            ranked = masked & (commit is None)
            if commit is None:
                commit = kernels.top_k(rank.where(masked, -torch.inf), quota)
            x = write(x, block, commit, predicted)
            yield Step(x, block, predicted, score.where(ranked, torch.nan))


def _ranked(
    log_p: Tensor, masked: Tensor, remasking: str, sigma: float | None, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Score and rank [B, W] of the predictions, by the rule that `remasking` names."""
    if remasking == "random":
        return (order := noise.uniform(masked, "order")), order
    if remasking == "spread":
        return (order := kernels.far_apart(masked)), order
    if sigma is None:
        return log_p.exp(), ranking(log_p)
    score = log_p.exp() * _known_around(masked, sigma)
    return score, (score.clamp(min=NOTHING).log() / TIE).round()


def _coins(rule: str, step: int, steps: int, masked: Tensor, noise: Noise) -> Tensor | None:
    """Which predictions the Bernoulli rules keep [B, W], thrown before the call: none, no call."""
    if not rule.startswith("bernoulli"):
        return None
    t, s = 1 - step / steps, 1 - (step + 1) / steps
    stay = s if rule == "bernoulli_s" else s / t
    chance = torch.full(masked.shape, 1 - stay, dtype=torch.float64, device=masked.device)
    return coin(chance, masked, noise, "remask")


def _known_around(masked: Tensor, sigma: float) -> Tensor:
    """The share [B, W] of known positions around each, under a Gaussian of that width.

    Left of the block all is known; right of it as the block's last position is (arXiv:2509.23094).
    """
    reach, width = math.ceil(4 * sigma), masked.shape[1]
    known = torch.nn.functional.pad((~masked).double(), (reach, reach), value=1.0)
    known[:, reach + width :] = known[:, reach + width - 1, None]
    away = torch.arange(-reach, reach + 1, dtype=torch.float64, device=masked.device)
    weight = (-0.5 * (away / sigma) ** 2).exp()
    return torch.nn.functional.conv1d(known[:, None], (weight / weight.sum())[None, None])[:, 0]
