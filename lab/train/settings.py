"""The settings of a training run: one frozen dataclass, checked once, and its flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from lab.tasks import TASKS
from lab.tasks.task import Task
from lab.train.corpus import TINY_STORIES
from lab.train.objectives import BLOCKED, HEADED, MASKINGS, OBJECTIVES
from lab.train.replacement_noise import WEIGHTINGS

STORIES = "stories"
NOISE_RANGE_RULE = "--noise-range must be two numbers LOW,HIGH with 0 <= LOW < HIGH <= 1, got '{}'"


def option(
    default: Any,
    text: str,
    *,
    kind: type | None = None,
    choices: Sequence[str] | None = None,
    parse: Callable[[str, str], Any] | None = None,
    decides: bool = True,
) -> Any:
    """A field with its help text; decides: whether the weights that come out depend on it.

    kind: the type of a value where the default is None; parse(flag, text) -> a list of numbers.
    """
    facts = {
        "help": text, "kind": kind or type(default), "choices": choices, "parse": parse,
        "decides": decides,
    }  # fmt: skip
    return field(default=default, metadata=facts)


def whole_numbers(flag: str, text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas; ValueError for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{flag} must be whole numbers separated by commas, got '{text}'"
        ) from None


def limits(_: str, text: str) -> tuple[float, float]:
    """Two numbers LOW,HIGH; ValueError for anything else."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(NOISE_RANGE_RULE.format(text)) from None
    return low, high


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What one run trains, on what, for how long and where to; ValueError for impossible values."""

    task: str = option(
        STORIES, "task of the model; a task that draws its own data (sudoku9, ...) trains on that"
    )
    data: str | None = option(
        None, f"a corpus: a .jsonl or .txt file, or a data set of the hub; {TINY_STORIES} for "
        "stories if not given", kind=str,
    )  # fmt: skip
    field: str = option("text", "column of the corpus that holds the text")
    sequences: int | None = option(
        None, "of a task that draws its own data: draw so many once, on every core, kept beside "
        "WORK, and train on them again and again; fresh ones for each step if not given", kind=int,
    )  # fmt: skip
    held_out: str = option("valid_v2", "split of the corpus that never trains")
    objective: str = option("mdlm", "what is trained", choices=sorted(OBJECTIVES))
    work: Path = option(  # noqa: RUF009
        MISSING, "folder of the run: state, log, settings", kind=Path, decides=False
    )
    out: Path | None = option(  # noqa: RUF009
        None, "folder of the model; WORK/model if not given", kind=Path, decides=False
    )
    name: str | None = option(
        None, "name of the model; that of its folder if not given", kind=str, decides=False
    )
    tokenizer: Path | None = option(  # noqa: RUF009
        None, "folder of a tokenizer; OUT/../tokenizer if not given", kind=Path, decides=False
    )
    init_from: str | None = option(
        None, "folder or hub name of the model to start from; random weights if not given", kind=str
    )
    resume: bool = option(False, "continue the run in WORK", decides=False)
    steps: int | None = option(None, "budget in optimizer steps", kind=int)
    minutes: float | None = option(
        None, "budget in minutes of training, instead of --steps", kind=float
    )
    tokens_per_batch: int = option(2048, "tokens of a micro-batch, for each process")
    accumulate: int = option(1, "micro-batches a step")
    lengths: tuple[int, ...] = option(
        (64, 128, 256), "columns of a batch, one of these drawn for each step", parse=whole_numbers
    )
    learning_rate: float = option(2.5e-3, "learning rate after the warmup")
    warmup: int = option(200, "steps in which the learning rate rises")
    decay: float = option(1.0, "share of the budget in which the learning rate falls")
    weight_decay: float = option(0.02, "weight decay of AdamW, for matrices")
    clip: float = option(1.0, "largest norm of a gradient")
    ema: float = option(0.998, "decay of the moving average that becomes the model")
    masking: str = option(
        "exact", "mask an exact number of tokens a block, or each with probability t",
        choices=MASKINGS,
    )  # fmt: skip
    low: float = option(0.02, "smallest noise level t")
    block_length: int | None = option(
        None, "block length (bd3lm, edit, joint); 4, 8, 16 or 32 in each batch if not given",
        kind=int,
    )  # fmt: skip
    block_weight: float = option(0.3, "weight of the block loss beside the next token's (joint)")
    noise_range: tuple[float, float] = option(
        (0.0, 1.0), "limits of t, for less variance (mdlm, bd3lm, edit, joint)", parse=limits
    )
    weighting: str = option(WEIGHTINGS[0], "weights of the hybrid loss", choices=WEIGHTINGS)
    p_uniform: float = option(
        0.1, "share of random tokens: at t = 1/2 (hybrid), among unmasked tokens (edit)"
    )
    precision: str = option(
        "auto", "precision of activations; auto: bf16 where the machine computes in it",
        choices=("auto", "bf16", "no"),
    )  # fmt: skip
    threads: int | None = option(
        None, "torch threads for each process; torch's own number if not given", kind=int,
        decides=False,
    )  # fmt: skip
    vocabulary: int = option(4096, "size of the tokenizer that is trained")
    hidden: int = option(256, "width of the model, or the quality head, that is built")
    layers: int = option(4, "number of its layers")
    heads: int = option(4, "number of its attention heads")
    intermediate: int = option(768, "width of its feed-forward part")
    context: int = option(256, "largest number of columns that it reads")
    draft_length: int = option(8, "tokens of a block that a draft model fills, with its anchor")
    fills: int = option(4, "tokens a row that the model draws for its quality head to judge")
    seed: int = option(0, "seed of weights, order of the data and noise")
    save_every: float = option(3.0, "minutes between saved states", decides=False)

    def __post_init__(self) -> None:
        _check_budget(self)
        _check_numbers(self)
        _check_columns(self)
        if self.objective == "dflash":
            _check_draft(self)
        if self.objective in HEADED and not self.init_from:
            raise ValueError(
                f"{self.objective} trains a part for a model that is trained already; name its "
                "folder by --init-from"
            )
        if self.drawn is None and self.data is None and self.task != STORIES:
            draws = ", ".join(name for name, task in TASKS.items() if task.draw)
            raise ValueError(
                f"--task must be one that draws its own data ({draws}), or --data name a corpus; "
                f"got --task {self.task} alone"
            )
        if self.drawn is None and self.sequences is not None:
            raise ValueError(
                f"--sequences is for a task that draws its own data, got --task {self.task}; leave "
                "it out"
            )
        if self.drawn is not None and self.data is not None:
            raise ValueError(
                f"--task {self.task} draws its own data, got --data {self.data}; leave it out"
            )

    @property
    def drawn(self) -> Task | None:
        """The task that draws its own data, None where a corpus trains."""
        task = TASKS.get(self.task)
        return task if task is not None and task.draw is not None else None

    @property
    def corpus(self) -> str:
        """The corpus that trains where no task draws."""
        return self.data or TINY_STORIES

    @property
    def folder(self) -> Path:
        """Where the model is written."""
        return self.out or self.work / "model"

    def recorded(self, processes: int, data_tokens: int) -> dict[str, Any]:
        """What decides the weights that come out, for settings.json; paths by their last part."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values = {one.name: values[one.name] for one in fields(self) if one.metadata["decides"]}
        if self.data is not None:
            values["data"] = Path(self.data).name
        return {**values, "processes": processes, "data_tokens": data_tokens}


