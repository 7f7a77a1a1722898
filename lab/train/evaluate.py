"""`python -m lab evaluate`: bounds on the held-out NLL with error bars, accuracy by noise level.

Of a draft model: how many tokens of a draft are kept, and its accuracy by place in the draft. Of a
model whose task has a checker: how many instances it solves, by sampler (lab.train.solve_rates).
"""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from lab.models.card import read_facts, target_folder
from lab.tasks import TASKS
from lab.train import acceptance, solve_rates
from lab.train.bounds import (
    Accuracy,
    Estimate,
    accuracy,
    bound,
    held_out_windows,
    hybrid_bound,
    noise_ranges,
)
from lab.train.card import write_evaluation
from lab.train.data import TINY_STORIES, check_tokenizer, pack, read_corpus
from lab.train.network import Learner, open_network
from lab.train.objectives import BLOCK_LENGTHS, ar, bd3lm, hybrid, mdlm
from lab.train.report import refusing

LEVELS = (0.15, 0.5, 0.85)


def evaluate(
    learner: Learner, card: dict[str, Any], mask_id: int, rows: torch.Tensor
) -> tuple[dict[str, Estimate], list[Accuracy]]:
    """Every bound of a model with this card (lab.json) by name, and its accuracy at LEVELS."""
    levels: tuple[float | None, ...] = LEVELS
    if card["attention"] == "causal":
        problem, levels = partial(ar, mask_id=mask_id), (None,)
        bounds = {"exact": bound(learner, rows, problem)}
    elif card["attention"] == "block_causal":
        problem = partial(bd3lm, mask_id=mask_id, block_length=16)
        bounds = {
            f"block length {size}": bound(learner, rows, partial(problem, block_length=size))
            for size in card["block_lengths"] or BLOCK_LENGTHS
        }
    elif card["corruption"] == "hybrid":
        size, p_uniform = learner.network.config.vocab_size, card["p_uniform"]
        problem = partial(hybrid, mask_id=mask_id, vocab_size=size, p_uniform=p_uniform)
        bounds = {"GIDD": hybrid_bound(learner, rows, mask_id, p_uniform, card["posterior"])}
    else:
        problem = partial(mdlm, mask_id=mask_id)
        bounds = {"MDLM": bound(learner, rows, problem)}
    return bounds, [accuracy(learner, rows, problem, mask_id, level) for level in levels]


def report(bounds: dict[str, Estimate], accuracies: list[Accuracy]) -> str:
    """The numbers as two small markdown tables."""
    lines = ["| bound | nats a token | perplexity at most |", "|---|---|---|"]
    for name, value in bounds.items():
        lines.append(
            f"| {name} | {value.mean:.3f} ± {value.error:.3f} | {math.exp(value.mean):.1f} |"
        )
    lines += ["", "| noise level t | asked tokens predicted right | nats an asked token |"]
    lines.append("|---|---|---|")
    for value in accuracies:
        asked = "next token" if value.level is None else value.level
        lines.append(f"| {asked} | {value.right:.1%} | {value.nats:.2f} |")
    return "\n".join(lines)


def clipped(learner: Learner, mask_id: int, rows: torch.Tensor, block_length: int) -> str:
    """The five --noise-range of least variance, and the whole, as a markdown table."""
    found = noise_ranges(learner, rows, mask_id, block_length)
    shown = [*found[:5], *(each for each in found[5:] if each[:2] == (0.0, 1.0))]
    lines = [
        f"| --noise-range, block length {block_length} | variance of a block's loss |",
        "|---|---|",
    ]
    return "\n".join(
        [*lines, *(f"| {low:g},{high:g} | {value:.3f} |" for low, high, value in shown)]
    )


def together(networks: list[tuple[str, dict[str, Estimate]]]) -> str:
    """Every bound of every model in one markdown table, the least first."""
    each = [
        (value, network, name) for network, bounds in networks for name, value in bounds.items()
    ]
    lines = ["| model | bound | nats a token | perplexity at most |", "|---|---|---|---|"]
    for value, network, name in sorted(each):
        nats = f"{value.mean:.3f} ± {value.error:.3f}"
        lines.append(f"| {network} | {name} | {nats} | {math.exp(value.mean):.1f} |")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    add = options.add_argument
    add("networks", nargs="+", type=Path, help="directories written by `python -m lab train`")
    add("--data", default=TINY_STORIES, help="as in `python -m lab train`")
    add("--field", default="text", help="the column that holds the text")
    add("--held-out", default="valid_v2", help="the split that never trains")
    add("--tokenizer", type=Path, help="default: NET/../tokenizer of the first model")
    add("--length", type=int, default=256, help="columns of a window")
    add("--windows", type=int, help="at most so many windows (default: all)")
    add("--threads", type=int, default=1, help="torch threads")
    add("--noise-ranges", type=int, metavar="BLOCK_LENGTH",
        help="also find the --noise-range of least variance for this block length")  # fmt: skip
    add("--card", action="store_true", help="write the numbers into each NET/README.md")
    return options


def is_solver(argument: str) -> bool:
    """Whether this is the folder of a model that is measured by what it solves."""
    folder = Path(argument)
    if not (folder / "lab.json").is_file():
        return False
    return solve_rates.is_measured(TASKS.get(read_facts(folder).get("task", "")))


@refusing
def main(argv: list[str]) -> int:
    """Evaluate models on the same windows, a solver by what it solves; the exit status."""
    if any(is_solver(argument) for argument in argv):
        return solve_rates.main(argv)
    arguments = parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    for network in arguments.networks:
        if not (network / "lab.json").is_file():
            raise ValueError(
                f"{network} must be a directory written by `python -m lab train`; it has "
                "no lab.json"
            )
    words = arguments.tokenizer or arguments.networks[0].parent / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(words, trust_remote_code=False)
    check_tokenizer(tokenizer)
    corpus = read_corpus(arguments.data, arguments.held_out, arguments.field)
    rows = held_out_windows(pack(tokenizer, corpus.held_out), arguments.length, arguments.windows)
    shown = f"{len(rows)} windows of {arguments.length} tokens, each from the start of a "
    shown += "held-out story; the first column (bos) is given."
    sys.stdout.write(shown + "\n")
    flags = f"--length {arguments.length}"
    flags += f" --windows {arguments.windows}" if arguments.windows else ""
    networks, mask_id = [], tokenizer.mask_token_id
    for network in arguments.networks:
        if target_folder(network) is not None:
            text = acceptance.report(network, rows)
        else:
            learner = Learner(open_network(str(network)), (mask_id, tokenizer.pad_token_id)).eval()
            bounds, accuracies = evaluate(learner, read_facts(network), mask_id, rows)
            networks.append((network.name, bounds))
            text = report(bounds, accuracies)
            if arguments.noise_ranges:
                text += "\n\n" + clipped(learner, mask_id, rows, arguments.noise_ranges)
        title = f"\n{network.name}:\n" if len(arguments.networks) > 1 else ""
        sys.stdout.write(f"{title}\n{text}\n")
        sys.stdout.flush()
        if arguments.card:
            command = f"python -m lab evaluate {{model}} --data {{data}} {flags}"
            write_evaluation(network / "README.md", f"{shown}\n\n{text}", command)
    if len(networks) > 1:
        sys.stdout.write(f"\n{together(networks)}\n")
    return 0
