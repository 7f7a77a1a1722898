"""Where training sequences come from: windows of stories, or puzzles drawn without end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from lab.models.word_tokenizer import word_tokenizer
from lab.tasks import TASKS
from lab.tasks.task import Task
from lab.train import data as corpora
from lab.train.network import build, build_puzzle


class Source(NamedTuple):
    """windows(rows, length, random) -> ids [rows, length]; the first `given` columns stay clean.

    build(tokenizer, shape...) -> a random model; canvas [1, T]: what a shown sample starts from
    (None: bos and masks); told: what training.json says of the data; start_id: the token that
    stands before the first column of a puzzle whose columns are all asked for, from left to right.
    """

    tokenizer: PreTrainedTokenizerFast
    windows: Callable[[int, int, torch.Generator], torch.Tensor]
    given: int
    build: Callable[..., PreTrainedModel]
    canvas: torch.Tensor | None
    told: dict[str, Any]
    start_id: int | None = None


def open_source(arguments: argparse.Namespace) -> Source:
    """Open the data that the arguments name, and the task's tokenizer (made where missing)."""
    task = TASKS.get(arguments.data)
    if task is not None and task.draw is not None:
        return _task(arguments, task, task.draw)
    corpus = corpora.read_corpus(arguments.data, arguments.held_out, arguments.field)
    folder = tokenizer_folder(arguments)
    if folder.exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    else:
        tokenizer = corpora.train_tokenizer(corpus.train, arguments.vocabulary)
        tokenizer.save_pretrained(folder)
    corpora.check_tokenizer(tokenizer)
    stream = corpora.pack(tokenizer, corpus.train)
    told = {
        "data": Path(arguments.data).name if Path(arguments.data).suffix else arguments.data,
        "data_tokens": len(stream.tokens),
        "stories": len(corpus.train),
        "held_out": len(corpus.held_out),
    }
    return Source(tokenizer, partial(corpora.windows, stream), 1, build, None, told)


def _task(
    arguments: argparse.Namespace, task: Task, draw: Callable[[int, int], torch.Tensor]
) -> Source:
    assert task.words is not None and task.length is not None
    if arguments.lengths != (task.length,) or arguments.objective not in ("mdlm", "ar"):
        raise ValueError(
            f"{arguments.data} takes --objective mdlm or ar and --lengths {task.length}, its one "
            f"length, got {arguments.objective} and {','.join(map(str, arguments.lengths))}"
        )
    started = arguments.objective == "ar" and task.question == 0
    if started and arguments.context <= task.length:
        raise ValueError(
            f"--context must be at least {task.length + 1} for ar, one for the start before "
            f"{arguments.data}, got {arguments.context}"
        )
    tokenizer = word_tokenizer(task.words, mask_id=len(task.words))
    folder = tokenizer_folder(arguments)
    if not folder.exists():
        tokenizer.save_pretrained(folder)
        # Stock classes open it by their own name; the lab adds its messages
        # (lab.models.word_tokenizer).
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    canvas = torch.full((1, task.length), tokenizer.mask_token_id)
    if task.question and task.instances:
        (instance,) = task.instances(next(iter(task.cases)), 1, arguments.seed)
        question = (instance.solution or ())[: task.question]
        canvas[0, : task.question] = torch.tensor([task.words.index(word) for word in question])
    start_id = tokenizer.mask_token_id if started else None
    canvas = begun(canvas, start_id)

    def windows(rows: int, length: int, random: torch.Generator) -> torch.Tensor:
        return begun(draw(rows, corpora.seed_from(random)), start_id)

    told = {"data": arguments.data, "data_tokens": 0}
    structure = task.structure
    if structure is not None and started:
        structure = structure.after_start()
    network = partial(build_puzzle, structure=structure)
    given = 1 if started else task.question
    return Source(tokenizer, windows, given, network, canvas, told, start_id)


def begun(tokens: torch.Tensor, start_id: int | None) -> torch.Tensor:
    """Put a column of start tokens before tokens [B, T]; None: leave them."""
    return tokens if start_id is None else functional.pad(tokens, (1, 0), value=start_id)


def tokenizer_folder(arguments: argparse.Namespace) -> Path:
    """Where the task's tokenizer is, or will be."""
    return arguments.tokenizer or arguments.out.parent / "tokenizer"
