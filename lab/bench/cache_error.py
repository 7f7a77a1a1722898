"""What a dual cache is worth: how much faster calls are, and how far off their answers."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import Tensor

from lab.bench.costs import Tape, opened, replay, sample
from lab.bench.machine import machine_columns
from lab.bench.timing import measure, ratio, spread
from lab.models.load import load
from lab.run import limits
from lab.run.plan import Plan, plan
from lab.run.request import RunRequest

MODEL = "stories-mdlm"
PROMPTS = ["Once upon a time there was a little girl", "One day the dog saw a big red ball"]
GEN_LENGTH = 64
BLOCK_LENGTHS = (8, 16, 32)


def cache_error(name: str = MODEL, repeats: int = 5, device: str | None = None) -> pd.DataFrame:
    """One line a block length: calls of llada that commit one token each, from the cache.

    Seconds are those of its calls alone, of both models on the same canvases. Log-probabilities are
    compared at masked positions of the window, at calls that read no row whole, in nats: over all
    tokens of the vocabulary, and the one of the highest. ModelError where that model cannot have a
    dual cache.
    """
    repeats = limits.whole("repeats", repeats, 1, 1000)
    exact, faster = load(name, device=device), load(name, device=device, dual_cache=True)
    lines = []
    for length in BLOCK_LENGTHS:
        params = {"block_length": length, "steps": length, "temperature": 0.0}
        run = plan(RunRequest("llada", faster, PROMPTS, gen_length=GEN_LENGTH, params=params))
        lines.append({"model": exact.card.name, "block_length": length,
                      **_line(run, replace(run, model=exact), repeats)})  # fmt: skip
    return pd.DataFrame(lines)


def _line(run: Plan, exact: Plan, repeats: int) -> dict[str, Any]:
    tape = Tape(opened(run))
    sample(run, tape)
    sides = {
        "with": lambda: replay(opened(run), tape),
        "without": lambda: replay(opened(exact), tape),
    }
    line: dict[str, Any] = {"columns": run.canvas.tokens.shape[1], "calls": len(tape.calls)}
    line["columns_fed"] = int(tape.denoise.columns_fed.sum())
    line |= differences(run, exact, tape)
    seconds = measure(sides, repeats, run.model.device)
    each = [1000 * one / len(tape.calls) for one in seconds["with"]]
    line |= spread(each).columns("milliseconds")
    line |= ratio(seconds, "without", "with").columns("without_over_with")
    return line | machine_columns(run.model.device)


def differences(run: Plan, exact: Plan, tape: Tape) -> dict[str, float]:
    """The mean and the largest difference of log-probabilities, and how often the most likely token
    is the same; NaN where every call read all rows whole."""
    total = largest = 0.0
    same = positions = numbers = 0
    for ours, theirs in _answers(run, exact, tape):
        gaps = (ours - theirs)[theirs.isfinite()].abs().double()
        total, numbers = total + float(gaps.sum()), numbers + len(gaps)
        largest = max(largest, float(gaps.max()) if len(gaps) else 0.0)
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        positions += len(ours)
    values = (total / numbers, largest, same / positions) if positions else (math.nan,) * 3
    names = ("mean_difference", "largest_difference", "same_prediction")
    return {name: round(value, 6) for name, value in zip(names, values, strict=True)}


def _answers(run: Plan, exact: Plan, tape: Tape) -> Iterator[tuple[Tensor, Tensor]]:
    """Log-probabilities [N, V] with the cache and without, of each call of the run, at the masked
    positions of rows that were answered from what was read before."""
    ours, theirs = opened(run), opened(exact)
    canvas, whole = ours.canvas, run.canvas.visible.sum(-1)
    for _, tokens, how in tape.calls:
        before = ours.columns_fed.clone()
        answer, truth = ours(tokens, **how), theirs(tokens, **how)
        fed = ours.columns_fed - before
        partly = ((fed > 0) & (fed < whole)).to(tokens.device)
        at = canvas.masked(tokens, how["window"]) & partly[:, None]
        yield answer[at].log_softmax(-1), truth[at].log_softmax(-1)
