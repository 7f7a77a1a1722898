"""Train a small diffusion language model. Several GPUs: `accelerate launch`."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from lab.models.transformers.quality_head import QualityHead
from lab.train import corpus, draft_learner, quality_learner
from lab.train.card_file import read_stages, write_card
from lab.train.exit_status import exit_status
from lab.train.export import card_fields, export
from lab.train.learner import Learner, banned_ids, is_masked, open_network
from lab.train.objectives import HEADED, OBJECTIVES
from lab.train.progress_log import ProgressLog
from lab.train.progress_sample import sample
from lab.train.settings import TrainSettings, blocks_of, command, parse
from lab.train.trainer import TrainingRun, check_resume
from lab.train.training_data import TrainingData, open_data

AnyLearner = Learner | draft_learner.DraftLearner | quality_learner.QualityLearner
LAUNCH = "accelerate launch --multi_gpu --num_processes"  # without a GPU they share the CPU


@exit_status
def main(argv: list[str]) -> int:
    """Train one model; return the exit status."""
    train(parse(argv, __doc__ or ""))
    return 0


def train(settings: TrainSettings) -> None:
    """Run the training that the settings describe, from its start or its last state."""
    check_folders(settings)
    accelerator = start(settings)
    with accelerator.main_process_first():
        data = open_data(settings)
    learner = open_learner(settings, data)
    if is_masked(answering(learner)) and settings.objective != "mdlm":
        raise ValueError(
            f"{settings.init_from} is a masked language model, which continues with --objective "
            f"mdlm, got {settings.objective}"
        )
    if accelerator.is_main_process:
        recorded = settings.recorded(accelerator.num_processes, data.facts["data_tokens"])
        check_resume(settings.work, recorded, settings.resume)
    accelerator.wait_for_everyone()
    fields = fields_of(settings, learner, data)
    run = TrainingRun(settings, learner, data.windows, objective_of(settings, data), accelerator)
    if settings.resume:
        run.load()
    # Read now: by the first save another model may stand where this one started from.
    stages = [*read_stages(settings.init_from), stage_of(settings, data, accelerator)]
    if settings.tokenizer and accelerator.is_main_process:
        data.tokenizer.save_pretrained(settings.folder)  # a task's own stands beside its models
    follow(run, fields, stages, sampler_of(settings, learner, data, fields))
    accelerator.end_training()


def check_folders(settings: TrainSettings) -> None:
    """ValueError where a model would be overwritten, or a part not find the model it is for."""
    if settings.objective in HEADED:
        part = draft_learner if settings.objective == "dflash" else quality_learner
        part.check_target(Path(settings.init_from or ""), settings.folder)
    if not settings.resume and (settings.folder / "config.json").exists():
        raise ValueError(
            f"{settings.folder} already holds a model; choose another --out, or --resume its run"
        )


def start(settings: TrainSettings) -> Accelerator:
    """Set up the process, and the others that train with it."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # Tied embeddings are saved once; accelerate warns of that at every save.
    logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)
    # Several processes without a GPU: accelerate joins them only if it is told that CPUs are meant.
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(
        cpu=together and not torch.accelerator.is_available(),
        mixed_precision=precision(settings.precision),
        gradient_accumulation_steps=settings.accumulate,
    )


def precision(setting: str) -> str:
    """What `auto` means here: bf16 on an accelerator and on a CPU with instructions for it.

    A CPU without them emulates it, many times slower than it computes in float32.
    """
    if setting != "auto" or torch.accelerator.is_available():
        return setting.replace("auto", "bf16")
    names = ("amx_bf16", "avx512_bf16", "bf16")  # the last is what ARM calls it
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if not known or any(known.get(name) for name in names) else "no"


def answering(learner: AnyLearner) -> PreTrainedModel:
    """The model that answers: the one that trains, or the one whose part trains."""
    return learner.network if isinstance(learner, Learner) else learner.target


def fields_of(settings: TrainSettings, learner: AnyLearner, data: TrainingData) -> dict[str, Any]:
    """What lab.json says of the model."""
    fields = card_fields(
        settings.objective, settings.name or settings.folder.name, settings.task,
        answering(learner).config.max_position_embeddings, settings.p_uniform,
    )  # fmt: skip
    if block_length := blocks_of(settings):
        fields["block_lengths"] = [block_length]
    if settings.objective in HEADED:
        fields["target"] = Path(settings.init_from or "").name
    if settings.objective == "joint" and settings.block_length:
        fields["joint_length"] = settings.block_length
    if settings.objective == "dflash":
        fields["draft_length"] = settings.draft_length
    if settings.objective == "hybrid" and settings.weighting != "posterior":
        fields["posterior"] = "loo"
    if data.canvas is not None:
        fields["length"] = data.canvas.shape[1]
    if data.start_id is not None:
        fields |= {
            "start_id": data.start_id,
            "length": fields["length"] - 1,
            "context": fields["context"] - 1,
        }
    return fields


