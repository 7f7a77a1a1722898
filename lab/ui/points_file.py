"""A visitor's file of points, checked to the last value: a public page trusts none of it."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import samplers
from lab.record.trajectory import canonical
from lab.run import limits
from lab.study.points import (
    COSTS,
    DISTANCES,
    HASH_BYTES,
    HASHED_ROWS,
    KEYS,
    PACKED,
    POINT,
    QUALITIES,
    from_csv,
    seeds_of,
    unpack,
    unpack_hashes,
)
from lab.study.spec import Setting
from lab.ui import picture
from lab.ui.own_points import MOST_POINTS
from lab.ui.picture import MARKED, known_case
from lab.ui.safe_text import visible
from samplers.signature import brief

BYTES = 2_000_000
ROWS = 100_000  # of one point
TEXT = 2_000  # characters of a name or of the settings
SECONDS = 30
MEMORY = 3 << 30  # bytes of address space of the process that reads a Parquet file
# Reads a Parquet file in a process of its own, which may crash or grow as it likes: the footer and
# the pages of such a file say themselves how much memory they want.
READER = """
import contextlib, sys
with contextlib.suppress(ImportError):  # not on Windows
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from lab.study.points import csv_text, read_points
points = read_points(sys.argv[1])
if len(points) > {points} or len(text := csv_text(points)) > {characters}:
    raise ValueError("it unpacks to too much")
sys.stdout.write(text)
"""


def read_file(path: Path) -> pd.DataFrame:
    """The points of a .csv or .parquet file, their settings marked as a file's.

    Those that the atlas has are left out. ValueError with the line, the rule and the value for
    anything that `python -m lab study pack` or this page would not have written.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path.name} must end in .csv or .parquet")
    if (size := path.stat().st_size) > BYTES:
        raise ValueError(f"{path.name} must be at most {BYTES:,} bytes, it has {size:,}")
    try:
        text = path.read_text("utf-8") if path.suffix == ".csv" else _parquet_as_csv(path)
        points = from_csv(text)
    except (ValueError, pd.errors.ParserError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{path.name} holds no points: {message[:300]}") from None
    before, nul, _ = text.partition("\0")
    if nul:  # for some versions of pandas a field ends there
        line = before.count("\n") + 1
        raise ValueError(f"{path.name}, line {line}: the text must not hold NUL")
    if not 0 < len(points) <= MOST_POINTS:
        raise ValueError(f"{path.name} must hold from 1 to {MOST_POINTS} points, got {len(points)}")
    for number, line in enumerate(points.to_dict("records"), 2):
        try:
            _check(line)
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from None
    own = points.assign(
        setting=[_label(line) for line in points.to_dict("records")],
        settings=[canonical(json.loads(text)) for text in points["settings"]],
    )[POINT.names]
    identity = [*KEYS, "hashes"]
    shipped = set(picture.atlas()[identity].itertuples(index=False, name=None))
    new = [each not in shipped for each in points[identity].itertuples(index=False, name=None)]
    return own[np.array(new, bool)].reset_index(drop=True)


def _parquet_as_csv(path: Path) -> str:
    code = READER.format(memory=MEMORY, points=MOST_POINTS, characters=10 * BYTES)
    command, root = [sys.executable, "-c", code, str(path.resolve())], Path(__file__).parents[2]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"reading it took more than {SECONDS} s") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        known = last and last[0].startswith("ValueError: ")
        raise ValueError(last[0].removeprefix("ValueError: ") if known else
                         "it is no Parquet file that can be read")  # fmt: skip
    return done.stdout.decode("utf-8", "replace")


def _label(line: dict[str, Any]) -> str:
    """What differs from the defaults, as our own words: a file's are not shown."""
    sampler, values = samplers.get(line["sampler"]), json.loads(line["settings"])
    preset = line["preset"] or None
    changed = sampler.changed(sampler.bind(values), preset)
    return Setting(sampler.name, preset, changed).label + MARKED[1]


def _check(line: dict[str, Any]) -> None:
    for name in (*KEYS, "fingerprint", "versions", "seeds"):
        limits.text(name, line[name], TEXT)
    if known_case(line) is None:
        raise ValueError(f"no case {brief(line['case'])} of a task {brief(line['task'])}")
    sampler = samplers.get(line["sampler"])
    if line["preset"] and line["preset"] not in sampler.presets:
        raise ValueError(f"{sampler.name} has no preset {brief(line['preset'])}")
    try:
        values = json.loads(line["settings"])
    except (ValueError, RecursionError):
        raise ValueError(f"settings must be JSON, got {brief(line['settings'])}") from None
    if not isinstance(values, dict):
        raise ValueError(f"settings must be an object, got {brief(line['settings'])}")
    sampler.bind(values)
    if visible(line["model"]) != line["model"]:
        raise ValueError(f"model must be plain text, got {brief(line['model'])}")
    rows = limits.whole("rows", line["rows"], 1, ROWS)
    limits.whole("instances", line["instances"], 1, ROWS)
    limits.whole("gen_length", line["gen_length"], 0, limits.GEN_LENGTH)
    if not 0 < len(seeds_of(line["seeds"])) <= 1000:
        raise ValueError("seeds must be from 1 to 1000 whole numbers")
    _check_numbers(line)
    _check_packed(line, rows)


def _check_numbers(line: dict[str, Any]) -> None:
    for name in (*COSTS, "tokens_per_call"):
        if not 0 <= line[name] < 1e12:
            raise ValueError(f"{name} must be from 0 to 1e12, got {line[name]}")
    for name in (*QUALITIES, *DISTANCES):
        value, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
        if math.isnan(value):
            continue
        most = 1.0 if name in ("score", "distinct_2", "tv", "tv_rate") else 1e6
        ends = [0.0, value, most] if math.isnan(low) else [0.0, low, value, high, most]
        if not all(a <= b + 1e-9 for a, b in pairwise(ends)):
            raise ValueError(
                f"{name} must be from 0 to {most:g}, within its interval, got {value} in "
                f"[{low}, {high}]"
            )


def _check_packed(line: dict[str, Any], rows: int) -> None:
    for name, source in PACKED.items():
        values = unpack(line[name], rows)
        known = values[~np.isnan(values)]
        if len(known) and not abs(known.mean() - line[source]) < 0.01 * max(1, abs(line[source])):
            raise ValueError(f"{source} must be the mean of what {name} packs, {known.mean():.4g}")
    if len(unpack_hashes(line["hashes"])) > HASHED_ROWS * HASH_BYTES:
        raise ValueError(f"hashes must be of the first {HASHED_ROWS} rows")
