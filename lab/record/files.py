"""Trajectories to CSV and JSON files, and back to equal Trajectories."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from lab.record import csv_files, file_limits, validation
from lab.record.draw_cells import DRAW_ARRAYS
from lab.record.trajectory import ARRAYS, SCHEMA, Trajectory


def save(trajectories: Iterable[Trajectory] | Trajectory, path: str | Path) -> None:
    """Write any number of runs to a .csv or .json file, replaced whole or not at all.

    CSV holds one line a step and position and leaves out top_ids, top_probabilities and draws.
    ValueError for another suffix or a folder that is not there, where settings or card hold NaN or
    infinity, and where the file would be larger than `read` takes (lab.record.file_limits): nothing
    is saved that cannot be read again.
    """
    path = Path(path)
    suffix = check_target(path)
    runs = [trajectories] if isinstance(trajectories, Trajectory) else list(trajectories)
    total = file_limits.Total()
    for run in runs:
        if not isinstance(run, Trajectory):
            raise ValueError(f"save takes Trajectories, got {type(run).__name__}")
        total.add(len(run.predicted), len(run.writable))
    data = csv_files.dump(runs) if suffix == ".csv" else _dump(runs)
    file_limits.size(len(data))
    _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; on Linux a writer that is killed leaves nothing else."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # A file without a name is gone with its process; it gets one once it is whole.
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except (AttributeError, OSError):  # another system, or a file system that has no such files
        descriptor = -1
    try:
        with part.open("xb") if descriptor < 0 else os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if descriptor >= 0:
                # Links are followed only where a folder is given, which a whole path needs not.
                os.link(f"/proc/self/fd/{descriptor}", part, src_dir_fd=descriptor)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | Path) -> list[Trajectory]:
    """Read every run of a file that `save` wrote; the columns that follow from others are ignored.

    ValueError, with the rule, the value and the way out, for a file that is none of ours, damaged,
    cut short, of another schema or too large (lab.record.file_limits). FileNotFoundError where
    there is none.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        if path.exists():
            raise ValueError(f"{path.name} must be a file, and it is not; name one that save wrote")
        raise FileNotFoundError(f"no file {str(path)!r}; name one that lab.save wrote")
    try:
        file_limits.size(path.stat().st_size)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    try:
        data = path.read_bytes()
        return csv_files.load(data) if suffix == ".csv" else _load(data)
    except ValueError as error:
        raise ValueError(
            f"{path.name}: {error}; export the run again, and do not change the file by hand"
        ) from None


def check_target(path: str | Path, suffix: str | None = None) -> str:
    """The suffix of a file that can be written there. ValueError before any work where it cannot.

    suffix: the one it must have; None: .csv or .json.
    """
    path = Path(path)
    if suffix is not None and path.suffix.lower() != suffix:
        raise ValueError(f"the file must end in {suffix}, got {path.name!r}")
    own = suffix or _suffix(path)
    if not path.parent.is_dir():
        raise ValueError(f"the folder of {str(path)!r} must exist; make it, or name another file")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"{str(path)!r} cannot be written; name another file")
    return own


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
    # Left out where there are none, so that versions without them read the file.
    draws = zip(DRAW_ARRAYS, map(_plain, run.draws), strict=True) if run.draws else ()
    return texts | others | arrays | dict(draws)


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
    file_limits.check_json(data)
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
