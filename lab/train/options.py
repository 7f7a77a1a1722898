"""The options of `python -m lab train`, what they must be, and how a model card quotes them."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.train.data import TINY_STORIES
from lab.train.draft_model import check_target
from lab.train.objectives import BLOCKED, MASKINGS, NOISY, OBJECTIVES, WEIGHTINGS
from lab.train.trainer import Settings

SHAPE = ("vocabulary", "hidden", "layers", "heads", "intermediate", "context")


def parser(description: str) -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(
        prog="python -m lab train",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = options.add_argument
    add("--data", default=TINY_STORIES, help="a .jsonl or .txt file, a puzzle, or a hub data set")
    add("--field", default="text", help="the column that holds the text")
    add("--held-out", default="valid_v2", help="the split that never trains")
    add("--objective", choices=sorted(OBJECTIVES), default="mdlm", help="what is trained")
    add("--work", required=True, type=Path, help="folder of the run: state, log, settings")
    add("--out", type=Path, help="where the model is written; WORK/model if not given")
    add("--name", help="name of the model; the folder it is written to if not given")
    add("--task", default="stories", help="task of the model")
    add("--tokenizer", type=Path, help="a tokenizer directory; OUT/../tokenizer if not given")
    add("--init-from", help="a directory or hub name of a model to start from")
    add("--resume", action="store_true", help="go on with the run in WORK")
    add("--steps", type=int, help="budget in optimizer steps")
    add("--minutes", type=float, help="budget in minutes of training, instead of --steps")
    add("--tokens-per-batch", type=int, default=2048, help="a process and micro-batch")
    add("--accumulate", type=int, default=1, help="micro-batches a step")
    add("--lengths", default="64,128,256", help="columns of a batch, one drawn a step")
    add("--learning-rate", type=float, default=2.5e-3, help="after the warmup")
    add("--warmup", type=int, default=200, help="steps in which the rate rises")
    add("--decay", type=float, default=1.0, help="share of the budget in which the rate falls")
    add("--weight-decay", type=float, default=0.02, help="of AdamW, for matrices")
    add("--clip", type=float, default=1.0, help="most norm of a gradient")
    add("--ema", type=float, default=0.998, help="decay of the average that is written")
    add("--masking", choices=MASKINGS, default="exact", help="n masks a block, or each by chance t")
    add("--low", type=float, default=0.02, help="smallest t, where t is drawn")
    add("--block-length", type=int, help="of bd3lm and edit; 4, 8, 16 or 32 by chance if not given")
    add("--noise-range", default="0,1", help="limits of t, for less variance (mdlm, bd3lm, edit)")
    add("--weighting", choices=WEIGHTINGS, default=WEIGHTINGS[0], help="of the hybrid loss")
    add("--p-uniform", type=float, default=0.1, help="random tokens: share at t = 1/2, or shown")
    add("--precision", choices=("bf16", "no"), default="bf16", help="of activations")
    add("--threads", type=int, help="torch threads a process; torch's own if not given")
    add("--vocabulary", type=int, default=4096, help="size of a tokenizer to train")
    add("--hidden", type=int, default=256, help="width of a model to build")
    add("--layers", type=int, default=4, help="its depth")
    add("--heads", type=int, default=4, help="its attention heads")
    add("--intermediate", type=int, default=768, help="width of its feed-forward part")
    add("--context", type=int, default=256, help="most columns it reads")
    add("--draft-length", type=int, default=8, help="dflash: tokens of a block, its anchor counted")
    add("--seed", type=int, default=0, help="of weights, data order and noise")
    add("--save-every", type=float, default=3.0, help="minutes between saved states")
    return options


def check(arguments: argparse.Namespace) -> None:
    """Fill in the default --out; raise ValueError for what no run could use."""
    if (arguments.steps is None) == (arguments.minutes is None):
        raise ValueError("give the budget as --steps or as --minutes, one of the two")
    positive = (
        *SHAPE, "steps", "minutes", "tokens_per_batch", "accumulate", "learning_rate", "clip",
        "low", "threads", "block_length", "draft_length",
    )  # fmt: skip
    for name in positive:
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be greater than 0, got {value}")
    for name, below in (("ema", 1.0), ("low", 0.5), ("p_uniform", 1.0), ("decay", 1.0 + 1e-9)):
        if not 0 <= getattr(arguments, name) < below:
            flag, value = name.replace("_", "-"), getattr(arguments, name)
            raise ValueError(f"--{flag} must be from 0 to {below:.2g}, got {value}")
    try:
        arguments.lengths = tuple(int(part) for part in arguments.lengths.split(","))
    except ValueError:
        raise ValueError(
            f"--lengths must be whole numbers parted by commas, got '{arguments.lengths}'"
        ) from None
    try:
        low, high = map(float, arguments.noise_range.split(","))
    except ValueError:
        low = high = -1.0
    if not 0 <= low < high <= 1:
        raise ValueError(
            f"--noise-range must be two numbers LOW,HIGH with 0 <= LOW < HIGH <= 1, got "
            f"'{arguments.noise_range}'"
        )
    arguments.noise_range = (low, high)
    if not all(2 <= length <= arguments.context for length in arguments.lengths):
        raise ValueError(
            f"--lengths must be from 2 to the context of {arguments.context}, got "
            f"{', '.join(map(str, arguments.lengths))}; change them or --context"
        )
    if arguments.heads and arguments.hidden % (2 * arguments.heads):
        raise ValueError(
            f"--hidden must be an even multiple of --heads, got {arguments.hidden} and "
            f"{arguments.heads}"
        )
    arguments.out = arguments.out or arguments.work / "network"
    if arguments.objective == "dflash":
        check_target(arguments)
    if not arguments.resume and (arguments.out / "config.json").exists():
        raise ValueError(
            f"{arguments.out} already holds a model; choose another --out, or --resume its run"
        )


def settings_of(arguments: argparse.Namespace, processes: int, data_tokens: int) -> Settings:
    """What of the arguments decides the weights that come out."""
    shape = (*SHAPE, "draft_length") if arguments.objective == "dflash" else SHAPE
    return Settings(
        objective=arguments.objective,
        steps=arguments.steps,
        minutes=arguments.minutes,
        tokens_per_batch=arguments.tokens_per_batch,
        accumulate=arguments.accumulate,
        lengths=arguments.lengths,
        learning_rate=arguments.learning_rate,
        warmup=arguments.warmup,
        decay=arguments.decay,
        weight_decay=arguments.weight_decay,
        clip=arguments.clip,
        ema=arguments.ema,
        seed=arguments.seed,
        masking=arguments.masking,
        low=arguments.low,
        block_length=arguments.block_length if arguments.objective in BLOCKED else None,
        noise_range=arguments.noise_range,
        weighting=arguments.weighting if arguments.objective == "hybrid" else None,
        p_uniform=arguments.p_uniform if arguments.objective in NOISY else None,
        precision=arguments.precision,
        processes=processes,
        data=Path(arguments.data).name,
        data_tokens=data_tokens,
        shape={name: getattr(arguments, name) for name in shape},
        init_from=arguments.init_from,
    )


def shown_command(options: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """The command as a model card quotes it: what differs from the defaults, no private paths."""
    shown = ["python -m lab train"]
    data = Path(arguments.data)
    for name, value in vars(arguments).items():
        if name in ("resume", "save_every", "threads") or value in (
            None,
            options.get_default(name),
        ):
            continue
        listed = ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else value
        if listed == options.get_default(name):
            continue
        told = {
            "data": f"path/to/{data.name}" if data.suffix else arguments.data,
            "work": f"runs/{arguments.work.name}",
            "out": f"path/to/{arguments.out.name}",
            "tokenizer": "path/to/tokenizer",
            "init_from": f"path/to/{Path(arguments.init_from or '').name}",
        }.get(name, listed)
        shown.append(f"--{name.replace('_', '-')} {told}")
    return " ".join(shown)
