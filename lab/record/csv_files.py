"""The CSV form of trajectories: one line a step and position, one header object a run."""

import io
import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy import ndarray

from lab.record import validation
from lab.record.history import STATES
from lab.record.trajectory import SCHEMA, Trajectory

COLUMNS = [
    *("run_id", "task", "model", "sampler", "seed", "row"),
    *("step", "calls", "seconds", "model_seconds", "block"),
    *("position", "token_id", "token", "state", "confidence", "entropy", "committed_step"),
    *("predicted_id", "score", "header"),
]
_OLD = ",".join({"task": "suite", "predicted_id": "guess_id"}.get(name, name) for name in COLUMNS)
_NAMES = ("run_id", "task", "model", "sampler")
_TEXTS = {"settings", "card", "pieces", "output", "text", "filled", "writable"}
_HEADER = {"schema", "windows", *_TEXTS}
# A name of other characters (a comma, a newline, a spreadsheet's formula) is a JSON string literal.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_./: +-]*)?")


def dump(trajectories: list[Trajectory]) -> bytes:
    """The file as ASCII bytes; no cell holds a raw newline, so a line is a line."""
    parts = [",".join(COLUMNS) + "\n"]
    for run in trajectories:
        if not len(run.writable):
            raise ValueError(f"CSV wants at least one column of tokens, run {run.run_id} has none")
        columns = [*_columns(run), [_quoted(_header(run))] + [""] * (run.tokens.size - 1)]
        parts += (",".join(line) + "\n" for line in zip(*columns, strict=True))
    return "".join(parts).encode("ascii")


def _columns(run: Trajectory) -> list[list[str]]:
    frame = run.to_frame()
    cells = {}
    for name, column in frame.items():
        if name in _NAMES:
            cells[name] = [_name(getattr(run, name))] * len(frame)
        elif column.dtype == np.float32:
            cells[name] = list(map(repr, shortest(column.to_numpy()).tolist()))
        elif column.dtype == np.float64:
            cells[name] = list(map(repr, column.tolist()))
        elif name != "state":
            cells[name] = list(map(str, column.tolist()))
    cells["token"] = list(map(_quoted, cells["token"]))
    cells["state"] = [STATES[code] for code in run.state.ravel().tolist()]
    written = run.committed_step.ravel().tolist()
    cells["committed_step"] = [str(step) if step >= 0 else "" for step in written]
    return [cells[name] for name in COLUMNS[:-1]]


def shortest(values: ndarray) -> ndarray:
    """Turn float32 into the float64 whose repr has float32's own digits; NaN and infinity stay.

    The same as `values.astype(str).astype(float)`, which takes ten times as long.
    """
    exact = values.astype(np.float64)
    usual = (np.abs(exact) > 1e-12) & (np.abs(exact) < 1e6)  # powers of ten are exact there
    usual |= (exact == 0) | ~np.isfinite(exact)
    short = exact.copy()
    short[~usual] = values[~usual].astype(str).astype(np.float64)
    size = np.abs(exact, where=usual & (exact != 0) & np.isfinite(exact), out=np.ones_like(exact))
    decade = np.floor(np.log10(size))
    for digits in (9, 8, 7, 6):  # 9 always suffice; fewer where they name the same float32
        scale = 10.0 ** (digits - 1 - decade)
        rounded = np.rint(exact * scale) / scale
        fits = usual & (rounded.astype(np.float32) == values)
        short = np.where(fits, rounded, short)
    return short


