"""P2, path planning: at every step choose anew which positions are masked (arXiv:2502.03540)."""

from collections.abc import Iterator
from typing import Annotated

import torch

from . import kernels
from .canvas import Canvas, Denoiser, Step, write
from .draw import LOWEST, draw, log_probability, ranking
from .noise import Noise
from .params import NucleusRule, Steps, Temperature, TopK, TopP
from .registry import Choice, Needs, Range, Values, sampler, steps_per_block

Score = Annotated[
    str, Choice(("confidence", "random"), "What ranks positions: log-probability, or chance.")
]
Scored = Annotated[
    str,
    Choice(
        ("own", "drawn"),
        "The token by which a written position is ranked: its own, or one drawn anew (published).",
    ),
]
Eta = Annotated[
    float, Range(0.0, 8.0, 0.05, "Weight of a written position's score; 0 never masks it again.")
]


def _budget(values: Values, masked: list[int], cached: bool, columns: int) -> int:
    return steps_per_block(values, masked, cached=values["eta"] == 0)


@sampler(
    title="P2 (path planning)",
    paper="arXiv:2502.03540",
    guarantee="biased",
    needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
    layout="whole",
    revises="remasks",
    drafts=lambda values: values["eta"] > 0,
    budget=_budget,
    presets={
        "ancestral": {"score": "random", "eta": 0.0},
        "greedy_ancestral": {"eta": 0.0},
        "dfm": {"score": "random"},
        "official": {"scored": "drawn"},
    },
)
def p2(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    steps: Steps = 128,
    score: Score = "confidence",
    scored: Scored = "own",
    eta: Eta = 1.0,
    temperature: Temperature = 1.0,
    top_k: TopK | None = None,
    top_p: TopP | None = None,
    nucleus_rule: NucleusRule = "keep_crossing",
) -> Iterator[Step]:
    """Mask the positions that score lowest, written ones too: floor(n (1 - i/N)) after step i of N.

    Masked positions that are not among them take the token drawn there. A written position's
    score, the log-probability of the token that stands there, counts `eta` times: above 1 doubt
    masks it again sooner, at 0 it stays. Chance for a score makes eta = 0 ancestral sampling with
    exact counts, and eta = 1 forward-backward. EOS is applied when the run is settled.
    """
    x = canvas.tokens
    for window in canvas.blocks():
        free = canvas.writable[:, window]
        count = free.sum(-1)
        for step in range(steps):
            masked = free & (x[:, window] == canvas.mask_id)
            after = count * (steps - step - 1) // steps
            rows = (after < masked.sum(-1)) | ((after > 0) & (eta > 0))
            if not rows.any():
                continue
            logits = denoise(x, window=window, rows=rows)
            here, masked = free & rows[:, None], masked & rows[:, None]
            drawn = here if scored == "drawn" else masked
            ids, log_p = draw(logits, drawn, noise, temperature, top_k, top_p, nucleus_rule)
            if scored == "own":
                ids = torch.where(here & ~masked, x[:, window], ids)
                log_p = log_probability(logits, ids, here)
            if score == "random":
                log_p = noise.uniform(here, "rank").log()
            weighted = torch.where(masked, log_p, eta * log_p.clamp(min=LOWEST))
            rank = ranking(weighted).clamp(min=LOWEST).where(here, -torch.inf)
            high = kernels.top_k(rank, count - after)
            commit, remask = masked & high, here & ~masked & ~high
            x = write(x, window, commit | remask, ids.where(commit, canvas.mask))
            yield Step(x, window, ids, weighted.exp().where(here, torch.nan))
