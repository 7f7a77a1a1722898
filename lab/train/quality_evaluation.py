"""`python -m lab evaluate` of a quality head: does it tell a model's right tokens from its wrong?

On held-out texts some masked positions are filled by the model's own draws, as in training.
"""

from __future__ import annotations

import argparse
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch.nn import functional

from lab.models.card import QUALITY_HEAD, read_facts
from lab.models.checkpoint_files import read_json
from lab.models.transformers.checkpoint import load_checkpoint
from lab.models.transformers.quality_head import Judged
from lab.tasks import TASKS
from lab.tasks.task import Task
from lab.train.bounds import chunks
from lab.train.card_file import write_evaluation, write_section
from lab.train.corpus import TINY_STORIES, generator
from lab.train.exit_status import exit_status
from lab.train.held_out import TEXTS, HeldOut, corpus_windows
from lab.train.learner import banned_ids
from lab.train.objectives import quality_head
from lab.train.quality_learner import QualityLearner
from lab.train.solver_evaluation import examples, is_measured
from lab.train.training_data import with_start

LEVELS = (0.15, 0.5, 0.85)
# What the card's samples are written with: without and with what is masked again.
EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    ("prism", {"block_length": 128, "steps": 16, "remask_count": count}) for count in (0, 32)
)
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


class Verdicts(NamedTuple):
    """Log-odds [N] that drawn tokens are right, and whether they are [N]."""

    odds: torch.Tensor
    right: torch.Tensor

    @property
    def nats(self) -> float:
        """Binary cross-entropy, nats a token."""
        target = self.right.to(self.odds)
        return float(functional.binary_cross_entropy_with_logits(self.odds, target))

    @property
    def blind(self) -> float:
        """The same of a head that says the share of right ones of every token."""
        share = self.right.double().mean()
        return float(torch.special.entr(torch.stack([share, 1 - share])).sum())

    @property
    def auc(self) -> float:
        """The chance that a right token gets more than a wrong one, a tie counted half; NaN where
        all are alike."""
        wrong, right = self.odds[~self.right].sort().values, self.odds[self.right]
        if not len(wrong) or not len(right):
            return math.nan
        below = torch.searchsorted(wrong, right) + torch.searchsorted(wrong, right, right=True)
        return float(below.double().mean() / (2 * len(wrong)))


def is_head(folder: Path) -> bool:
    """Whether this is the folder of a quality head."""
    config = folder / "config.json"
    return config.is_file() and read_json(config).get("model_type") == QUALITY_HEAD


def verdicts(
    learner: QualityLearner, rows: torch.Tensor, mask_id: int, level: float, prefix: int
) -> Verdicts:
    """What the head says of draws on rows [N, T] at this noise level."""
    odds, right = [], []
    for number, part in chunks(rows, 64):
        problem = quality_head(
            part, mask_id, generator(1, number), level=level, prefix=prefix
        )  # fmt: skip
        with torch.no_grad():
            each = learner.judge(problem)
        odds.append(each[0].cpu())
        right.append(each[1])
    return Verdicts(torch.cat(odds), torch.cat(right))


def report(learner: QualityLearner, rows: torch.Tensor, mask_id: int, prefix: int) -> str:
    """Two small markdown tables: by noise level, and how often what it says is so."""
    levels = {level: verdicts(learner, rows, mask_id, level, prefix) for level in LEVELS}
    lines = [
        "| noise level t | drawn tokens right | nats a token | nats of their share alone | AUC |",
        "|---|---|---|---|---|",
    ]
    for level, one in levels.items():
        share = float(one.right.double().mean())
        numbers = f"{one.nats:.3f} | {one.blind:.3f} | {one.auc:.3f}"
        lines.append(f"| {level} | {share:.1%} | {numbers} |")
    odds, right = (torch.cat(each) for each in zip(*levels.values(), strict=True))
    lines += ["", "| quality | share of tokens | mean quality | right |", "|---|---|---|---|"]
    quality = odds.sigmoid()
    bins = torch.bucketize(quality, torch.tensor(EDGES[1:-1]))
    for number, (low, high) in enumerate(pairwise(EDGES)):
        inside = bins == number
        if inside.any():
            means = (inside, quality[inside], right[inside])
            numbers = " | ".join(f"{float(each.double().mean()):.1%}" for each in means)
            lines.append(f"| {low:g} to {high:g} | {numbers} |")
    return "\n".join(lines)


def held_out(task: Task | None, tokenizer: Any, options: argparse.Namespace) -> tuple[HeldOut, int]:
    """Held-out texts of a task that draws its own, else windows of the corpus; and how many leading
    columns are known."""
    start = read_facts(options.model).get("start_id")
    if task is None or not _draws(task):
        windows = corpus_windows(
            tokenizer, options.data, options.held_out, options.field, options.length,
            options.windows,
        )  # fmt: skip
        return windows, 1
    assert task.instances is not None
    case = next(iter(task.cases))
    number = {word: i for i, word in enumerate(task.words or ())}
    texts = [one.solution or () for one in task.instances(case, options.windows or TEXTS, 0)]
    rows = torch.tensor([[number[word] for word in text] for text in texts])
    text = f"{len(rows)} held-out texts of {task.name}."
    return HeldOut(with_start(rows, start), text), task.question if start is None else 1


def _draws(task: Task | None) -> bool:
    return task is not None and task.draw is not None and task.instances is not None


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    add = options.add_argument
    add("model", type=Path, help="the folder of a head, written by `python -m lab train`")
    add("--data", default=TINY_STORIES, help="corpus, as in `python -m lab train`")
    add("--field", default="text", help="the column that holds the text")
    add("--held-out", default="valid_v2", help="the split that never trains")
    add("--length", type=int, default=128, help="columns of a window")
    add("--windows", type=int, help="largest number of texts or windows")
    add("--threads", type=int, default=1, help="torch threads")
    add("--card", action="store_true", help="write the numbers into the README.md of the head")
    return options


@exit_status
def main(argv: list[str]) -> int:
    """Measure one head; return the exit status."""
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    model = cast(Judged, load_checkpoint(options.model))
    task, tokenizer = TASKS.get(model.card.task), model.tokenizer
    data, prefix = held_out(task, tokenizer, options)
    learner = QualityLearner(model.head, model.network, banned_ids(tokenizer)).eval()
    text = report(learner, data.rows, tokenizer.mask_token_id, prefix)
    text = f"{data.text}\n\n{text}"
    sys.stdout.write(text + "\n")
    if options.card:
        flags = "" if _draws(task) else f"--length {options.length} "
        flags += f"--windows {options.windows}" if options.windows else ""
        write_evaluation(options.model / "README.md", text, flags.strip())
        if task is not None and is_measured(task):
            text = examples(options.model, task, list(task.cases)[-1], settings=EXAMPLES)
            write_section(options.model / "README.md", "samples", text)
    return 0
