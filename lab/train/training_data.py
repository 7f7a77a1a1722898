"""What a run trains on: windows of a corpus, or sequences that a task draws without end."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from lab.models import token_counts
from lab.models.word_tokenizer import WordTokenizer, word_tokenizer
from lab.tasks.task import Task
from lab.train import corpus
from lab.train.drawn_once import drawn_once
from lab.train.objectives import BLOCKED
from lab.train.random_models import build_positional, build_rotary
from lab.train.settings import TrainSettings

# What a task's own data serves.
DRAWN_OBJECTIVES = ("mdlm", "bd3lm", "edit", "hybrid", "uniform", "ar", "joint", "quality_head")


class TrainingData(NamedTuple):
    """windows(rows, length, random) -> ids [rows, length]; the first `prefix` columns stay clean.

    build(tokenizer, shape...) -> a random model; canvas [1, T]: what a progress sample starts from
    (None: bos and masks); facts: what training.json says of the data; start_id: the token that
    stands before the first column where a causal model writes all columns itself.
    """

    tokenizer: PreTrainedTokenizerFast
    windows: Callable[[int, int, torch.Generator], torch.Tensor]
    prefix: int
    build: Callable[..., PreTrainedModel]
    canvas: torch.Tensor | None
    facts: dict[str, Any]
    start_id: int | None = None


def open_data(settings: TrainSettings) -> TrainingData:
    """Open the data of a run, and its task's tokenizer, which is made where it is missing."""
    if settings.drawn is not None:
        return _drawn(settings, settings.drawn)
    texts = corpus.read_corpus(settings.corpus, settings.held_out, settings.field)
    folder = tokenizer_folder(settings)
    if folder.exists():
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    else:
        tokenizer = corpus.train_tokenizer(texts.train, settings.vocabulary)
        tokenizer.save_pretrained(folder)
    corpus.check_tokenizer(tokenizer)
    stream = corpus.pack(tokenizer, texts.train)
    if folder.is_dir() and not (folder / token_counts.FILE).exists():
        token_counts.save_counts(folder, stream.tokens)
    path = Path(settings.corpus)
    facts = {
        "data": path.name if path.suffix else settings.corpus,
        "data_tokens": len(stream.tokens),
        "stories": len(texts.train),
        "held_out": len(texts.held_out),
    }
    return TrainingData(
        tokenizer, partial(corpus.windows, stream), 1, build_rotary, None, facts
    )  # fmt: skip


def _drawn(settings: TrainSettings, task: Task) -> TrainingData:
    """The data of a task that draws its own."""
    draw, length = task.draw, task.length
    assert draw is not None and length is not None
    relative = is_text(task) and settings.objective not in BLOCKED
    starts = task.question == 0 and (settings.objective in ("ar", "joint") or relative)
    _check(settings, length, starts)
    tokenizer = _task_tokenizer(settings, task)
    start_id = _start_id(tokenizer) if starts else None
    again, facts = _again(settings), {"data": task.name, "data_tokens": 0}
    if again is not None:
        facts["data_tokens"] = again.numel()

    def windows(rows: int, _: int, random: torch.Generator) -> torch.Tensor:
        if again is None:
            ids = draw(rows, corpus.seed_from(random))
        else:
            ids = again[torch.randint(len(again), (rows,), generator=random)].long()
        return with_start(ids, start_id)

    structure = task.structure
    if structure is not None and starts:
        structure = structure.after_start()
    return TrainingData(
        tokenizer,
        windows,
        1 if starts else task.question,
        build_rotary if relative else partial(build_positional, structure=structure),
        with_start(_question(settings, task, length), start_id),
        facts,
        start_id,
    )


def _again(settings: TrainSettings) -> torch.Tensor | None:
    """The sequences that train again and again, None where each is drawn for its step."""
    if settings.sequences is None:
        return None
    return drawn_once(settings.task, settings.sequences, settings.seed, settings.work.parent)


def is_text(task: Task) -> bool:
    """Whether a model had better know where a token stands from another than from the start.

    Sentences move within a text; the cells of a board, and the digits of a sum, do not.
    """
    return task.board is None and task.question == 0


def _start_id(tokenizer: WordTokenizer) -> int:
    """What stands before the first column: the end of the text before, or a mask."""
    end = tokenizer.eos_token_id
    return tokenizer.mask_token_id if end is None else end


def _check(settings: TrainSettings, length: int, starts: bool) -> None:
    """ValueError for an objective or lengths that a task's own data does not serve."""
    known = " or ".join(DRAWN_OBJECTIVES)
    if settings.lengths != (length,) or settings.objective not in DRAWN_OBJECTIVES:
        raise ValueError(
            f"--task {settings.task} takes --objective {known} and --lengths {length}, its one "
            f"length, got {settings.objective} and {','.join(map(str, settings.lengths))}"
        )
    if starts and settings.context <= length:
        raise ValueError(
            f"--context must be at least {length + 1} for {settings.objective}, one for the start "
            f"before {settings.task}, got {settings.context}"
        )


def _task_tokenizer(settings: TrainSettings, task: Task) -> WordTokenizer:
    """The tokenizer of the task's words, written beside its models where it is missing."""
    words = task.words or ()
    eos_id = None if task.eos is None else words.index(task.eos)
    tokenizer = word_tokenizer(words, mask_id=len(words), eos_id=eos_id)
    folder = tokenizer_folder(settings)
    if not folder.exists():
        tokenizer.save_pretrained(folder)
        # Stock classes open it by their own name; the lab adds its messages
        # (lab.models.word_tokenizer).
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return tokenizer


def _question(settings: TrainSettings, task: Task, length: int) -> torch.Tensor:
    """Masks [1, length] after the question of a held-out instance, where the task has questions."""
    words = task.words or ()
    canvas = torch.full((1, length), len(words))
    if task.question and task.instances is not None:
        (instance,) = task.instances(next(iter(task.cases)), 1, settings.seed)
        question = (instance.solution or ())[: task.question]
        canvas[0, : task.question] = torch.tensor([words.index(word) for word in question])
    return canvas


def with_start(tokens: torch.Tensor, start_id: int | None) -> torch.Tensor:
    """Put a column of start tokens before tokens [B, T]; None: leave them."""
    return tokens if start_id is None else functional.pad(tokens, (1, 0), value=start_id)


def tokenizer_folder(settings: TrainSettings) -> Path:
    """Where the task's tokenizer is, or will be."""
    return settings.tokenizer or settings.folder.parent / "tokenizer"
