"""CSV and JSON: what is saved is read back equal, and a broken file is refused in one sentence."""

import csv
import io
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.record import csv_files, file_limits, files
from lab.record.trajectory import Trajectory
from tests.kit.trajectories import make

BOTH = pytest.mark.parametrize("suffix", [".csv", ".json"])
HOSTILE = [
    *('"', ",", "\n", "\r", "\r\n", "\0", "\ud800", "\udfff\ud800", "\u202e", "\u2028", "\ufeff"),
    *("=1+1", "-1", "+1", "@a", "\t", "NA", "nan", "None", "", " ", "'", "\\", "\\u00", "${1+1}"),
    *("</script>", "<img src=x onerror=alert(1)>", "\U0001f9ea", "e\u0301", "\x7f", "\x85"),
]


def several() -> list[Trajectory]:
    first = make(["a___", "ab_c", "adc$"], prompt=1)
    extra = {
        "top_ids": np.arange(40).reshape(2, 4, 5) % 9,
        "top_probabilities": np.full((2, 4, 5), 0.1),
    }
    return [
        replace(first, **extra),
        make(["ab__"], prompt=2, run_id="of no steps"),
        make(["abc", "ebc"], ["-b-"], corruption="uniform", mask_id=None, row=1, seed=2**40),
    ]


@BOTH
def test_what_is_saved_is_read_back(tmp_path, suffix):
    runs = several()
    files.save(runs, tmp_path / f"runs{suffix}")
    back = files.read(tmp_path / f"runs{suffix}")
    assert back == runs and [run.run_id for run in back] == [run.run_id for run in runs]
    assert [run.pieces for run in back] == [run.pieces for run in runs]
    kept = [run.top_ids is not None for run in back]
    assert kept == [suffix == ".json", False, False]
    if suffix == ".json":
        assert np.array_equal(back[0].top_ids, runs[0].top_ids)
        assert np.array_equal(back[0].top_probabilities, runs[0].top_probabilities)


@BOTH
def test_one_run_saves_and_loads_itself(tmp_path, suffix):
    run, path = several()[0], str(tmp_path / f"run{suffix}")
    run.save(path)
    assert Trajectory.load(path) == run
    files.save([run, run], path)
    with pytest.raises(ValueError, match=r"one run, run\.\w+ holds 2; lab\.read"):
        Trajectory.load(path)
    files.save([], path)
    assert files.read(path) == []


@BOTH
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_texts_survive_everywhere(tmp_path, suffix, text):
    run = make(
        ["__", "ab"],
        pieces={0: text, 1: text + "a", 9: text},
        **dict.fromkeys(("text", "run_id", "task", "model", "sampler"), text),
        settings={"prompt": text, text: [text, None, True]},
    )
    files.save([run, run], tmp_path / f"run{suffix}")
    back = files.read(tmp_path / f"run{suffix}")
    assert back == [run, run] and back[0].run_id == text


floats = st.floats(width=32, allow_nan=True, allow_infinity=True)
shares = st.floats(0, 1, width=32) | st.just(float("nan"))
texts = st.text(st.characters(), max_size=4) | st.sampled_from(HOSTILE)


