"""Trajectories to CSV and JSON files, and back to equal Trajectories."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from lab.record import csv_files, validation
from lab.record.trajectory import ARRAYS, SCHEMA, Trajectory

LARGEST = 64 * 2**20  # bytes that read() takes; four panels of 64 steps and 96 columns are 5 MB


def save(trajectories: Iterable[Trajectory], path: str | Path) -> None:
    """Write any number of runs to a .csv or .json file, replaced whole or not at all.

    CSV holds one line a step and position and leaves out top_ids and top_probabilities. ValueError
    for another suffix, or where settings or card hold NaN or infinity.
    """
    path = Path(path)
    write = {".csv": csv_files.dump, ".json": _dump}[_suffix(path)]
    data = write(list(trajectories))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | Path) -> list[Trajectory]:
    """Read every run of a file that `save` wrote; the columns that follow from others are ignored.

    ValueError, with the rule, the value and the way out, for a file that is none of ours, damaged,
    cut short, of another schema or over 64 MB.
    """
    path = Path(path)
    load = {".csv": csv_files.load, ".json": _load}[_suffix(path)]
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(
            f"{path.name}: a trajectory file may have up to {LARGEST >> 20} MB, this one has "
            f"{size / 2**20:.0f}; save fewer runs in one file"
        )
    try:
        return load(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path.name}: {error}; export the run again, and do not change the file by hand"
        ) from None


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise ValueError(f"a trajectory file must end in .csv or .json, got {path.name!r}")
    return suffix


def _dump(trajectories: list[Trajectory]) -> bytes:
    file = {"schema": SCHEMA, "runs": [_record(run) for run in trajectories]}
    return (json.dumps(file, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii")


def _record(run: Trajectory) -> dict[str, Any]:
    texts = {name: getattr(run, name) for name in (*validation.TEXTS, *validation.WHOLES)}
    names = ("settings", "card", "pieces", "output", "filled")
    others = {name: getattr(run, name) for name in names}
    arrays = {name: _plain(getattr(run, name)) for name in ARRAYS}
    return texts | others | arrays


def _plain(values: ndarray | None) -> list | None:
    """Nested lists that JSON can hold: NaN is null, infinity a text, float32 in its few digits."""
    if values is None:
        return None
    if values.dtype.kind != "f":
        return values.tolist()
    short = csv_files.shortest(values) if values.dtype == np.float32 else values
    plain = short.astype(object)
    plain[np.isnan(values)] = None
    for sign in ("inf", "-inf"):
        plain[values == float(sign)] = sign
    return plain.tolist()


def _load(data: bytes) -> list[Trajectory]:
    try:
        file = json.loads(data.decode("utf-8-sig"), parse_constant=validation.refuse)
    except (UnicodeDecodeError, RecursionError):
        raise ValueError("it must be JSON text in UTF-8, and it is not") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"it must be whole JSON, and that ends at line {error.lineno}, "
            f"column {error.colno} ({error.msg})"
        ) from None
    if not isinstance(file, dict) or "schema" not in file or not isinstance(file.get("runs"), list):
        raise ValueError("it must hold `schema` and `runs`, so it is no trajectory file")
    validation.schema(file["schema"])
    return [validation.trajectory(record) for record in file["runs"]]
