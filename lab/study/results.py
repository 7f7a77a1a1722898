"""Results of a study: one Parquet file a cell, one line a generated row, never half a file."""

import json
import os
import secrets
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = 1
ROW = pa.schema(
    [
        ("study", pa.string()),
        ("task", pa.string()),
        ("case", pa.string()),
        ("instance", pa.int32()),
        ("model", pa.string()),
        ("fingerprint", pa.string()),
        ("sampler", pa.string()),
        ("preset", pa.string()),
        ("settings", pa.string()),  # JSON of every bound parameter
        ("setting", pa.string()),  # what differs from the sampler's defaults, to read
        ("seed", pa.int64()),
        ("row", pa.int64()),
        ("score", pa.float32()),  # NaN where the task has no checker
        ("message", pa.string()),
        ("calls", pa.int32()),
        ("columns_fed", pa.int64()),
        ("tokens", pa.int32()),
        ("model_seconds", pa.float64()),
        ("seconds", pa.float64()),
        ("nats", pa.float32()),  # a token under the task's judge or truth; NaN without one
        ("entropy", pa.float32()),
        ("distinct_2", pa.float32()),
        ("text", pa.string()),
        ("token_hash", pa.string()),
        ("versions", pa.string()),
    ]
)
_VERSION_KEY, _CELL_KEY = b"lab.study.schema", b"lab.study.cell"
# What all rows of a cell share beside their columns; it stands in the file's metadata.
#   instances: how many of a case were drawn together; gen_length: as asked for, 0: the model's own.
OF_CELL = ("instances", "gen_length")
SUFFIX = ".parquet"


def write_cell(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write the rows of one cell (ROW and OF_CELL) to folder/name.parquet, whole or not at all.

    Two writers of one cell never meet: each writes a file of its own and renames it. OSError where
    the disk is full or read-only; no part of a file is left behind.
    """
    columns = {field.name: [row[field.name] for row in rows] for field in ROW}
    shared = json.dumps({name: rows[0][name] for name in OF_CELL})
    metadata = {_VERSION_KEY: str(SCHEMA_VERSION), _CELL_KEY: shared}
    table = pa.table(columns, schema=ROW.with_metadata(metadata))
    path = folder / f"{name}{SUFFIX}"
    part = folder / f".{name}.{secrets.token_hex(4)}.part"
    try:
        pq.write_table(table, part, compression="zstd")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def finished_cells(folder: Path) -> set[str]:
    """Names of the cells whose file is there."""
    return {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}


def read_cell(path: Path) -> pd.DataFrame:
    """The rows of one file: the columns of ROW, then those of OF_CELL.

    ValueError, naming it, for a broken file or one of another schema.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise ValueError(
            f"{path.name} is not a whole Parquet file ({str(error)[:80]}); delete it and run the "
            "study again, which computes its missing cells alone"
        ) from None
    version = (table.schema.metadata or {}).get(_VERSION_KEY, b"none").decode("ascii", "replace")
    if version != str(SCHEMA_VERSION) or table.schema.names != ROW.names:
        raise ValueError(
            f"{path.name} must hold results of schema {SCHEMA_VERSION}, got {version[:20]!r}; it "
            "was written by another version: read it with that one, or run the study again"
        )
    shared = json.loads((table.schema.metadata or {}).get(_CELL_KEY, b"{}"))
    whole = {"instances": table.num_rows, "gen_length": 0} | shared
    return table.to_pandas().assign(**{name: int(whole[name]) for name in OF_CELL})


def read_results(folder: Path | str, cells: Collection[str] | None = None) -> pd.DataFrame:
    """All rows of a results folder, in the order of task, case, sampler and row.

    cells: read those alone, by their names. ValueError for a folder without results, a broken file,
    or files that disagree on a model's weights (fingerprint).
    """
    folder = Path(folder)
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if cells is not None:
        paths = [path for path in paths if path.name.removesuffix(SUFFIX) in cells]
    if not paths:
        raise ValueError(
            f"{folder} holds no results (*{SUFFIX}); `python -m lab study run SPEC --out {folder}` "
            "writes them"
        )
    rows = pd.concat([read_cell(path) for path in paths], ignore_index=True)
    per_model = rows.groupby("model")["fingerprint"].nunique()
    if (per_model > 1).any():
        name = per_model.index[per_model > 1][0]
        raise ValueError(
            f"{folder} holds results of {name} under different weights (fingerprints "
            f"{', '.join(sorted(rows.loc[rows.model == name, 'fingerprint'].unique()))}); keep the "
            "results of one of them"
        )
    order = ["task", "case", "sampler", "setting", "seed", "instance", "row"]
    return rows.sort_values(order, kind="stable", ignore_index=True)
