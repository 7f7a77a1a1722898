"""What evaluation reads: windows of a corpus, or held-out texts of a task with a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoTokenizer

from lab.models.card import read_facts
from lab.tasks import TASKS
from lab.tasks.task import Task
from lab.train.bounds import Estimate, estimate, held_out_windows
from lab.train.corpus import check_tokenizer, pack, read_corpus
from lab.train.training_data import with_start

TEXTS = 512  # of a task, where --windows says nothing


class HeldOut(NamedTuple):
    """rows [N, T]; text: what they are, as a sentence; truth: nats a token of them under the task.

    columns_per_token: the columns of a row over the tokens of its text, its end counted: a bound a
    column times this is a bound a token.
    """

    rows: torch.Tensor
    text: str
    columns_per_token: float = 1.0
    truth: Estimate | None = None


def corpus_windows(
    tokenizer: Any, source: str, split: str, field: str, length: int, most: int | None
) -> HeldOut:
    """Windows of a corpus's held-out split."""
    check_tokenizer(tokenizer)
    corpus = read_corpus(source, split, field)
    rows = held_out_windows(pack(tokenizer, corpus.held_out), length, most)
    return HeldOut(
        rows,
        f"{len(rows)} windows of {length} tokens, each from the start of a held-out story; the "
        "first column (bos) is known.",
    )


def task_texts(task: Task, most: int | None) -> HeldOut:
    """Held-out texts of a task, and what its truth says of them."""
    assert task.instances is not None and task.log_prob is not None and task.words is not None
    texts = [
        one.solution or ()
        for one in task.instances(next(iter(task.cases)), most or TEXTS, 0)
    ]  # fmt: skip
    number = {word: i for i, word in enumerate(task.words)}
    sizes = [text.index(task.eos) + 1 if task.eos in text else len(text) for text in texts]
    columns, tokens = len(texts[0]), sum(sizes) / len(sizes)
    nats = torch.tensor([-task.log_prob(text) for text in texts]).double()
    return HeldOut(
        torch.tensor([[number[word] for word in text] for text in texts]),
        f"{len(texts)} held-out texts of {task.name}, {tokens:.1f} tokens on average with the end; "
        "no column is known.",
        columns / tokens,
        estimate([nats / tokens]),
    )


def truth_known(folders: Sequence[Path]) -> Task | None:
    """The task of these models if it knows the probability of its texts; ValueError if they mix."""
    names = {str(read_facts(folder).get("task", "")) for folder in folders}
    tasks = [task for name in names if (task := TASKS.get(name)) and task.log_prob and task.draw]
    if tasks and len(names) > 1:
        raise ValueError(
            "models must share one task to be held against its truth, got "
            f"{', '.join(sorted(names))}"
        )
    return tasks[0] if tasks else None


def rows_of(facts: dict[str, Any], held_out: HeldOut) -> tuple[torch.Tensor, int]:
    """The rows as this model (lab.json) reads them, and how many leading columns are known."""
    if held_out.truth is None:
        return held_out.rows, 1
    start = facts.get("start_id")
    return with_start(held_out.rows, start), 0 if start is None else 1


def tokenizer_beside(folder: Path, named: Path | None) -> Any:
    """The tokenizer that was named, or the one that stands beside a model."""
    return AutoTokenizer.from_pretrained(
        named or folder.parent / "tokenizer", trust_remote_code=False
    )  # fmt: skip
