"""A broken file is refused in one sentence that names the file, the rule and the value."""

import csv
import io
import json

import pytest

from lab.record import csv_files, file_limits, files
from tests.kit.trajectories import make
from tests.record.test_files import several


def broken(tmp_path, suffix: str, data: bytes) -> str:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        files.read(path)
    message = str(caught.value)
    assert message.startswith(path.name) and str(tmp_path) not in message and len(message) < 320
    assert message.endswith(("do not change the file by hand", "save fewer runs in one file"))
    return message


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "whole JSON"),
        (b"\x80\x04\x95\x10", "UTF-8"),
        (b"[" * 1_900, "JSON text"),
        (b"[" * 100_000, "can have up to 2,000 lists, and it has 100,000 or more"),
        (b'{"schema": 2, "runs": [' + b"{}," * 600 + b"{}]}", "up to 500 objects"),
        (b'{"schema": 2, "runs": [' + b'"a",' * 2_000 + b"0]}", "up to 2,000 values"),
        (b"[]", "no trajectory file"),
        (b'{"schema": 1}', "no trajectory file"),
        (b'{"schema": 1, "runs": []}', "schema must be 2, got 1 (an older version wrote it)"),
        (b'{"schema": true, "runs": []}', "schema must be 2, got True"),
        (b'{"schema": 2, "runs": [3]}', "a run must be an object, got 3"),
        (b'{"schema": 2, "runs": [{"a": NaN}]}', "finite or null, got NaN"),
        (b'{"schema": 2, "runs": [{"__import__": 1}]}', "no field '__import__'"),
        (b'{"schema": 2, "runs": [{}]}', "must have the field 'block'"),
        (b'{"schema": 2, "runs": [{"row": ' + b"9" * 5000 + b"}]}", "Exceeds the limit"),
    ],
)
def test_json_of_another_kind_is_refused(tmp_path, data, message):
    assert message in broken(tmp_path, ".json", data)


