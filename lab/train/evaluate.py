"""`python -m lab evaluate`: bounds on the held-out NLL with error bars, accuracy by noise level.

Of a draft model: how many tokens of a draft are kept, and its accuracy by place in the draft. Of a
quality head: how well it tells right tokens from wrong ones (lab.train.quality_evaluation). Of a
model whose task has a checker: how many instances it solves, by sampler
(lab.train.solver_evaluation).
"""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lab.models.card import read_facts, target_folder
from lab.tasks import TASKS
from lab.train import acceptance, quality_evaluation, solver_evaluation
from lab.train.bounds import (
    Accuracy,
    Estimate,
    accuracy,
    bound,
    hybrid_process,
    noise_ranges,
    replacement_bound,
    uniform_process,
)
from lab.train.card_file import write_evaluation
from lab.train.corpus import TINY_STORIES
from lab.train.exit_status import exit_status
from lab.train.held_out import (
    HeldOut,
    corpus_windows,
    rows_of,
    task_texts,
    tokenizer_beside,
    truth_known,
)
from lab.train.learner import Learner, banned_ids, open_network
from lab.train.objectives import BLOCK_LENGTHS, ar, bd3lm, drafts, mdlm
from lab.train.replacement_noise import hybrid, uniform

LEVELS = (0.15, 0.5, 0.85)


def evaluate(
    learner: Learner, card: dict[str, Any], mask_id: int, rows: torch.Tensor, prefix: int = 1
) -> tuple[dict[str, Estimate], list[Accuracy]]:
    """Every bound of a model with this card (lab.json) by name, and its accuracy at LEVELS.

    The first `prefix` columns of rows are known.
    """
    levels: tuple[float | None, ...] = LEVELS
    size = learner.network.config.vocab_size
    known: dict[str, Any] = {"mask_id": mask_id, "prefix": prefix}
    if card["attention"] == "causal":
        problem, levels = partial(ar, **known), (None,)
        bounds = {"exact": bound(learner, rows, problem)}
        if longest := card.get("joint_length"):
            for width in (*(one for one in BLOCK_LENGTHS if one < longest), longest):
                block = partial(drafts, block_length=width, **known)
                bounds[f"block mode, length {width}"] = bound(learner, rows, block)
    elif card["attention"] == "block_causal":
        problem = partial(bd3lm, block_length=16, **known)
        bounds = {
            f"block length {width}": bound(learner, rows, partial(problem, block_length=width))
            for width in card["block_lengths"] or BLOCK_LENGTHS
        }
    elif card["corruption"] == "hybrid":
        p_uniform = card["p_uniform"]
        problem = partial(hybrid, vocab_size=size, p_uniform=p_uniform, **known)
        process = hybrid_process(vocab_size=size, p_uniform=p_uniform, **known)
        bounds = {"GIDD": replacement_bound(
            learner, rows, process, mask_id, card["posterior"], prefix=prefix
        )}  # fmt: skip
    elif card["corruption"] == "uniform":
        problem = partial(uniform, vocab_size=size, **known)
        process = uniform_process(vocab_size=size, **known)
        bounds = {"UDLM": replacement_bound(learner, rows, process, mask_id, prefix=prefix)}
    else:
        problem = partial(mdlm, **known)
        bounds = {"MDLM": bound(learner, rows, problem)}
    return bounds, [accuracy(learner, rows, problem, mask_id, level) for level in levels]


def report(
    bounds: dict[str, Estimate], accuracies: list[Accuracy], truth: Estimate | None = None
) -> str:
    """The numbers as two small markdown tables; truth: what the best model could reach."""
    if truth is not None:
        bounds = {"the truth itself": truth, **bounds}
    lines = ["| bound | nats a token | perplexity at most |", "|---|---|---|"]
    for name, value in bounds.items():
        lines.append(
            f"| {name} | {value.mean:.3f} ± {value.error:.3f} | {math.exp(value.mean):.1f} |"
        )
    lines += ["", "| noise level t | masked tokens predicted right | nats a masked token |"]
    lines.append("|---|---|---|")
    for one in accuracies:
        level = "next token" if one.level is None else one.level
        lines.append(f"| {level} | {one.right:.1%} | {one.nats:.2f} |")
    return "\n".join(lines)


def clipped(learner: Learner, mask_id: int, rows: torch.Tensor, block_length: int) -> str:
    """The five --noise-range of least variance, and the whole, as a markdown table."""
    ranges = noise_ranges(learner, rows, mask_id, block_length)
    best = [*ranges[:5], *(each for each in ranges[5:] if each[:2] == (0.0, 1.0))]
    lines = [
        f"| --noise-range, block length {block_length} | variance of a block's loss |",
        "|---|---|",
    ]
    return "\n".join(
        [*lines, *(f"| {low:g},{high:g} | {value:.3f} |" for low, high, value in best)]
    )


