"""Train a small diffusion language model on stories. Several GPUs: `accelerate launch`."""

from __future__ import annotations

import argparse
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from lab.train import data as corpora
from lab.train import draft_model
from lab.train.card import read_stages, write_card
from lab.train.export import card_fields, export
from lab.train.network import Learner, is_masked, open_network
from lab.train.objectives import OBJECTIVES
from lab.train.options import check, parser, settings_of, shown_command
from lab.train.report import Reporter, refusing
from lab.train.sample import sample
from lab.train.source import Source, open_source
from lab.train.trainer import Run, Settings, check_resume

LAUNCH = "accelerate launch --multi_gpu --num_processes"  # without a GPU they share the CPU


@refusing
def main(argv: list[str]) -> int:
    """Train one model; return the exit status."""
    options = parser(__doc__)
    arguments = options.parse_args(argv)
    check(arguments)
    train(arguments, shown_command(options, arguments))
    return 0


def train(arguments: argparse.Namespace, command: str) -> None:
    """Run the training that the arguments describe, from its start or its last state."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # Tied embeddings are saved once; accelerate warns of that at every save.
    logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
    # Several processes without a GPU: accelerate joins them only if it is told that CPUs are meant.
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    accelerator = Accelerator(
        cpu=together and not torch.accelerator.is_available(),
        mixed_precision=arguments.precision,
        gradient_accumulation_steps=arguments.accumulate,
    )
    with accelerator.main_process_first():
        source = open_source(arguments)
    tokenizer = source.tokenizer
    learner = open_learner(arguments, source)
    start = learner.network
    if is_masked(start) and arguments.objective != "mdlm":
        raise ValueError(
            f"{arguments.init_from} is a masked language model, which goes on with --objective "
            f"mdlm, got {arguments.objective}"
        )
    settings = settings_of(arguments, accelerator.num_processes, source.told["data_tokens"])
    if accelerator.is_main_process:
        check_resume(arguments.work, settings, arguments.resume)
    accelerator.wait_for_everyone()

    problem = objective_of(settings, arguments, source)
    run = Run(arguments.work, settings, learner, source.windows, problem, accelerator)
    if arguments.resume:
        run.load()
    name = arguments.name or arguments.out.name
    fields = card_fields(
        settings.objective, name, arguments.task, start.config.max_position_embeddings,
        arguments.p_uniform,
    )  # fmt: skip
    if settings.block_length:
        fields["block_lengths"] = [settings.block_length]
    if settings.objective == "dflash":
        target = Path(settings.init_from)
        fields |= {"target": target.name, "draft_length": arguments.draft_length}
        show = partial(draft_model.show, learner, tokenizer, target)
    else:
        show = partial(
            sample, learner, tokenizer, attention=fields["attention"], canvas=source.canvas
        )
    if settings.weighting not in (None, "posterior"):
        fields["posterior"] = "loo"
    if source.canvas is not None:
        fields["length"] = source.canvas.shape[1]
    if source.start_id is not None:
        fields |= {
            "start_id": source.start_id,
            "length": fields["length"] - 1,
            "context": fields["context"] - 1,
        }
    # Read now: by the first save another model may stand where this one started from.
    before = read_stages(settings.init_from)
    stage = {
        "objective": settings.objective,
        "start": Path(settings.init_from).name if settings.init_from else "random",
        "hardware": hardware(accelerator),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        **source.told,
        "command": launched(command, accelerator),
    }
    if arguments.tokenizer and accelerator.is_main_process:
        tokenizer.save_pretrained(arguments.out)  # a task's own stands beside its models
    follow(run, arguments, fields, [*before, stage], show)
    accelerator.end_training()


def objective_of(
    settings: Settings, arguments: argparse.Namespace, source: Source
) -> Callable[..., Any]:
    """The objective with those of these settings that its signature names."""
    objective, tokenizer = OBJECTIVES[settings.objective], source.tokenizer
    drafts = settings.objective == "dflash"
    known = {
        **asdict(settings),
        "mask_id": tokenizer.mask_token_id,
        "vocab_size": len(tokenizer),
        "given": source.given,
        "block_length": arguments.draft_length if drafts else settings.block_length,
    }
    names = inspect.signature(objective).parameters
    return partial(objective, **{name: known[name] for name in known.keys() & names.keys()})


def open_learner(
    arguments: argparse.Namespace, source: Source
) -> Learner | draft_model.DraftLearner:
    """The model that trains, as it starts, and what it needs to tell its loss."""
    tokenizer, network = source.tokenizer, open_start(arguments, source)
    banned = (tokenizer.mask_token_id, tokenizer.pad_token_id)
    if arguments.objective != "dflash":
        return Learner(network, banned)
    made = draft_model.build_draft_model(
        network, tokenizer, layers=arguments.layers, draft_length=arguments.draft_length,
        seed=arguments.seed,
    )  # fmt: skip
    return draft_model.DraftLearner(made, network, banned)


def open_start(arguments: argparse.Namespace, source: Source) -> PreTrainedModel:
    """Build random weights, or open those of --init-from; ValueError if the vocabularies differ."""
    if not arguments.init_from:
        shape = {key: getattr(arguments, key) for key in ("hidden", "layers", "heads")}
        return source.build(
            source.tokenizer,
            **shape,
            intermediate=arguments.intermediate,
            context=arguments.context,
            seed=arguments.seed,
        )
    network = open_network(arguments.init_from)
    if network.config.vocab_size != len(source.tokenizer):
        raise ValueError(
            f"a start must have the tokenizer's vocabulary of {len(source.tokenizer)}, got "
            f"{network.config.vocab_size} from {arguments.init_from}; name its own by --tokenizer"
        )
    return network


def launched(command: str, accelerator: Accelerator) -> str:
    """The command with the launcher of several processes before it."""
    if accelerator.num_processes == 1:
        return command
    return f"{LAUNCH} {accelerator.num_processes} {command.removeprefix('python ')}"


def hardware(accelerator: Accelerator) -> str:
    """The class of the device, for the model card."""
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return "CPU cores shared with other work"


def follow(
    run: Run,
    arguments: argparse.Namespace,
    fields: dict,
    stages: list[dict],
    show: Callable[[torch.Generator], str],
) -> None:
    """Train to the end: log, save a state and the model every few minutes, show a sample of it."""
    main_process = run.accelerator.is_main_process
    reporter = Reporter(arguments.work / "log.csv", run.progress) if main_process else None

    def keep() -> None:
        run.save()
        if main_process:
            size = export(arguments.out, run.network, run.average.weights, fields)
            stages[-1] |= {
                "steps": run.progress.step,
                "tokens": run.progress.tokens,
                "minutes": run.progress.seconds / 60,
            }
            write_card(arguments.out, fields, stages, size)
            text = show(corpora.generator(run.settings.seed, run.progress.step, 0))
            reporter.show(f"step {run.progress.step}: {text}")

    saved = run.progress.seconds
    for loss in run.steps():
        if reporter:
            reporter.report(run.progress, run.settings, loss)
        if run.progress.seconds - saved > 60 * arguments.save_every:
            saved = run.progress.seconds
            keep()
    keep()
