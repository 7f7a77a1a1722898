"""Costs as a table: to read in a terminal, and to keep with the machine's facts (CSV, Parquet)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.bench.costs import Cost
from lab.bench.machine import machine_columns
from lab.bench.timing import Spread

SPREADS = {"sampling": "Sampling", "recording": "Recording"}


def lines(costs: Sequence[Cost]) -> pd.DataFrame:
    """One line a cost, every number and every fact a column of its own, spreads as three.

    settings: JSON of what differs from the sampler's defaults.
    """
    return pd.DataFrame([_line(cost) for cost in costs])


def _line(cost: Cost) -> dict[str, Any]:
    plan, free = cost.plan, cost.plan.canvas.writable.sum(-1)
    defaults = {param.name: param.default for param in plan.sampler.params}
    changed = {k: v for k, v in plan.values.items() if defaults[k] != v}
    line: dict[str, Any] = {
        "sampler": plan.sampler.name,
        "model": plan.model.card.name,
        "vocabulary": plan.model.card.vocab_size,
        "settings": json.dumps(changed, sort_keys=True),
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
    for name in ("milliseconds", *SPREADS, "peer"):
        line |= _three(name, getattr(cost, name))
    return line | machine_columns(plan.model.device)


def _three(name: str, spread: Spread) -> dict[str, float]:
    return {name: spread.median, f"{name}_low": spread.low, f"{name}_high": spread.high}


def readable(lines: pd.DataFrame) -> pd.DataFrame:
    """The same in words, rounded; ratios with their quartiles."""
    table = pd.DataFrame(
        {
            "Sampler": lines["sampler"],
            "Model": lines["model"],
            "Model calls": lines["calls"],
            "Columns fed": lines["columns_fed"],
            "Milliseconds a call": lines["milliseconds"].round(2),
        }
    )
    for name, text in SPREADS.items():
        table[f"{text} / calls alone"] = _ratios(lines, name)
    for name in filter(None, dict.fromkeys(lines["peer_name"])):
        beside = lines["peer_name"] == name
        table[f"{name} / sampling"] = _ratios(lines, "peer").where(beside, "")
        table[f"Same tokens as {name}"] = lines["same_tokens"].where(beside, "")
    return table


def _ratios(lines: pd.DataFrame, name: str) -> pd.Series:
    parts = [lines[name + suffix] for suffix in ("", "_low", "_high")]
    texts = [
        f"{middle:.3f} [{low:.3f}, {high:.3f}]" for middle, low, high in zip(*parts, strict=True)
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
