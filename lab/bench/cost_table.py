"""Costs as a table: to read in a terminal, and to keep with the machine's facts (CSV, Parquet)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.bench.costs import Cost
from lab.bench.machine import machine_columns
from lab.models.device import CPU

ASKED = ("vocabulary", "temperature", "rows", "prompt_length", "gen_length", "repeats")
HEADINGS = {
    "calls": "Model calls",
    "milliseconds": "Milliseconds",
    "sampling": "Sampling / calls alone",
    "recording": "Recording / calls alone",
    "peer_name": "Beside it",
    "peer": "That / sampling",
    "over_handwritten": "Over hand-written torch",
    "diffusers_over_ours": "diffusers / ours",
    "without_over_with": "A call without it / with it",
    "mean_difference": "Mean difference, nats",
    "largest_difference": "Largest difference, nats",
}


def lines(costs: Sequence[Cost]) -> pd.DataFrame:
    """One line a cost, every number and every fact a column of its own, spreads as three.

    settings: JSON of what differs from the sampler's defaults.
    """
    return pd.DataFrame([_line(cost) for cost in costs])


def _line(cost: Cost) -> dict[str, Any]:
    plan, free = cost.plan, cost.plan.canvas.writable.sum(-1)
    line: dict[str, Any] = {
        "sampler": plan.sampler.name,
        "model": plan.model.card.name,
        "vocabulary": plan.model.card.vocab_size,
        "settings": json.dumps(plan.sampler.changed(plan.values), sort_keys=True),
        "temperature": float(plan.values.get("temperature", math.nan)),
        "rows": len(free),
        "prompt_length": int(plan.canvas.visible[0].sum() - free[0]),
        "gen_length": int(free[0]),
        "repeats": cost.repeats,
        "calls": cost.calls,
        "columns_fed": cost.columns_fed,
        "peer_name": cost.peer_name,
        "same_tokens": "" if cost.same is None else str(cost.same).lower(),
    }
    for name in ("milliseconds", "sampling", "recording", "peer"):
        line |= getattr(cost, name).columns(name)
    return line | machine_columns(plan.model.device)


def readable(lines: pd.DataFrame) -> pd.DataFrame:
    """Any of the bench's tables in words: values with their quartiles, the machine left out.

    Of a table of runs also what its lines were asked, and peers that none of them has.
    """
    runs = "sampler" in lines
    hidden = {*machine_columns(CPU), *(("settings", *ASKED) if runs else ())}
    table = pd.DataFrame(index=lines.index)
    for name in lines.columns:
        if name.endswith(("_low", "_high")) or name in hidden or lines[name].isin(["", None]).all():
            continue
        triple = f"{name}_low" in lines
        if not (triple and lines[name].isna().all()):
            text = HEADINGS.get(name, name.replace("_", " ").capitalize())
            table[text] = _with_quartiles(lines, name) if triple else lines[name]
    return table


def _with_quartiles(lines: pd.DataFrame, name: str) -> pd.Series:
    parts = [lines[name + suffix] for suffix in ("", "_low", "_high")]
    texts = [
        ""
        if math.isnan(middle)
        else f"{middle:.3g} [{low:.3g}, {high:.3g}]"
        if middle >= 10
        else f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        for middle, low, high in zip(*parts, strict=True)
    ]
    return pd.Series(texts, index=lines.index, dtype=object)


def one_machine(lines: pd.DataFrame) -> str:
    """The machine in a sentence; the first line's, where they differ."""
    first = lines.iloc[0]
    where = "" if first["device"] == "cpu" else f"{first['device']} beside "
    return (
        f"{where}{first['processor']} ({first['cores']} cores, {first['threads']} used, "
        f"{first['vectors']}), {first['system']}, Python {first['python']}, "
        f"torch {first['torch']}, transformers {first['transformers']}"
    )


def write(lines: pd.DataFrame, path: str | Path) -> None:
    """Write all columns to a .csv or .parquet file."""
    if Path(path).suffix == ".parquet":
        lines.to_parquet(path, index=False)
    else:
        lines.to_csv(path, index=False)
