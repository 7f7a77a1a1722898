"""Files that a stranger hands in: refused in under a second and 100 MB, before any is built."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lab.record import csv_files, file_limits, files
from tests.kit.trajectories import make

MEASURE = """
import json, sys, time
from lab.record.files import read
def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forget the peak of what was imported
before, began = memory("VmRSS"), time.process_time()
try:
    read(sys.argv[1])
    message = "was read"
except ValueError as error:
    message = str(error)
print(json.dumps([message, time.process_time() - began, memory("VmHWM") - before]))
"""
HEAD = ",".join(csv_files.COLUMNS).encode() + b"\n"
ARRAY = ["tokens", "predicted", "confidence", "entropy", "score"]


def one_run(steps: int, columns: int, **changes) -> bytes:
    """JSON of one run of zeros, as large as it says."""
    line = [0] * columns
    record = {name: [line] * (steps + (name == "tokens")) for name in ARRAY}
    for name in ("start", "stop", "block", "calls", "seconds", "model_seconds"):
        record[name] = [0] * steps
    record |= {"writable": [True] * columns, **changes}
    return json.dumps({"schema": 2, "runs": [record]}, separators=(",", ":")).encode()


def lies() -> bytes:
    """One small run, and three million columns under another name."""
    return one_run(1, 3)[:-3] + b',"more":[' + b"0," * 15_000_000 + b"0]}]}"


def header(steps: int, columns: int) -> bytes:
    facts = {name: {} for name in ("settings", "card", "pieces")} | {"schema": 2, "output": []}
    facts |= {"text": "", "filled": [], "writable": [True] * columns, "windows": [[0, 0]] * steps}
    return b'"' + json.dumps(facts).replace('"', '""').encode() + b'"\n'


FILES = {
    "one step of three million columns": (".json", lambda: one_run(1, 3_000_000)),
    "200,000 steps of one column": (".json", lambda: one_run(200_000, 1)),
    "five million cells": (".json", lambda: one_run(200, 20_000)[: 60 << 20]),
    "columns under another name": (".json", lies),
    "a million runs": (".json", lambda: b'{"schema":2,"runs":[' + b"{}," * 1_000_000 + b"{}]}"),
    "a million runs of one column": (
        ".json",
        lambda: b'{"schema":2,"runs":[' + b'{"writable":[true],"start":[0]},' * 10**6 + b"{}]}",
    ),
    "lists in lists": (".json", lambda: b"[" * (60 << 20)),
    "empty lists": (".json", lambda: one_run(1, 3)[:-1] + b"," + b"[]," * (20 << 20) + b"0]}"),
    "quotes": (".json", lambda: b'{"schema":2,"runs":[' + b'"",' * (20 << 20) + b"0]}"),
    "backslashes": (".json", lambda: b'{"a":"' + b"\\" * (60 << 20)),
    "a whole number of 60 MB": (".json", lambda: b'{"schema":2,"runs":[' + b"9" * (60 << 20)),
    "a billion steps": (".csv", lambda: HEAD + b"x,,,,0,0,1000000000,0,0,0,0,0,0,,,,,,,,\n" * 10),
    "a header of a billion lines": (
        ".csv",
        lambda: HEAD + b"x,,,,0,0,0,0,0,0,0,0,0,,,,,,,," + header(99_000, 30_000),
    ),
    "a line of 60 MB": (".csv", lambda: HEAD + b"," * (60 << 20) + b"\n"),
    "a cell of 60 MB": (".csv", lambda: HEAD + b'"' + b"a," * (30 << 20) + b'"\n'),
    "quotes in a line": (".csv", lambda: HEAD + b'"' * (60 << 20) + b"\n"),
    "empty cells": (".csv", lambda: HEAD + (b"," * 20 + b"\n") * (2 << 20)),
    "many headers": (
        ".csv",
        lambda: HEAD + (b"x,,,,0,0,0,0,0,0,0,0,0,,,,,,,," + header(0, 0)) * 200_000,
    ),
    "packed": (".json", lambda: gzip.compress(b"0" * (60 << 20))),
    "packed as CSV": (".csv", lambda: gzip.compress(b"0" * (60 << 20))),
    "too many bytes": (".json", lambda: b"0" * (65 << 20)),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_file_is_refused_fast_and_small(tmp_path, name):
    suffix, data = FILES[name]
    path = tmp_path / f"hostile{suffix}"
    path.write_bytes(data())
    out = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, check=True)
    message, seconds, megabytes = json.loads(out.stdout)
    assert message.startswith("hostile.") and len(message) < 320, message
    assert seconds < 1 and megabytes < 100, (message, seconds, megabytes)


@pytest.mark.parametrize(
    ("name", "most", "words"),
    [
        ("COLUMNS", 3, "a run may have up to 3 columns, this one has 4"),
        ("STEPS", 1, "a run may have up to 1 steps, this one has 2"),
        ("RUNS", 1, "a trajectory file may have up to 1 runs, this one has 2"),
        ("CELLS", 23, "up to 23 cells (steps x columns), this one has 24"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_what_is_too_large_to_read_is_not_saved(tmp_path, monkeypatch, suffix, name, most, words):
    runs, path = [make(["a___", "ab_c", "adc$"], prompt=1)] * 2, tmp_path / f"runs{suffix}"
    files.save(runs, path)
    data = path.read_bytes()
    monkeypatch.setattr(file_limits, name, most)
    for refused in (lambda: files.save(runs, path), lambda: files.read(path)):
        with pytest.raises(ValueError) as error:
            refused()
        assert words in str(error.value) and "save fewer runs or shorter ones" in str(error.value)
    assert path.read_bytes() == data
    monkeypatch.setattr(file_limits, name, most + 1 if name != "CELLS" else 24)
    assert files.read(path) == runs


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_file_beyond_limit_of_bytes_is_not_saved(tmp_path, monkeypatch, suffix):
    run, path = make(["a___", "ab_c", "adc$"], prompt=1), tmp_path / f"run{suffix}"
    monkeypatch.setattr(file_limits, "BYTES", 100)
    with pytest.raises(ValueError, match="save fewer runs in one file"):
        files.save(run, path)
    assert not list(tmp_path.iterdir())


def test_header_longer_than_line_may_be_is_saved_as_json_alone(tmp_path):
    run = replace(make(["__", "ab"]), text="x" * (5 << 20))
    with pytest.raises(ValueError, match="save it as JSON"):
        files.save(run, tmp_path / "run.csv")
    files.save(run, tmp_path / "run.json")
    assert files.read(tmp_path / "run.json") == [run]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_texts_full_of_signs_are_no_structure(tmp_path, suffix):
    text = '[{,"\\' * 20_000
    run = make(["__", "ab"], text=text, filled=[text], settings={"prompt": text, "start": [1, 2]})
    files.save(run, tmp_path / f"run{suffix}")
    assert files.read(tmp_path / f"run{suffix}") == [run]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_largest_file_that_may_be_saved_is_read(tmp_path, suffix):
    random = np.random.default_rng(0)
    steps, length = (230, 2000) if suffix == ".csv" else (290, 2000)
    shape = (steps, length)
    run = make(
        ["_" * length] + ["a" * length] * steps,
        confidence=random.random(shape),
        entropy=random.random(shape),
        score=random.random(shape),
        top_ids=random.integers(0, 9, (*shape, 5)),
        top_probabilities=random.random((*shape, 5)),
    )
    files.save(run, tmp_path / f"run{suffix}")
    assert (tmp_path / f"run{suffix}").stat().st_size > 0.8 * file_limits.BYTES
    assert files.read(tmp_path / f"run{suffix}") == [run]