def drawn(steps: list[int], positions: list[int], p: float = 0.2) -> dict:
    """The fields of some draws."""
    lines = [[p] * 5 for _ in steps]
    return {"draw_step": steps, "draw_position": positions, "draw_probabilities": lines}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tokens": [[0, 9]]}, "tokens must have the shape [3, 4], got [1, 2]"),
        ({"tokens": [[0, 9], [0]]}, "tokens must be whole numbers in equal rows"),
        ({"tokens": [[0.5, 9, 9, 9]] * 3}, "tokens must be whole numbers, got [[0.5"),
        ({"tokens": [[0, 9, 9, 10]] * 3}, "tokens must be from 0 to 9, got 10"),
        ({"tokens": [[0, 9, 9, -1]] * 3}, "tokens must be from 0 to 9, got -1"),
        ({"tokens": [[0, 9, 9, 2**31]] * 3}, "tokens must fit in 32 bits, got 2147483648"),
        ({"tokens": [[0, 9, 9, 2**70]] * 3}, "tokens must be whole numbers"),
        ({"tokens": [[0, 9, 9, 9], [1, 9, 9, 9], [0, 9, 9, 9]]}, "not writable must stay"),
        ({"tokens": None}, "tokens must be a list of numbers, got null"),
        ({"predicted": [[-2, 0, 0, 0]] * 2}, "predicted must be from -1 to 9, got -2"),
        ({"confidence": [[0.5, 0.5, 0.5, 1.5]] * 2}, "confidence must be from 0 to 1, got 1.5"),
        ({"confidence": [["x", 0, 0, 0]] * 2}, "confidence must be numbers in equal rows"),
        ({"entropy": [[-1.0, 0, 0, 0]] * 2}, "entropy must be from 0 up, got -1.0"),
        ({"stop": [4, 5]}, "stop must be from 0 to 4, got 5"),
        ({"start": [-1, 0]}, "start must be from 0 to 4, got -1"),
        ({"calls": [2, 1]}, "calls must start at 0 or more and never fall"),
        ({"seconds": [-0.1, 1]}, "seconds must start at 0 or more"),
        ({"seconds": [0.1, "inf"]}, "seconds must be a finite number, got inf"),
        ({"writable": [0, 1, 1, 1]}, "writable must be true or false"),
        ({"writable": "abcd"}, "writable must be a list, got 'abcd'"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"model": 3}, "model must be text, got 3"),
        ({"output": ["a"]}, "output must be a whole number, got 'a'"),
        ({"pieces": {"a": "b"}}, "pieces must be named by token ids, got 'a'"),
        ({"pieces": {"1": 2}}, "a piece must be text, got 2"),
        ({"card": {"mask_id": "x"}}, "card.mask_id must be a whole number, got 'x'"),
        ({"card": {"eos_ids": 8}}, "card.eos_ids must be a list, got 8"),
        ({"card": {"eos_ids": [[8]]}}, "card.eos_ids must be a whole number, got [8]"),
        ({"settings": []}, "settings must be an object, got []"),
        ({"top_ids": [[[0] * 5] * 4] * 2}, "top_ids and top_probabilities go together"),
        ({"draw_step": [1]}, "draw_step, draw_position, draw_probabilities go together"),
        (drawn([1], [4]), "draw_position must be from 0 to 3, got 4"),
        (drawn([3], [1]), "draw_step must be from 1 to 2, got 3"),
        (drawn([2, 1], [1, 1]), "draws must ascend by step and position"),
        (drawn([1, 1], [2, 2]), "draws must ascend by step and position"),
        (drawn([1], [1, 2]), "draw_position must have the shape [1], got [2]"),
        (drawn([1], [1], 1.5), "draw_probabilities must be from 0 to 1, got 1.5"),
        ({"text": "a" * 99, "row": "b" * 99}, "row must be a whole number, got 'bbb"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_json_with_wrong_value_is_refused(tmp_path, change, message):
    files.save([make(["a___", "ab_c", "adc$"], prompt=1)], tmp_path / "run.json")
    file = json.loads((tmp_path / "run.json").read_bytes())
    file["runs"][0] |= change
    assert message in broken(tmp_path, ".json", json.dumps(file).encode())


def test_json_cut_short_anywhere_is_refused(tmp_path):
    files.save(several(), tmp_path / "run.json")
    data = (tmp_path / "run.json").read_bytes()
    for cut in range(0, len(data) - 1, 97):
        assert "whole JSON" in broken(tmp_path, ".json", data[:cut])


def test_csv_cut_short_anywhere_is_refused(tmp_path):
    files.save(several()[:1], tmp_path / "run.csv")
    data = (tmp_path / "run.csv").read_bytes()
    first = data.index(b"\n") + 1
    for cut in [*range(0, len(data), 41), *range(len(data) - 9, len(data))]:
        if cut != first:
            broken(tmp_path, ".csv", data[:cut])
    assert "must have 12 lines (3 steps of 4 positions), got 11" in broken(
        tmp_path, ".csv", data[: data.rindex(b"\n", 0, -1) + 1]
    )


def edit(line: int, column: str, value: str):
    """Change one cell, line 0 being the first after the columns."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        rows[line + 1][csv_files.COLUMNS.index(column)] = value
        return rows

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: rows[1:], "first line must be the columns"),
        (lambda rows: [rows[0], *rows[2:]], "must hold its header"),
        (
            lambda rows: [*rows[:3], rows[4], rows[3], *rows[5:]],
            "in the order of step and position",
        ),
        (lambda rows: [*rows[:-1], [*rows[-1], "x"]], "must be CSV in UTF-8"),
        (lambda rows: [rows[0], *[[*row, "x"] for row in rows[1:]]], "must have 21 cells"),
        (lambda rows: [*rows[:-1], rows[-1][:-6]], "predicted_id must hold whole numbers"),
        (edit(0, "header", "{"), "header must be whole JSON, got '{'"),
        (edit(0, "header", '{"schema": 2}'), "look at 'card'"),
        (edit(0, "header", "[" * 50_000), "header must be whole JSON, got '[[["),
        (edit(0, "header", '{"schema": 7}'), "schema must be 2, got 7"),
        (edit(0, "header", '{"schema": NaN}'), "header must be whole JSON"),
        (edit(1, "header", "{}"), "must have 12 lines"),
        (edit(3, "seed", "4"), "seed must be one value a run"),
        (edit(3, "run_id", "x"), "run_id must be one value a run"),
        (edit(3, "token_id", "x"), "token_id must hold whole numbers"),
        (edit(3, "token_id", "9" * 30), "token_id must hold whole numbers"),
        (edit(3, "token_id", "77"), "tokens must be from 0 to 9, got 77"),
        (edit(5, "step", "2"), "in the order of step and position"),
        (edit(5, "confidence", ""), "confidence must hold numbers"),
        (edit(5, "confidence", "7"), "confidence must be from 0 to 1, got 7"),
        (edit(5, "calls", "9"), "calls must be one value a step"),
        (edit(5, "seconds", "nan"), "seconds must be one value a step"),
        (edit(0, "model", '"x'), "model must be one value"),
        (
            lambda rows: [[c if c != "mdlm" else '"x' for c in row] for row in rows],
            "sampler must be whole JSON",
        ),
        (edit(0, "model", "\0"), "text that ends with a whole line"),
    ],
)
def test_csv_with_wrong_cell_is_refused(tmp_path, change, message):
    files.save(several()[:1], tmp_path / "run.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "run.csv").read_text()), strict=True))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(change(rows))
    assert message in broken(tmp_path, ".csv", text.getvalue().encode())


def test_csv_of_first_schema_is_refused_by_its_version(tmp_path):
    files.save(several()[:1], tmp_path / "run.csv")
    new = (tmp_path / "run.csv").read_bytes()
    old = new.replace(b",task,", b",suite,", 1).replace(b",predicted_id,", b",guess_id,", 1)
    assert "its schema must be 2, got 1 (an older version" in broken(tmp_path, ".csv", old)


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\x80\x04\x95", b'{"schema": 1}'], ids=ascii)
def test_csv_of_another_kind_is_refused(tmp_path, data):
    assert "first line must be the columns" in broken(tmp_path, ".csv", data)
    head = ",".join(csv_files.COLUMNS).encode()
    assert "UTF-8" in broken(tmp_path, ".csv", head + b"\n\xff\n")


def test_file_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(file_limits, "BYTES", 3 << 20)
    message = broken(tmp_path, ".csv", b"a" * (5 << 20))
    assert "up to 3 MB, this one has 5" in message