@st.composite
def trajectories(draw) -> Trajectory:
    steps, length = draw(st.integers(0, 3)), draw(st.integers(1, 4))

    def grid(values, *shape):
        count = int(np.prod(shape))
        return np.array(draw(st.lists(values, min_size=count, max_size=count))).reshape(shape)

    token = st.integers(0, 4)
    writable = grid(st.booleans(), length).astype(bool)
    tokens = grid(token, steps + 1, length)
    top = draw(st.booleans())
    clock = st.floats(0, 1e9)
    plain = st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | texts
    return Trajectory(
        tokens=np.where(writable, tokens, tokens[0]),
        predicted=grid(st.integers(-1, 4), steps, length),
        confidence=grid(shares, steps, length),
        entropy=np.abs(grid(floats, steps, length)),
        score=grid(floats, steps, length),
        start=grid(st.integers(0, length), steps),
        stop=grid(st.integers(0, length), steps),
        block=grid(st.integers(0, 3), steps),
        calls=np.sort(grid(st.integers(0, 99), steps)),
        seconds=np.sort(grid(clock, steps)),
        model_seconds=np.sort(grid(clock, steps)),
        writable=writable,
        output=draw(st.lists(token)),
        text=draw(texts),
        filled=draw(st.lists(texts, max_size=2)),
        pieces=draw(st.dictionaries(token, texts)),
        **{name: draw(texts) for name in ("run_id", "task", "model", "sampler")},
        seed=draw(st.integers(-(2**63), 2**64)),
        row=draw(st.integers(0, 9)),
        settings=draw(st.dictionaries(texts, plain | st.lists(plain, max_size=2), max_size=3)),
        card={
            "mask_id": draw(st.sampled_from([None, 4])),
            "eos_ids": [3],
            "corruption": draw(st.sampled_from(["absorbing", "hybrid", "uniform"])),
        },
        top_ids=grid(token, steps, length, 5) if top else None,
        top_probabilities=grid(shares, steps, length, 5) if top else None,
    )


@BOTH
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(trajectories(), max_size=2))
def test_any_trajectory_round_trips(tmp_path, suffix, runs):
    files.save(runs, tmp_path / f"run{suffix}")
    back = files.read(tmp_path / f"run{suffix}")
    assert back == runs
    assert all(a.same_tokens(b) and a.run_id == b.run_id for a, b in zip(back, runs, strict=True))


def test_csv_is_the_contract_to_the_letter(tmp_path):
    run = make(
        ["a_", "ab"], prompt=1, confidence=[[np.nan, 0.1]], pieces={0: '=1+"', 1: "é", 9: ""}
    )
    files.save([run], tmp_path / "run.csv")
    data = (tmp_path / "run.csv").read_bytes()
    assert data.count(b"\n") == 5 and b"\r" not in data
    head, *lines = list(csv.reader(io.StringIO(data.decode("utf-8"))))
    assert ",".join(head) == (
        "run_id,task,model,sampler,seed,row,step,calls,seconds,model_seconds,block,position,"
        "token_id,token,state,confidence,entropy,committed_step,predicted_id,score,header"
    )
    header = json.loads(lines[0][-1])
    names = {"settings", "card", "pieces", "output", "text", "filled", "writable", "windows"}
    assert header.keys() - {"schema"} == names
    assert header["windows"] == [[1, 2]] and header["writable"] == [False, True]
    assert [line[-1] for line in lines[1:]] == [""] * 3
    assert lines[0][:-1] == [
        *(run.run_id, "capitals", "capitals/table", "mdlm", "3", "0", "0", "0", "0.0", "0.0"),
        *("0", "0", "0", '"=1+\\""', "prompt", "nan", "nan", "", "-1", "nan"),
    ]
    assert lines[3][6:] == [
        *("1", "1", "0.1", "0.07", "0", "1", "1", '"\\u00e9"', "committed", "0.1"),
        *(str(run.entropy[0, 1]), "1", "1", "nan", ""),
    ]


def test_floats_have_the_digits_of_float32():
    random = np.random.default_rng(0)
    values = 10 ** random.uniform(-14, 9, 3000) * random.choice([-1, 1], 3000)
    odd = [0, 1, 0.5, 0.1, 1e-4, 1e-45, 3.4e38, np.nan, np.inf, -np.inf, 999999.94, 1e-12]
    values = np.concatenate([values, random.random(3000), odd]).astype(np.float32)
    short = csv_files.shortest(values)
    assert np.array_equal(short, values.astype(str).astype(float), equal_nan=True)


def test_pandas_reads_the_csv_as_the_frame(tmp_path):
    run = several()[0]
    files.save([run], tmp_path / "run.csv")
    read = pd.read_csv(tmp_path / "run.csv", dtype={"committed_step": "Int32"})
    wanted = run.to_frame().astype({"state": "str"})
    for name in wanted:
        same = read[name].astype(wanted[name].dtype)
        pd.testing.assert_series_equal(same, wanted[name], check_dtype=False)


