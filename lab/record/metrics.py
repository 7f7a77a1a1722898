"""The numbers of a trajectory: what it cost, what it changed, how its text looks."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lab.record.history import COMMITTED, EDITED
from lab.record.trajectory import Trajectory


class Metrics(NamedTuple):
    """One run's numbers; NaN where nothing was generated or no call was made.

    columns_fed: the columns that the model computed in those calls, NaN where a file left it out.
    tokens: those that the sampler chose and that stand at the end, up to and with the first EOS.
    seconds of the whole run, the model's and the rest; tokens_per_second is over the whole run.
    confidence: the mean over those tokens of the probability each had in the step that wrote it.
    entropy (nats) of the ids of the text, as if drawn from their own histogram, and the share of
    its 1-, 2- and 3-grams that are distinct (1 = no repetition); masks and EOS are no text.
    acceptance_length: the mean number of tokens that a call kept where it had a draft to check,
    its own next token counted (DFlash's tau).
    """

    calls: int
    columns_fed: float
    tokens: int
    tokens_per_call: float
    acceptance_length: float
    seconds: float
    model_seconds: float
    other_seconds: float
    tokens_per_second: float
    edits: int
    remasks: int
    confidence: float
    entropy: float
    distinct_1: float
    distinct_2: float
    distinct_3: float


def metrics(run: Trajectory) -> Metrics:
    """Work the numbers out from the record alone."""
    calls = int(run.calls[-1]) if len(run.calls) else 0
    seconds = float(run.seconds[-1]) if len(run.seconds) else 0.0
    model_seconds = float(run.model_seconds[-1]) if len(run.seconds) else 0.0
    standing = np.isin(run.state[-1], (COMMITTED, EDITED))
    tokens = int(standing.sum())
    ids = text_ids(run)
    return Metrics(
        calls=calls,
        columns_fed=float("nan") if run.columns_fed is None else int(run.columns_fed[-1:].sum()),
        tokens=tokens,
        tokens_per_call=_ratio(tokens, calls),
        acceptance_length=acceptance_length(run),
        seconds=seconds,
        model_seconds=model_seconds,
        other_seconds=seconds - model_seconds,
        tokens_per_second=_ratio(tokens, seconds),
        edits=int(run.edits.sum()),
        remasks=int(run.remasks.sum()),
        confidence=_mean(written_confidence(run)[standing]),
        entropy=entropy(ids),
        **{f"distinct_{n}": distinct(ids, n) for n in (1, 2, 3)},
    )


def drafts(card: Mapping[str, Any]) -> bool:
    """Whether a model with this card has a draft model, or drafts for itself in a block mode."""
    return bool(card.get("draft_length") or card.get("joint_length"))


def acceptance_length(run: Trajectory) -> float:
    """The mean number of tokens kept in the steps that checked a draft; NaN where none did.

    A step checks one where the model drafts and the window is wider than one position.
    """
    checked = (run.stop - run.start > 1) & drafts(run.card)
    return _mean(run.commits.sum(-1)[checked].astype(float))


def written_confidence(run: Trajectory) -> np.ndarray:
    """The confidence [L] of each final token in the step that wrote it; NaN where none stands."""
    step = run.committed_step[-1]
    written = np.full(len(step), np.nan, np.float32)
    position = np.flatnonzero(step > 0)
    written[position] = run.confidence[step[position] - 1, position]
    return written


def text_ids(run: Trajectory) -> list[int]:
    """The ids of the output that are text: no mask, no EOS."""
    other = {run.card.get("mask_id"), *(run.card.get("eos_ids") or ())}
    return [token for token in run.output if token not in other]


def entropy(ids: list[int]) -> float:
    """The entropy of the histogram of ids, in nats: 0 for one repeated token; NaN for none."""
    if not ids:
        return float("nan")
    share = np.unique(ids, return_counts=True)[1] / len(ids)
    return float(-(share * np.log(share)).sum()) + 0.0  # no -0.0


def distinct(ids: list[int], n: int) -> float:
    """The share of n-grams that are distinct, in (0, 1]; NaN for fewer than n ids."""
    grams = list(zip(*(ids[i:] for i in range(n)), strict=False))
    return _ratio(len(set(grams)), len(grams))


ACCEPTED = "acceptance_length"
HEADINGS = {
    "calls": "Model calls",
    "columns_fed": "Columns fed",
    "tokens": "Tokens",
    "tokens_per_call": "Tokens per call",
    ACCEPTED: "Tokens kept per draft",
    "model_seconds": "Seconds in the model",
    "other_seconds": "Seconds outside it",
    "tokens_per_second": "Tokens per second",
    "edits": "Edits",
    "remasks": "Remasks",
    "confidence": "Mean confidence at commit",
    "entropy": "Entropy of the text (nats)",
    "distinct_1": "Distinct tokens",
    "distinct_2": "Distinct pairs",
    "distinct_3": "Distinct triples",
}


def table(runs: Iterable[Trajectory]) -> pd.DataFrame:
    """One line a run: sampler, model, seed, row, then the numbers, rounded for reading.

    Without a run that checked drafts there is no column of tokens kept.
    """
    names = {"Sampler": "sampler", "Model": "model", "Seed": "seed", "Row": "row"}
    texts, lines = ("Sampler", "Model"), []
    for run in runs:
        numbers = metrics(run)._asdict()
        line = {heading: getattr(run, name) for heading, name in names.items()}
        lines.append(line | {text: _short(numbers[name]) for name, text in HEADINGS.items()})
    frame = pd.DataFrame(
        {
            # object: with pyarrow, pandas' own text columns hold no lone surrogate.
            name: pd.Series([line[name] for line in lines], dtype=object if name in texts else None)
            for name in (*names, *HEADINGS.values())
        }
    )
    drafted = frame[HEADINGS[ACCEPTED]].notna().any()
    return frame if drafted else frame.drop(columns=HEADINGS[ACCEPTED])


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else float("nan")
