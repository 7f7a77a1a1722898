"""What a draft model is worth: tokens accepted of a draft, accuracy on held-out text."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from transformers import PreTrainedModel

from lab.models.transformers.checkpoint import load_checkpoint
from lab.models.transformers.draft_model import Drafted
from lab.run.recorder import run
from lab.train.bounds import chunks
from lab.train.corpus import generator
from lab.train.draft_learner import DraftLearner, dflash
from lab.train.learner import banned_ids

PROMPT_LENGTH = 32  # tokens of a held-out story that are the prompt
PROMPTS = 32  # at most


class Acceptance(NamedTuple):
    """length: mean number of tokens accepted of a draft, the model's own next one counted (tau).

    at_least [k]: share of whole blocks of which k + 1 were accepted.
    """

    length: float
    at_least: list[float]


def accuracy_by_place(model: Drafted, rows: torch.Tensor) -> list[float]:
    """Share of tokens of rows [N, T] that are predicted right, by place after the anchor."""
    card, draft_model = model.card, cast(PreTrainedModel, model.draft_model)
    assert card.draft_length is not None
    network, banned = cast(PreTrainedModel, model.network), banned_ids(model.tokenizer)
    learner = DraftLearner(draft_model, network, banned).eval()
    right, count = torch.zeros(card.draft_length - 1), 0
    for number, part in chunks(rows, 16):
        problem = dflash(
            part, draft_model.config.mask_token_id, generator(1, number),
            block_length=card.draft_length,
        )  # fmt: skip
        with torch.no_grad():
            same = learner.logits(problem).argmax(-1).cpu() == learner.answers(problem)
        right, count = right + same.sum((0, 1)), count + same.shape[0] * same.shape[1]
    return (right / count).tolist()


def acceptance(model: Drafted, rows: torch.Tensor, temperature: float) -> Acceptance:
    """Continue the first tokens of rows [N, T] and count what was accepted of each draft."""
    length = model.card.draft_length or 0
    prompt = min(PROMPT_LENGTH, rows.shape[1] // 2)
    runs = run(
        "dflash", model, rows[:PROMPTS, :prompt].tolist(), gen_length=rows.shape[1] - prompt,
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
    assert isinstance(model, Drafted)
    by_temperature = {f"{heat:g}": acceptance(model, rows, heat) for heat in (0.0, 1.0)}
    lines = [
        f"| temperature | tokens kept per draft, of at most {model.card.draft_length} |",
        "|---|---|",
        *(f"| {heat} | {value.length:.2f} |" for heat, value in by_temperature.items()),
        "",
        "| place in the draft | held-out token predicted right | kept up to here, greedy | at 1 |",
        "|---|---|---|---|",
    ]
    greedy, sampled = (value.at_least for value in by_temperature.values())
    for place, (right, cold, warm) in enumerate(
        zip(accuracy_by_place(model, rows), greedy, sampled, strict=True), start=1
    ):
        lines.append(f"| {place} | {right:.1%} | {cold:.1%} | {warm:.1%} |")
    return "\n".join(lines)