def stage_of(
    settings: TrainSettings, data: TrainingData, accelerator: Accelerator
) -> dict[str, Any]:
    """What training.json says of this run."""
    return {
        "objective": settings.objective,
        "start": Path(settings.init_from).name if settings.init_from else "random",
        "hardware": hardware(accelerator),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        **data.facts,
        "command": launch_command(command(settings), accelerator.num_processes),
    }


def sampler_of(
    settings: TrainSettings,
    learner: AnyLearner,
    data: TrainingData,
    fields: dict[str, Any],
) -> Callable[[torch.Generator], str]:
    """What writes a text of the model while it trains."""
    target = Path(settings.init_from or "")
    if isinstance(learner, draft_learner.DraftLearner):
        return partial(draft_learner.sample, learner, data.tokenizer, target)
    if isinstance(learner, quality_learner.QualityLearner):
        return partial(quality_learner.sample, learner, data.tokenizer, target)
    return partial(
        sample, learner, data.tokenizer, attention=fields["attention"],
        corruption=fields["corruption"], canvas=data.canvas,
    )  # fmt: skip


def objective_of(settings: TrainSettings, data: TrainingData) -> Callable[..., Any]:
    """The objective with those of these settings that its signature names."""
    objective, tokenizer = OBJECTIVES[settings.objective], data.tokenizer
    drafts = settings.objective == "dflash"
    values = {
        "mask_id": tokenizer.mask_token_id,
        "vocab_size": len(tokenizer),
        "prefix": data.prefix,
        "block_length": settings.draft_length if drafts else settings.block_length,
    }
    names = (
        "masking", "low", "noise_range", "p_uniform", "weighting", "fills", "block_weight",
    )  # fmt: skip
    values |= {name: getattr(settings, name) for name in names}
    parameters = inspect.signature(objective).parameters
    return partial(objective, **{name: values[name] for name in values.keys() & parameters.keys()})


def open_learner(settings: TrainSettings, data: TrainingData) -> AnyLearner:
    """The model that trains, as it starts, and what it needs to compute its loss."""
    tokenizer, network = data.tokenizer, open_start(settings, data)
    banned = banned_ids(tokenizer)
    if settings.objective not in HEADED:
        return Learner(network, banned)
    if settings.objective == "quality_head":
        head = quality_learner.build_head(network, settings.hidden, settings.seed)
        return quality_learner.QualityLearner(head, network, banned)
    draft_model = draft_learner.build_draft_model(
        network, tokenizer, layers=settings.layers, draft_length=settings.draft_length,
        seed=settings.seed,
    )  # fmt: skip
    return draft_learner.DraftLearner(draft_model, network, banned)


def open_start(settings: TrainSettings, data: TrainingData) -> PreTrainedModel:
    """Build random weights, or open those of --init-from; ValueError if the vocabularies differ."""
    if not settings.init_from:
        return data.build(
            data.tokenizer, hidden=settings.hidden, layers=settings.layers, heads=settings.heads,
            intermediate=settings.intermediate, context=settings.context, seed=settings.seed,
        )  # fmt: skip
    network = open_network(settings.init_from)
    if network.config.vocab_size != len(data.tokenizer):
        raise ValueError(
            f"a start must have the tokenizer's vocabulary of {len(data.tokenizer)}, got "
            f"{network.config.vocab_size} from {settings.init_from}; name its own by --tokenizer"
        )
    return network


def launch_command(text: str, processes: int) -> str:
    """The command with the launcher of several processes before it."""
    return text if processes == 1 else f"{LAUNCH} {processes} {text.removeprefix('python ')}"


def hardware(accelerator: Accelerator) -> str:
    """The class of the device, for the model card."""
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return "CPU cores shared with other work"


def follow(
    run: TrainingRun,
    fields: dict[str, Any],
    stages: list[dict[str, Any]],
    write_sample: Callable[[torch.Generator], str],
) -> None:
    """Train to the end: log, save a state and the model every few minutes, with a sample of it."""
    settings, progress = run.settings, run.progress
    log = None
    if run.accelerator.is_main_process:
        log = ProgressLog(settings.work / "log.csv", progress)

    def save() -> None:
        run.save()
        if log is not None:
            network = cast(PreTrainedModel | QualityHead, run.average.module)
            size = export(settings.folder, network, fields)
            stages[-1] |= {
                "steps": progress.step,
                "tokens": progress.tokens,
                "minutes": progress.seconds / 60,
            }
            write_card(settings.folder, fields, stages, size)
            text = write_sample(corpus.generator(settings.seed, progress.step, 0))
            log.add_sample(f"step {progress.step}: {text}")

    last_save = progress.seconds
    for loss in run.steps():
        if log is not None:
            log.add(progress, settings, loss)
        if progress.seconds - last_save > 60 * settings.save_every:
            last_save = progress.seconds
            save()
    save()
