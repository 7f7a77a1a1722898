"""`python -m lab evaluate`: bounds on the held-out NLL with error bars, accuracy by noise level."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lab.train import gidd
from lab.train.card import write_evaluation
from lab.train.data import TINY_STORIES, Stream, check_tokenizer, generator, pack, read_corpus
from lab.train.net import Learner, open_net
from lab.train.objectives import (
    BLOCK_LENGTHS,
    Problem,
    ar,
    bd3lm,
    everywhere,
    hybrid,
    hybrid_noise,
    mdlm,
)

LEVELS = (0.15, 0.5, 0.85)


class Estimate(NamedTuple):
    """A mean over windows and its standard error."""

    mean: float
    error: float


class Accuracy(NamedTuple):
    """At one noise level: share of masked tokens whose best guess is right; cross-entropy there.

    level None: the next token, given all text before it.
    """

    level: float | None
    right: float
    nats: float


def held_out_windows(stream: Stream, length: int, most: int | None = None) -> torch.Tensor:
    """Windows [N, length] from each held-out story's start, running on into the next story."""
    starts = stream.starts[stream.starts + length <= len(stream.tokens)]
    if not len(starts):
        raise ValueError(
            f"the held-out split must hold one window of {length} tokens, got "
            f"{len(stream.tokens)} tokens; give more text or a smaller --length"
        )
    return stream.tokens[starts[:most, None] + torch.arange(length)].long()


def estimate(each: list[torch.Tensor]) -> Estimate:
    """Mean and standard error of values a window, given chunk by chunk.

    Noise levels are stratified within a chunk, so the chunks, not the windows, are independent.
    Of a single chunk the windows must do: an error bar that is too wide rather than none.
    """
    if len(each) == 1:
        each = list(each[0].split(1))
    size = torch.tensor([len(part) for part in each]).double()
    mean = torch.stack([part.double().mean() for part in each])
    share = size / size.sum()
    centre = (share * mean).sum()
    spread = (share**2 * (mean - centre) ** 2).sum() * len(each) / max(1, len(each) - 1)
    return Estimate(float(centre), float(spread.sqrt()))