@BOTH
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, suffix, monkeypatch):
    path, run = tmp_path / f"run{suffix}", several()[0]
    files.save([run], path)
    with pytest.raises(ValueError, match="JSON compliant"):
        files.save([run, replace(run, settings={"threshold": float("nan")})], path)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.save([run, run], path)
    assert files.read(path) == [run] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz", "run.pkl"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json, got"):
        files.save(several(), tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json, got"):
        files.read(tmp_path / name)


def test_csv_wants_a_column(tmp_path):
    with pytest.raises(ValueError, match=r"holds a line a token, run .* has none; save it as JSON"):
        files.save([make([""])], tmp_path / "run.csv")


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
    "data, wanted",
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
def test_json_of_another_kind_is_refused(tmp_path, data, wanted):
    assert wanted in broken(tmp_path, ".json", data)


@pytest.mark.parametrize(
    "change, wanted",
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
        ({"text": "a" * 99, "row": "b" * 99}, "row must be a whole number, got 'bbb"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_json_with_a_wrong_value_is_refused(tmp_path, change, wanted):
    files.save([make(["a___", "ab_c", "adc$"], prompt=1)], tmp_path / "run.json")
    file = json.loads((tmp_path / "run.json").read_bytes())
    file["runs"][0] |= change
    assert wanted in broken(tmp_path, ".json", json.dumps(file).encode())


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
    "change, wanted",
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
def test_csv_with_a_wrong_cell_is_refused(tmp_path, change, wanted):
    files.save(several()[:1], tmp_path / "run.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "run.csv").read_text()), strict=True))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(change(rows))
    assert wanted in broken(tmp_path, ".csv", text.getvalue().encode())


def test_a_csv_of_the_first_schema_is_refused_by_its_version(tmp_path):
    files.save(several()[:1], tmp_path / "run.csv")
    new = (tmp_path / "run.csv").read_bytes()
    old = new.replace(b",task,", b",suite,", 1).replace(b",predicted_id,", b",guess_id,", 1)
    assert "its schema must be 2, got 1 (an older version" in broken(tmp_path, ".csv", old)


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\x80\x04\x95", b'{"schema": 1}'], ids=ascii)
def test_csv_of_another_kind_is_refused(tmp_path, data):
    assert "first line must be the columns" in broken(tmp_path, ".csv", data)
    head = ",".join(csv_files.COLUMNS).encode()
    assert "UTF-8" in broken(tmp_path, ".csv", head + b"\n\xff\n")


def test_csv_resaved_by_a_spreadsheet_is_still_read(tmp_path):
    runs = several()
    files.save(runs, tmp_path / "run.csv")
    data = (tmp_path / "run.csv").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "run.csv").write_bytes(b"\xef\xbb\xbf" + data)
    assert files.read(tmp_path / "run.csv") == runs


def test_a_file_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(file_limits, "BYTES", 3 << 20)
    message = broken(tmp_path, ".csv", b"a" * (5 << 20))
    assert "up to 3 MB, this one has 5" in message


def test_nothing_here_runs_what_it_reads():
    for module in Path("lab/record").glob("*.py"):
        with open(module, encoding="utf-8") as file:
            assert not re.search(r"\b(pickle|eval|exec|yaml|__import__)\b", file.read())


@BOTH
def test_four_panels_save_in_well_under_a_second(tmp_path, suffix):
    random = np.random.default_rng(0)
    steps, length, shape = 64, 96, (64, 96)
    run = make(
        ["_" * length] + ["a" * length] * steps,
        confidence=random.random(shape),
        entropy=random.random(shape),
        score=random.random(shape),
        top_ids=random.integers(0, 9, (*shape, 5)),
        top_probabilities=random.random((*shape, 5)),
    )
    spent = []
    for _ in range(3):
        begun = time.perf_counter()
        files.save([run] * 4, tmp_path / f"run{suffix}")
        spent.append(time.perf_counter() - begun)
    assert min(spent) < 1.5  # measured: see the commit; the limit leaves room for a loaded machine
    assert files.read(tmp_path / f"run{suffix}") == [run] * 4