def compared(models: list[tuple[str, dict[str, Estimate]]]) -> str:
    """Every bound of every model in one markdown table, the least first."""
    each = [(value, model, name) for model, bounds in models for name, value in bounds.items()]
    lines = ["| model | bound | nats a token | perplexity at most |", "|---|---|---|---|"]
    for value, model, name in sorted(each):
        nats = f"{value.mean:.3f} ± {value.error:.3f}"
        lines.append(f"| {model} | {name} | {nats} | {math.exp(value.mean):.1f} |")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    add = options.add_argument
    add("models", nargs="+", type=Path, help="folders written by `python -m lab train`")
    add("--data", default=TINY_STORIES, help="corpus, as in `python -m lab train`")
    add("--field", default="text", help="the column that holds the text")
    add("--held-out", default="valid_v2", help="the split that never trains")
    add(
        "--tokenizer",
        type=Path,
        help="folder of a tokenizer; that beside the first model if not given",
    )
    add("--length", type=int, default=256, help="columns of a window")
    add("--windows", type=int, help="largest number of windows (default: all)")
    add("--threads", type=int, default=1, help="torch threads")
    add("--noise-ranges", type=int, metavar="BLOCK_LENGTH",
        help="also find the --noise-range of least variance for this block length")  # fmt: skip
    add("--card", action="store_true", help="write the numbers into the README.md of each model")
    return options


def is_solver(argument: str) -> bool:
    """Whether this is the folder of a model that is measured by what it solves."""
    folder = Path(argument)
    if not (folder / "lab.json").is_file():
        return False
    task = TASKS.get(read_facts(folder).get("task", ""))
    return solver_evaluation.is_measured(task) and task is not None and task.log_prob is None


@exit_status
def main(argv: list[str]) -> int:
    """Evaluate models on the same windows, a solver by what it solves; the exit status."""
    if any(quality_evaluation.is_head(Path(argument)) for argument in argv):
        return quality_evaluation.main(argv)
    if any(is_solver(argument) for argument in argv):
        return solver_evaluation.main(argv)
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    for folder in options.models:
        if not (folder / "lab.json").is_file():
            raise ValueError(
                f"{folder} must be a folder written by `python -m lab train`; it has no lab.json"
            )
    tokenizer = tokenizer_beside(options.models[0], options.tokenizer)
    task = truth_known(options.models)
    held_out = (
        corpus_windows(
            tokenizer, options.data, options.held_out, options.field, options.length,
            options.windows,
        )
        if task is None
        else task_texts(task, options.windows)
    )  # fmt: skip
    sys.stdout.write(held_out.text + "\n")
    all_bounds = [("the truth itself", {"entropy": held_out.truth})] if held_out.truth else []
    for folder in options.models:
        text, bounds = _measure(folder, options, tokenizer, held_out)
        if bounds:
            all_bounds.append((folder.name, bounds))
        title = f"\n{folder.name}:\n" if len(options.models) > 1 else ""
        sys.stdout.write(f"{title}\n{text}\n")
        sys.stdout.flush()
        if options.card:
            flags = f"--length {options.length}" if task is None else ""
            flags += f" --windows {options.windows}" if options.windows else ""
            write_evaluation(folder / "README.md", f"{held_out.text}\n\n{text}", flags.strip())
    if len(all_bounds) > 1:
        sys.stdout.write(f"\n{compared(all_bounds)}\n")
    return 0


def _measure(
    folder: Path, options: argparse.Namespace, tokenizer: Any, held_out: HeldOut
) -> tuple[str, dict[str, Estimate]]:
    """The tables of one model, and its bounds; a draft model has none."""
    if target_folder(folder) is not None:
        return acceptance.report(folder, held_out.rows), {}
    facts, mask_id = read_facts(folder), tokenizer.mask_token_id
    learner = Learner(open_network(str(folder)), banned_ids(tokenizer)).eval()
    rows, prefix = rows_of(facts, held_out)
    bounds, accuracies = evaluate(learner, facts, mask_id, rows, prefix)
    scale = held_out.columns_per_token
    bounds = {name: Estimate(scale * one.mean, scale * one.error) for name, one in bounds.items()}
    text = report(bounds, accuracies, held_out.truth)
    if options.noise_ranges:
        text += "\n\n" + clipped(learner, mask_id, rows, options.noise_ranges)
    return text, bounds
