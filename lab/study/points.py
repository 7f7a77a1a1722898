"""Points: one line a setting, with the quality of each of its rows packed beside the intervals.

A file of points holds what a picture, a paired comparison and a check need, in a hundredth of the
room that the rows take: the score of a row is a bit, its likelihood 16 bits, its hash 32, and those
of the first rows alone.
"""

import base64
import binascii
import io
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import ndarray

POINTS_VERSION = 1
HASHED_ROWS = 64  # whose token hashes a point keeps
HASH_BYTES = 4  # of each
KEYS = ["task", "case", "model", "sampler", "preset", "setting", "settings"]
COSTS = {"calls": "Model calls", "columns_fed": "Columns fed", "model_seconds": "Model seconds"}
# What a row scores where the task has a checker, and what else is measured of text.
QUALITIES = {
    "score": "Solved",
    "nats": "Nats a token",
    "entropy": "Entropy of the text (nats)",
    "distinct_2": "Distinct pairs",
}
# Distances of all rows together to a truth that is known, and what perfect rows would show.
DISTANCES = {
    "kl_rate": "KL to the truth (nats a transition)",
    "tv_rate": "Total variation (a transition)",
    "tv": "Total variation to the truth",
}
PACKED = {"scores": "score", "nats_rows": "nats"}
POINT = pa.schema(
    [
        *((name, pa.string()) for name in KEYS),
        ("fingerprint", pa.string()),
        ("versions", pa.string()),
        ("seeds", pa.string()),  # JSON: [0]
        ("instances", pa.int32()),  # of a seed, drawn together
        ("gen_length", pa.int32()),  # 0: the model's own
        ("rows", pa.int32()),  # measured: the first of each seed's instances
        *((name, pa.float64()) for name in (*COSTS, "tokens_per_call")),
        *(
            (f"{name}{end}", pa.float64())
            for name in (*QUALITIES, *DISTANCES)
            for end in ("", "_low", "_high")
        ),
        ("tv_floor", pa.float64()),
        *((name, pa.string()) for name in (*PACKED, "hashes")),
    ]
)
_VERSION_KEY = b"lab.study.points"


def pack(values: ndarray) -> str:
    """One number a row as text: "" where all are NaN, bits where all are 0 or 1, else 16 bits."""
    if np.isnan(values).all():
        return ""
    if np.isin(values, (0, 1)).all():
        return "b" + _text(np.packbits(values.astype(bool)).tobytes())
    return "h" + _text(values.astype("<f2").tobytes())


def unpack(text: str, rows: int) -> ndarray:
    """The numbers [rows] again. ValueError where the text does not hold so many."""
    if text == "":
        return np.full(rows, np.nan)
    data = _bytes(text[1:])
    if text[0] == "b" and len(data) == -(-rows // 8):
        return np.unpackbits(np.frombuffer(data, np.uint8), count=rows).astype(float)
    if text[0] == "h" and len(data) == 2 * rows:
        return np.frombuffer(data, "<f2").astype(float)
    raise ValueError(f"packed values must be of {rows} rows, got {len(data)} bytes of {text[0]!r}")


def pack_hashes(hashes: Sequence[str]) -> str:
    """The token hashes of the first rows, shortened, as text."""
    return _text(b"".join(bytes.fromhex(each)[:HASH_BYTES] for each in hashes[:HASHED_ROWS]))


def unpack_hashes(text: str) -> list[str]:
    """The shortened hashes, 8 hexadecimal digits each."""
    data = _bytes(text)
    return [data[i : i + HASH_BYTES].hex() for i in range(0, len(data), HASH_BYTES)]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"packed values must be base64, got {text[:20]!r}") from None


def write_points(points: pd.DataFrame, path: str | Path) -> None:
    """Write points to a .parquet or .csv file, whole or not at all. OSError where it cannot be."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        if path.suffix == ".csv":
            part.write_text(csv_text(points), encoding="utf-8")
        else:
            pq.write_table(_table(points), part, compression="zstd", compression_level=19)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def csv_text(points: pd.DataFrame) -> str:
    """Points as CSV, the columns of POINT; NaN is empty."""
    return points[POINT.names].to_csv(index=False, lineterminator="\n")


def parquet_bytes(points: pd.DataFrame) -> bytes:
    """Points as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(_table(points), buffer, compression="zstd")
    return buffer.getvalue()


def _table(points: pd.DataFrame) -> Any:
    schema = POINT.with_metadata({_VERSION_KEY: str(POINTS_VERSION)})
    return pa.Table.from_pandas(points[POINT.names], schema=schema, preserve_index=False)


def read_points(path: str | Path) -> pd.DataFrame:
    """The points of a .parquet or .csv file. ValueError, naming it, for any other content."""
    path = Path(path)
    try:
        if path.suffix == ".csv":
            return from_csv(path.read_text(encoding="utf-8"))
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, ValueError) as error:
        raise ValueError(f"{path.name} is no file of points ({str(error)[:120]}); "
                         "`python -m lab study pack` writes one") from None  # fmt: skip
    version = (table.schema.metadata or {}).get(_VERSION_KEY, b"none").decode("ascii", "replace")
    if version != str(POINTS_VERSION) or table.schema.names != POINT.names:
        raise ValueError(
            f"{path.name} must hold points of version {POINTS_VERSION}, got {version[:20]!r}; "
            "`python -m lab study pack` writes them from results"
        )
    return table.to_pandas()


def from_csv(text: str) -> pd.DataFrame:
    """Points from the text of a CSV file. ValueError where a column is missing or no number."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    if list(table.columns) != POINT.names:
        missing = [name for name in POINT.names if name not in table.columns]
        raise ValueError(f"the columns must be those of points; missing: {missing[:3] or 'none'}")
    for field in POINT:
        if pa.types.is_floating(field.type):
            table[field.name] = _numbers(table[field.name], field.name)
        elif pa.types.is_integer(field.type):
            table[field.name] = _whole(_numbers(table[field.name], field.name))
    return table


def _numbers(column: pd.Series, name: str) -> pd.Series:
    try:
        return column.replace("", "nan").astype(np.float64)
    except ValueError:
        raise ValueError(f"{name} must be numbers") from None


def _whole(column: pd.Series) -> pd.Series:
    if not ((column == np.floor(column)) & (column.abs() < 2**31)).all():  # NaN neither
        raise ValueError(f"{column.name} must be whole numbers")
    return column.astype(np.int32)


def seeds_of(text: str) -> list[int]:
    """The seeds of a point."""
    seeds = json.loads(text)
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise ValueError(f"seeds must be a list of whole numbers, got {text[:40]!r}")
    return seeds