# What a setting is where a run's settings.json does not name it.
USUAL = {one.name: one.default for one in fields(TrainSettings) if one.metadata["decides"]}


def parser(description: str) -> argparse.ArgumentParser:
    """A flag for every setting, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab train", description=description)
    for one in fields(TrainSettings):
        _add(options, one)
    return options


def _add(options: argparse.ArgumentParser, one: Field[Any]) -> None:
    facts = one.metadata
    text = facts["help"]
    if facts["kind"] is bool:
        options.add_argument(flag(one.name), action="store_true", help=text)
        return
    required = one.default is MISSING
    if one.default is not None and not required:
        text += f" (default: {_written(one.default)})"
    options.add_argument(
        flag(one.name), required=required, choices=facts["choices"], help=text.replace("%", "%%"),
        default=argparse.SUPPRESS, type=str if facts["parse"] else facts["kind"],
    )  # fmt: skip


def parse(argv: Sequence[str], description: str) -> TrainSettings:
    """The settings that these flags describe; ValueError for impossible ones."""
    values = vars(parser(description).parse_args(argv))
    for one in fields(TrainSettings):
        if one.metadata["parse"] and one.name in values:
            values[one.name] = one.metadata["parse"](flag(one.name), values[one.name])
    return TrainSettings(**values)


def command(settings: TrainSettings) -> str:
    """The command as a model card quotes it: what differs from the defaults, no private paths."""
    parts = ["python -m lab train"]
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name in ("resume", "save_every", "threads") or value == one.default:
            continue
        text = {
            "data": f"path/to/{Path(str(value)).name}" if Path(str(value)).suffix else value,
            "work": f"runs/{settings.work.name}",
            "out": f"path/to/{settings.folder.name}",
            "tokenizer": "path/to/tokenizer",
            "init_from": f"path/to/{Path(str(value)).name}",
        }.get(one.name, _written(value))
        parts.append(f"{flag(one.name)} {text}")
    return " ".join(parts)


def flag(name: str) -> str:
    """The flag of a setting: --tokens-per-batch."""
    return "--" + name.replace("_", "-")


def _written(value: Any) -> str:
    return ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


def _check_budget(settings: TrainSettings) -> None:
    if (settings.steps is None) == (settings.minutes is None):
        raise ValueError("give the budget as --steps or as --minutes, one of the two")


def _check_numbers(settings: TrainSettings) -> None:
    positive = (
        "vocabulary", "hidden", "layers", "heads", "intermediate", "context", "steps", "minutes",
        "tokens_per_batch", "accumulate", "learning_rate", "clip", "low", "threads",
        "block_length", "block_weight", "draft_length", "fills", "sequences",
    )  # fmt: skip
    for name in positive:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{flag(name)} must be greater than 0, got {value}")
    for name, below in (("ema", 1.0), ("low", 0.5), ("p_uniform", 1.0), ("decay", 1.0 + 1e-9)):
        if not 0 <= getattr(settings, name) < below:
            raise ValueError(
                f"{flag(name)} must be from 0 to {below:.2g}, got {getattr(settings, name)}"
            )
    low, high = settings.noise_range
    if not 0 <= low < high <= 1:
        raise ValueError(NOISE_RANGE_RULE.format(_written(settings.noise_range)))


def _check_columns(settings: TrainSettings) -> None:
    if not all(2 <= length <= settings.context for length in settings.lengths):
        raise ValueError(
            f"--lengths must be from 2 to the context of {settings.context}, got "
            f"{', '.join(map(str, settings.lengths))}; change them or --context"
        )
    if settings.hidden % (2 * settings.heads):
        raise ValueError(
            f"--hidden must be an even multiple of --heads, got {settings.hidden} and "
            f"{settings.heads}"
        )


def _check_draft(settings: TrainSettings) -> None:
    if settings.draft_length < 2:
        raise ValueError(
            "--draft-length must be at least 2, an anchor and what follows, got "
            f"{settings.draft_length}"
        )
    if min(settings.lengths) <= settings.draft_length:
        raise ValueError(
            f"--lengths must be above --draft-length, {settings.draft_length}, got "
            f"{min(settings.lengths)}; change one of them"
        )


def blocks_of(settings: TrainSettings) -> int | None:
    """The one block length that is trained, None for several or none."""
    return settings.block_length if settings.objective in BLOCKED else None