def _header(run: Trajectory) -> str:
    header = {
        "schema": SCHEMA,
        "settings": run.settings,
        "card": run.card,
        "pieces": run.pieces,
        "output": run.output,
        "text": run.text,
        "filled": run.filled,
        "writable": run.writable.tolist(),
        "windows": np.stack([run.start, run.stop], 1).tolist(),
    }
    return json.dumps(header, allow_nan=False, separators=(",", ":"))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _name(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _quoted(json.dumps(text))


def load(data: bytes) -> list[Trajectory]:
    """The runs of a file; ValueError for anything that `dump` would not have written."""
    table = _table(data)
    heads = np.flatnonzero(table["header"] != "").tolist()
    if len(table["header"]) and heads[:1] != [0]:
        raise ValueError("the first line of a run must hold its header, and line 2 does not")
    edges = pairwise([*heads, len(table["header"])])
    return [_run({name: cells[a:b] for name, cells in table.items()}) for a, b in edges]


def _table(data: bytes) -> dict[str, ndarray]:
    first = data[:4096].split(b"\n")[0].removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")
    if first == _OLD.encode():
        validation.schema(1)
    if first != ",".join(COLUMNS).encode():
        raise ValueError("its first line must be the columns run_id,task,...,header, and is not")
    if not data.endswith(b"\n") or b"\0" in data:
        raise ValueError("it must be text that ends with a whole line, and it does not")
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=object, na_filter=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"it must be CSV in UTF-8, and it is not ({reason[:80]})") from None
    if list(table.columns) != COLUMNS or not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"every line must have {len(COLUMNS)} cells, and one has more")
    return {name: table[name].to_numpy(object) for name in COLUMNS}


def _run(cells: dict[str, ndarray]) -> Trajectory:
    header = _parsed("header", cells["header"][0])
    validation.kind("header", header, dict)
    validation.schema(header.get("schema"))
    if header.keys() != _HEADER:
        wrong = sorted(header.keys() ^ _HEADER)[0]
        raise ValueError(
            f"a header has {', '.join(sorted(_HEADER))}; look at {validation.shown(wrong)}"
        )
    record = {name: header[name] for name in _TEXTS}
    for name in _NAMES:
        record[name] = _parsed(name, text) if (text := _one(name, cells))[:1] == '"' else text
    for name in ("seed", "row"):
        record[name] = _parsed(name, _one(name, cells))  # a seed may pass 64 bits

    length = len(validation.kind("writable", header["writable"], list))
    steps = len(validation.kind("windows", header["windows"], list))
    if len(cells["step"]) != (steps + 1) * length:
        raise ValueError(
            f"run {validation.shown(record['run_id'])} must have {(steps + 1) * length} lines "
            f"({steps + 1} steps of {length} positions), got {len(cells['step'])}"
        )
    grid = {name: _whole(name, cells[name]).reshape(-1, length) for name in ("step", "position")}
    if (grid["step"] != np.arange(steps + 1)[:, None]).any() or (
        grid["position"] != np.arange(length)
    ).any():
        raise ValueError("lines must be in the order of step and position, and they are not")

    windows = [validation.kind("a window", window, list) for window in header["windows"]]
    if any(len(window) != 2 for window in windows):
        raise ValueError("a window must be a start and a stop, and one is not")
    record["start"], record["stop"] = [w[0] for w in windows], [w[1] for w in windows]
    record["tokens"] = _whole("token_id", cells["token_id"]).reshape(-1, length)
    record["predicted"] = _whole("predicted_id", cells["predicted_id"]).reshape(-1, length)[1:]
    for name in ("confidence", "entropy", "score"):
        record[name] = _real(name, cells[name]).reshape(-1, length)[1:]
    for name, parse in {"calls": _whole, "block": _whole}.items():
        record[name] = _by_step(name, parse(name, cells[name]), length)
    for name in ("seconds", "model_seconds"):
        record[name] = _by_step(name, _real(name, cells[name]), length)
    return validation.trajectory(record)


def _one(name: str, cells: dict[str, ndarray]) -> str:
    if (cells[name] != cells[name][0]).any():
        raise ValueError(f"{name} must be one value a run, and it changes between headers")
    return cells[name][0]


def _by_step(name: str, values: ndarray, length: int) -> ndarray:
    values = values.reshape(-1, length)
    if (values != values[:, :1]).any():
        raise ValueError(f"{name} must be one value a step, and it changes within one")
    return values[1:, 0]


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=validation.refuse)
    except (ValueError, RecursionError):
        raise ValueError(f"{name} must be whole JSON, got {validation.shown(text)}") from None


def _whole(name: str, cells: ndarray) -> ndarray:
    return _numbers(name, cells, np.int64, "whole numbers")


def _real(name: str, cells: ndarray) -> ndarray:
    return _numbers(name, cells, np.float64, "numbers")


def _numbers(name: str, cells: ndarray, dtype: type, words: str) -> ndarray:
    try:
        return cells.astype(dtype)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must hold {words}, and a cell does not") from None