def chunks(rows: torch.Tensor, size: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Number the parts of at most `size` rows."""
    yield from enumerate(rows.split(size))


@torch.no_grad()
def bound(
    learner: Learner,
    rows: torch.Tensor,
    problem: Callable[[torch.Tensor, torch.Generator], Problem],
    seed: int = 0,
) -> Estimate:
    """Bound on the NLL, nats a token, from weighted cross-entropy (mdlm, bd3lm).

    Each of rows [N, T] is one estimate; column 0 is given and not counted.
    """
    each = []
    for number, part in chunks(rows, 16):
        asked = problem(part, generator(seed, number))
        loss = functional.cross_entropy(
            learner.logits(asked), asked.target[asked.wanted], reduction="none"
        )
        spread = torch.zeros_like(asked.weight)
        spread[asked.wanted] = loss * asked.weight[asked.wanted]
        each.append(spread.sum(1) / (asked.tokens / len(part)))
    return estimate(each)


@torch.no_grad()
def hybrid_bound(
    learner: Learner,
    rows: torch.Tensor,
    mask_id: int,
    p_uniform: float,
    posterior: str = "full",
    seed: int = 0,
) -> Estimate:
    """GIDD's bound, nats a token; a net's full posterior is made leave-one-out by Bayes' rule.

    The integral from eps = 1e-4 to 1 - eps plus the reconstruction -log p(x | z_eps); the prior's
    term (about 1e-4 in all) is left out. Column 0 is given.
    """
    eps, each = 1e-4, []
    for number, part in chunks(rows, 8):
        random = generator(seed, number)
        vocab_size = learner.net.config.vocab_size
        times, jacobian = gidd.stratified_times(len(part), random, eps)
        total = torch.zeros(len(part), dtype=torch.float64)
        for time, integral in ((times, True), (torch.full_like(times, eps), False)):
            wide = time[:, None].expand(part.shape)
            noisy = hybrid_noise(part, time, mask_id, vocab_size, p_uniform, random)
            asked = everywhere(noisy, part, torch.ones(part.shape))
            log_net = learner.logits(asked).log_softmax(1)
            clean, seen = part[asked.wanted], noisy[asked.wanted]
            curve = gidd.marginal(wide[asked.wanted], p_uniform, vocab_size)
            if integral:
                if posterior == "full":
                    log_net = gidd.leave_one_out(log_net, seen, curve, mask_id)
                value = gidd.integrand(log_net.double(), seen, clean, curve, mask_id)
                total += value.view(len(part), -1).mean(1) * jacobian
            else:
                if posterior == "loo":
                    log_net = gidd.full(log_net, seen, curve, mask_id)
                total -= log_net.gather(1, clean[:, None]).view(len(part), -1).mean(1)
        each.append(total)
    return estimate(each)


@torch.no_grad()
def noise_ranges(
    learner: Learner, rows: torch.Tensor, mask_id: int, block_length: int, seed: int = 0
) -> list[tuple[float, float, float]]:
    """Limits of t by the variance of a block's weighted loss, least first: (low, high, variance).

    BD3LM's clipped schedules (section 5.3): widths .5 to 1 in steps of .1, limits in steps of .05.
    """
    level, loss = [], []
    for number, part in chunks(rows, 16):
        asked = bd3lm(part, mask_id, generator(seed, number), block_length=block_length)
        nats = torch.zeros_like(asked.weight)
        nats[asked.wanted] = (
            functional.cross_entropy(
                learner.logits(asked), asked.target[asked.wanted], reduction="none"
            )
            * asked.weight[asked.wanted]
        )
        # The first block has one column given, the last may be short: leave both out.
        half = part.shape[1] // block_length * block_length
        shape = (len(part), -1, block_length)
        loss.append(nats[:, block_length:half].reshape(shape).mean(2).flatten())
        level.append(asked.wanted[:, block_length:half].reshape(shape).double().mean(2).flatten())
    t, nats = torch.cat(level), torch.cat(loss)
    found = []
    for width in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        for step in range(round((1 - width) / 0.05) + 1):
            low = round(0.05 * step, 2)
            inside = nats[(t > low) & (t <= low + width + 1e-9)]
            found.append((low, round(low + width, 2), float(inside.var())))
    return sorted(found, key=lambda each: each[2])


@torch.no_grad()
def accuracy(
    learner: Learner,
    rows: torch.Tensor,
    problem: Callable[..., Problem],
    mask_id: int,
    level: float | None,
) -> Accuracy:
    """Guess the masked tokens of rows [N, T] at noise level t = level, or each next token."""
    right, nats, count = 0, 0.0, 0
    for number, part in chunks(rows, 16):
        if level is None:
            asked = problem(part, random=generator(1, number))
        else:
            asked = problem(part, random=generator(1, number), level=level)
            asked = asked._replace(wanted=asked.wanted & (asked.inputs == mask_id))
        logits, target = learner.logits(asked), asked.target[asked.wanted]
        right += int((logits.argmax(1) == target).sum())
        nats += float(functional.cross_entropy(logits, target, reduction="sum"))
        count += len(target)
    return Accuracy(level, right / max(1, count), nats / max(1, count))


def evaluate(
    folder: Path, tokenizer: PreTrainedTokenizerFast, rows: torch.Tensor
) -> tuple[dict[str, Estimate], list[Accuracy]]:
    """Every bound of the net in folder by name, and its accuracy at LEVELS."""
    card = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
    mask_id = tokenizer.mask_token_id
    learner = Learner(open_net(str(folder)), (mask_id, tokenizer.pad_token_id)).eval()
    levels: tuple[float | None, ...] = LEVELS
    if card["attention"] == "causal":
        problem, levels = partial(ar, mask_id=mask_id), (None,)
        bounds = {"exact": bound(learner, rows, lambda part, random: ar(part, mask_id, random))}
    elif card["attention"] == "block_causal":
        bounds = {
            f"block length {size}": bound(
                learner, rows, partial(_block, mask_id=mask_id, block_length=size)
            )
            for size in card["block_lengths"] or BLOCK_LENGTHS
        }
        problem = partial(bd3lm, mask_id=mask_id, block_length=16)
    elif card["corruption"] == "hybrid":
        p_uniform = card["p_uniform"]
        problem = partial(hybrid, mask_id=mask_id, vocab_size=len(tokenizer), p_uniform=p_uniform)
        bounds = {"GIDD": hybrid_bound(learner, rows, mask_id, p_uniform, card["posterior"])}
    else:
        problem = partial(mdlm, mask_id=mask_id)
        bounds = {"MDLM": bound(learner, rows, lambda part, random: mdlm(part, mask_id, random))}
    return bounds, [accuracy(learner, rows, problem, mask_id, level) for level in levels]


def _block(
    part: torch.Tensor, random: torch.Generator, *, mask_id: int, block_length: int
) -> Problem:
    return bd3lm(part, mask_id, random, block_length=block_length)


def report(bounds: dict[str, Estimate], accuracies: list[Accuracy]) -> str:
    """The numbers as two small markdown tables."""
    lines = ["| bound | nats a token | perplexity at most |", "|---|---|---|"]
    for name, value in bounds.items():
        lines.append(
            f"| {name} | {value.mean:.3f} ± {value.error:.3f} | {math.exp(value.mean):.1f} |"
        )
    lines += ["", "| noise level t | asked tokens guessed right | nats an asked token |"]
    lines.append("|---|---|---|")
    for value in accuracies:
        asked = "next token" if value.level is None else value.level
        lines.append(f"| {asked} | {value.right:.1%} | {value.nats:.2f} |")
    return "\n".join(lines)


def clipped(
    folder: Path, tokenizer: PreTrainedTokenizerFast, rows: torch.Tensor, block_length: int
) -> str:
    """The five --noise-range of least variance, and the whole, as a markdown table."""
    net = open_net(str(folder))
    mask_id = tokenizer.mask_token_id
    learner = Learner(net, (mask_id, tokenizer.pad_token_id)).eval()
    found = noise_ranges(learner, rows, mask_id, block_length)
    shown = [*found[:5], *(each for each in found[5:] if each[:2] == (0.0, 1.0))]
    lines = [
        f"| --noise-range, block length {block_length} | variance of a block's loss |",
        "|---|---|",
    ]
    return "\n".join(
        [*lines, *(f"| {low:g},{high:g} | {value:.3f} |" for low, high, value in shown)]
    )


def main(argv: list[str]) -> int:
    """Evaluate one net; return the exit status."""
    options = argparse.ArgumentParser(prog="python -m lab evaluate", description=__doc__)
    options.add_argument("net", type=Path, help="a directory written by `python -m lab train`")
    options.add_argument("--data", default=TINY_STORIES, help="as in `python -m lab train`")
    options.add_argument("--field", default="text")
    options.add_argument("--held-out", default="valid_v2")
    options.add_argument("--tokenizer", type=Path, help="default: NET/../tokenizer")
    options.add_argument("--length", type=int, default=256, help="columns of a window")
    options.add_argument("--windows", type=int, help="at most so many windows (default: all)")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument(
        "--noise-ranges",
        type=int,
        metavar="BLOCK_LENGTH",
        help="also find the --noise-range of least variance for this block length",
    )
    options.add_argument("--card", action="store_true", help="write the numbers into NET/README.md")
    arguments = options.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        if not (arguments.net / "lab.json").is_file():
            raise ValueError(
                f"{arguments.net} must be a directory written by `python -m lab train`; "
                "it has no lab.json"
            )
        tokenizer = AutoTokenizer.from_pretrained(
            arguments.tokenizer or arguments.net.parent / "tokenizer"
        )
        check_tokenizer(tokenizer)
        corpus = read_corpus(arguments.data, arguments.held_out, arguments.field)
        rows = held_out_windows(
            pack(tokenizer, corpus.held_out), arguments.length, arguments.windows
        )
        text = report(*evaluate(arguments.net, tokenizer, rows))
        if arguments.noise_ranges:
            text += "\n\n" + clipped(arguments.net, tokenizer, rows, arguments.noise_ranges)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    told = (
        f"{len(rows)} windows of {arguments.length} tokens, each from the start of a held-out "
        f"story; the first column (bos) is given.\n\n{text}"
    )
    sys.stdout.write(told + "\n")
    if arguments.card:
        flags = f" --windows {arguments.windows}" if arguments.windows else ""
        command = (
            f"python -m lab evaluate {{net}} --data {{data}} --length {arguments.length}{flags}"
        )
        write_evaluation(arguments.net / "README.md", told, command)
    return 0
