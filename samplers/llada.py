"""LLaDA: fill a fixed number of holes a step, the surest first (arXiv:2502.09992)."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from .core import Canvas, Denoiser, Noise, Step, coin, draw, probability, share, write
from .core import top_k as first
from .params import BlockLength, EosEarlyStop, NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Flag, Needs, Range, sampler

RULES = ("low_confidence", "random", "bernoulli", "bernoulli_s")
Remasking = Annotated[str, Choice(RULES, "Which predictions stay: the surest, a random set of the same size, each with 1 - s/t (the paper's algorithm 4), or each with 1 - s (javiersgjavi/diffusion-llm).")]  # noqa: E501
Guidance = Annotated[float, Range(0.0, 8.0, 0.1, "Classifier-free guidance: push away from what the net says without the prompt, at two calls for one.")]  # noqa: E501
ForbidEos = Annotated[bool, Flag("Never predict EOS: always gen_length tokens.")]
EosLast = Annotated[bool, Flag("Confidence is taken without EOS: one is committed only when nothing else is left.")]  # noqa: E501


@sampler(
    title="LLaDA (remasking)",
    paper="arXiv:2502.09992",
    law="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="prompt",
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
    """Predict every hole of the block, keep this step's share, mask the rest again.

    `steps` is for one block. The exact-count rules keep holes // steps (remainder first); the
    Bernoulli rules keep each prediction by itself and fill what is left in the last step. The
    preset bernoulli_s is the generate() of javiersgjavi/diffusion-llm; its ban list and its fixed
    first and last token are the model's affair (lab.adapters.masked).
    """
    x = canvas.tokens
    eos = torch.tensor(canvas.eos_ids, dtype=torch.int64, device=x.device)
    for block in canvas.blocks():
        count = canvas.holes(x, block, canvas.finished(x) & eos_early_stop).sum(-1)
        for step in range(steps):
            hole = canvas.holes(x, block, canvas.finished(x) & eos_early_stop)
            if not hole.any():
                break
            commit = _coins(remasking, step, steps, hole, noise)
            rows = hole.any(-1) if commit is None else commit.any(-1)
            if not rows.any():
                continue
            logits = denoise(x, window=block, rows=rows, guidance=guidance)
            if forbid_eos:
                logits = logits.index_fill(-1, eos, -torch.inf)
            asked = hole & rows[:, None]
            guess, sure = draw(logits, asked, noise, temperature, top_k, top_p, nucleus_rule)
            score = torch.full_like(sure, -torch.inf)
            if commit is None:
                if eos_last:  # before the softmax, where the published code comes too late
                    others = logits.index_fill(-1, eos, -torch.inf)
                    sure = probability(others, guess, asked).nan_to_num()
                order = noise.uniform(hole, "order") if remasking == "random" else sure
                score = order.where(hole, -torch.inf)
                commit = first(score, share(count, steps, step))
            x = write(x, block, commit, guess)
            yield Step(x, block, guess, score.masked_fill(score == -torch.inf, torch.nan))


def _coins(rule: str, step: int, steps: int, hole: Tensor, noise: Noise) -> Tensor | None:
    """Which predictions the Bernoulli rules keep [B, W], thrown before the call: none, no call."""
    if not rule.startswith("bernoulli"):
        return None
    t, s = 1 - step / steps, 1 - (step + 1) / steps
    stay = s if rule == "bernoulli_s" else s / t
    keep = torch.full(hole.shape, 1 - stay, dtype=torch.float64, device=hole.device)
    return coin(keep, hole, noise, "remask")
