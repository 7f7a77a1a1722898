"""The CSV form of trajectories: one line a step and position, one header object a run."""

import io
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy import ndarray

from lab.record import validation
from lab.record.file_limits import LINE, Total, check_csv
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
_NUMBERS = ("seed", "row")
_WHOLE = ("step", "position", "token_id", "predicted_id", "calls", "block")
_REAL = ("confidence", "entropy", "score", "seconds", "model_seconds")
LINES = 20_000  # parsed at a time
_TEXTS = {"settings", "card", "pieces", "output", "text", "filled", "writable"}
_HEADER = {"schema", "windows", *_TEXTS}
# A name of other characters (a comma, a newline, a spreadsheet's formula) is a JSON string literal.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_./: +-]*)?")


def dump(trajectories: list[Trajectory]) -> bytes:
    """The file as ASCII bytes; no cell holds a raw newline, so a line is a line."""
    parts = [",".join(COLUMNS) + "\n"]
    for run in trajectories:
        if not len(run.writable):
            raise ValueError(
                f"CSV holds a line a token, run {run.run_id} has none; save it as JSON"
            )
        header = _quoted(_header(run))
        if len(header) > LINE // 2:
            raise ValueError(
                f"the header of a run may have up to {LINE // 2:,} bytes in CSV, run {run.run_id} "
                f"has {len(header):,}; save it as JSON"
            )
        columns = [*_columns(run), [header] + [""] * (run.tokens.size - 1)]
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
    """The runs of a file; ValueError for anything that `dump` would not have written.

    Parsed some lines at a time: a line that is wrong stops it before the rest is built.
    """
    runs: list[Trajectory] = []
    total = Total()
    reader: _RunReader | None = None
    for table in _tables(data):
        heads = np.flatnonzero(table["header"] != "").tolist()
        count = len(table["header"])
        for start, stop in pairwise(dict.fromkeys([0, *heads, count])):
            cells = {name: column[start:stop] for name, column in table.items()}
            if cells["header"][0] != "":
                runs += [reader.run()] if reader else []
                reader = _RunReader(cells, total)
            if reader is None:
                raise ValueError(
                    "the first line of a run must hold its header, and line 2 does not"
                )
            reader.add(cells)
    return [*runs, reader.run()] if reader else runs


def _tables(data: bytes) -> Iterator[dict[str, ndarray]]:
    """The columns of some lines at a time, every cell as text."""
    first = data[:4096].split(b"\n")[0].removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")
    if first == _OLD.encode():
        validation.schema(1)
    if first != ",".join(COLUMNS).encode():
        raise ValueError("its first line must be the columns run_id,task,...,header, and is not")
    if not data.endswith(b"\n") or b"\0" in data:
        raise ValueError("it must be text that ends with a whole line, and it does not")
    check_csv(data)
    for table in _parse(data):
        if list(table.columns) != COLUMNS or not isinstance(table.index, pd.RangeIndex):
            raise ValueError(f"every line must have {len(COLUMNS)} cells, and one has more")
        yield {name: table[name].to_numpy(object) for name in COLUMNS}


def _parse(data: bytes) -> Iterator[pd.DataFrame]:
    settings: dict[str, Any] = {"na_filter": False, "encoding": "utf-8-sig", "chunksize": LINES}
    try:
        with pd.read_csv(io.BytesIO(data), dtype=object, **settings) as tables:
            yield from tables
    except (ValueError, pd.errors.ParserError) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"it must be CSV in UTF-8, and it is not ({reason[:80]})") from None


class _RunReader:
    """Gathers the lines of one run, from the cells [n] of its first ones on."""

    def __init__(self, cells: dict[str, ndarray], total: Total):
        header = _parsed("header", cells["header"][0])
        validation.kind("header", header, dict)
        validation.schema(header.get("schema"))
        if header.keys() != _HEADER:
            wrong = sorted(header.keys() ^ _HEADER)[0]
            raise ValueError(
                f"a header has {', '.join(sorted(_HEADER))}; look at {validation.excerpt(wrong)}"
            )
        self.header = header
        self.texts = {name: cells[name][0] for name in (*_NAMES, *_NUMBERS)}
        self.length = len(validation.kind("writable", header["writable"], list))
        self.steps = len(validation.kind("windows", header["windows"], list))
        total.add(self.steps, self.length)
        self.lines = 0
        self.columns: dict[str, list[ndarray]] = {name: [] for name in (*_WHOLE, *_REAL)}

    def add(self, cells: dict[str, ndarray]) -> None:
        """Take more lines; numbers are parsed at once."""
        for name, first in self.texts.items():
            if (cells[name] != first).any():
                raise ValueError(f"{name} must be one value a run, and it changes between headers")
        self.lines += len(cells["step"])
        if self.lines > (self.steps + 1) * self.length:
            raise ValueError(self._wrong_lines("more"))
        for name in _WHOLE:
            self.columns[name].append(_numbers(name, cells[name], np.int64, "whole numbers"))
        for name in _REAL:
            self.columns[name].append(_numbers(name, cells[name], np.float64, "numbers"))

    def run(self) -> Trajectory:
        """The run, once all of its lines were taken."""
        if self.lines != (self.steps + 1) * self.length:
            raise ValueError(self._wrong_lines(str(self.lines)))
        grid = {
            name: np.concatenate(parts).reshape(-1, self.length)
            for name, parts in self.columns.items()
        }
        if (grid["step"] != np.arange(self.steps + 1)[:, None]).any() or (
            grid["position"] != np.arange(self.length)
        ).any():
            raise ValueError("lines must be in the order of step and position, and they are not")
        record = {name: self.header[name] for name in _TEXTS}
        for name in _NAMES:
            text = self.texts[name]
            record[name] = _parsed(name, text) if text[:1] == '"' else text
        for name in _NUMBERS:
            record[name] = _parsed(name, self.texts[name])  # a seed may pass 64 bits
        windows = [validation.kind("a window", window, list) for window in self.header["windows"]]
        if any(len(window) != 2 for window in windows):
            raise ValueError("a window must be a start and a stop, and one is not")
        record["start"], record["stop"] = [w[0] for w in windows], [w[1] for w in windows]
        record["tokens"], record["predicted"] = grid["token_id"], grid["predicted_id"][1:]
        record |= {name: grid[name][1:] for name in ("confidence", "entropy", "score")}
        record |= {name: _by_step(name, grid[name])
                   for name in ("calls", "block", "seconds", "model_seconds")}  # fmt: skip
        return validation.trajectory(record)

    def _wrong_lines(self, got: str) -> str:
        run_id = validation.excerpt(self.texts["run_id"])
        return (
            f"run {run_id} must have {(self.steps + 1) * self.length} lines "
            f"({self.steps + 1} steps of {self.length} positions), got {got}"
        )


def _by_step(name: str, values: ndarray) -> ndarray:
    if (values != values[:, :1]).any():
        raise ValueError(f"{name} must be one value a step, and it changes within one")
    return values[1:, 0]


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=validation.refuse)
    except (ValueError, RecursionError):
        raise ValueError(f"{name} must be whole JSON, got {validation.excerpt(text)}") from None


def _numbers(name: str, cells: ndarray, dtype: type, words: str) -> ndarray:
    try:
        return cells.astype(dtype)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must hold {words}, and a cell does not") from None
