"""What a draft model is worth: how much of a draft is kept, how well it predictions held-out
text."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lab.models.transformers.checkpoint import load_checkpoint
from lab.models.transformers.draft_model import Drafted
from lab.run.recorder import run
from lab.train.bounds import chunks
from lab.train.data import generator
from lab.train.draft_model import DraftLearner, dflash

GIVEN = 32  # tokens of a held-out story that are the prompt
PROMPTS = 32  # most of them


class Acceptance(NamedTuple):
    """Of greedy or sampled text: length, the mean number of tokens kept of a draft, the model's
    own next one counted (tau); at_least [k]: share of whole blocks of which k + 1 were kept."""

    length: float
    at_least: list[float]


def predicted(model: Drafted, rows: torch.Tensor) -> list[float]:
    """Share of tokens of rows [N, T] that the draft model predictions right, by place after the
    anchor."""
    banned = (model.card.mask_id, model.card.pad_id)
    learner = DraftLearner(model.draft_model, model.network, banned).eval()
    right, count = 0, 0
    for number, part in chunks(rows, 16):
        asked = dflash(
            part, model.draft_model.config.mask_token_id, generator(1, number),
            block_length=model.card.draft_length,
        )  # fmt: skip
        with torch.no_grad():
            same = learner.logits(asked).argmax(-1).cpu() == learner.answers(asked)
        right, count = right + same.sum((0, 1)), count + same.shape[0] * same.shape[1]
    return (right / count).tolist()


def kept(model: Drafted, rows: torch.Tensor, temperature: float) -> Acceptance:
    """Write on from the first tokens of rows [N, T] and count what was kept of each draft."""
    length = model.card.draft_length
    given = min(GIVEN, rows.shape[1] // 2)
    runs = run(
        "dflash", model, rows[:PROMPTS, :given].tolist(), gen_length=rows.shape[1] - given,
        temperature=temperature, draft_length=length,
    )  # fmt: skip
    width = np.concatenate([one.stop - one.start for one in runs])
    tokens = np.concatenate([one.commits.sum(-1) for one in runs])
    whole = tokens[width == length]
    return Acceptance(
        float(tokens[width > 1].mean()),
        [float((whole > place).mean()) for place in range(1, length)],
    )


def report(folder: Path, rows: torch.Tensor) -> str:
    """The numbers of the draft model in folder on held-out rows [N, T], as two markdown tables."""
    model = load_checkpoint(folder)
    found = {f"{heat:g}": kept(model, rows, heat) for heat in (0.0, 1.0)}
    lines = [
        f"| temperature | tokens kept per draft, of at most {model.card.draft_length} |",
        "|---|---|",
        *(f"| {heat} | {value.length:.2f} |" for heat, value in found.items()),
        "",
        "| place in the draft | held-out token predicted right | kept up to here, greedy | at 1 |",
        "|---|---|---|---|",
    ]
    greedy, sampled = (value.at_least for value in found.values())
    for place, (right, cold, warm) in enumerate(
        zip(predicted(model, rows), greedy, sampled, strict=True), start=1
    ):
        lines.append(f"| {place} | {right:.1%} | {cold:.1%} | {warm:.1%} |")
    return "\n".join(lines)
