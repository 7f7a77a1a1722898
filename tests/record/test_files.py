"""CSV and JSON: what is saved is read back equal, and a broken file is refused in one sentence."""

import csv
import io
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.record import csv_files, files
from lab.record.draw_cells import Draws
from lab.record.trajectory import Trajectory
from tests.kit.trajectories import make

BOTH = pytest.mark.parametrize("suffix", [".csv", ".json"])
HOSTILE = [
    *('"', ",", "\n", "\r", "\r\n", "\0", "\ud800", "\udfff\ud800", "\u202e", "\u2028", "\ufeff"),
    *("=1+1", "-1", "+1", "@a", "\t", "NA", "nan", "None", "", " ", "'", "\\", "\\u00", "${1+1}"),
    *("</script>", "<img src=x onerror=alert(1)>", "\U0001f9ea", "e\u0301", "\x7f", "\x85"),
]


def draws(steps: list[int], positions: list[int]) -> Draws:
    probabilities = np.linspace(0, 1, 5 * len(steps), dtype=np.float32).reshape(-1, 5)
    return Draws(np.array(steps, np.int32), np.array(positions, np.int32), probabilities)


def several() -> list[Trajectory]:
    first = make(["a___", "ab_c", "adc$"], prompt=1)
    extra = {
        "top_ids": np.arange(40).reshape(2, 4, 5) % 9,
        "top_probabilities": np.full((2, 4, 5), 0.1),
        "draws": draws([1, 1, 2], [1, 3, 2]),
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
    with_top = [run.top_ids is not None for run in back]
    assert with_top == [suffix == ".json", False, False]
    if suffix == ".json":
        assert np.array_equal(back[0].top_ids, runs[0].top_ids)
        assert np.array_equal(back[0].top_probabilities, runs[0].top_probabilities)
        for mine, theirs in zip(back[0].draws, runs[0].draws, strict=True):
            assert np.array_equal(mine, theirs) and mine.dtype == theirs.dtype
    assert [run.draws is not None for run in back] == with_top


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
        columns_fed=np.sort(grid(st.integers(0, 999), steps)) if top else None,
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


def test_csv_is_contract_to_letter(tmp_path):
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


def test_floats_have_digits_of_float32():
    random = np.random.default_rng(0)
    values = 10 ** random.uniform(-14, 9, 3000) * random.choice([-1, 1], 3000)
    odd = [0, 1, 0.5, 0.1, 1e-4, 1e-45, 3.4e38, np.nan, np.inf, -np.inf, 999999.94, 1e-12]
    values = np.concatenate([values, random.random(3000), odd]).astype(np.float32)
    short = csv_files.shortest(values)
    assert np.array_equal(short, values.astype(str).astype(float), equal_nan=True)


def test_pandas_reads_csv_as_frame(tmp_path):
    run = several()[0]
    files.save([run], tmp_path / "run.csv")
    read = pd.read_csv(tmp_path / "run.csv", dtype={"committed_step": "Int32"})
    expected = run.to_frame().astype({"state": "str"})
    for name in expected:
        same = read[name].astype(expected[name].dtype)
        pd.testing.assert_series_equal(same, expected[name], check_dtype=False)


@BOTH
def test_file_is_replaced_whole_or_not_at_all(tmp_path, suffix, monkeypatch):
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


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
def test_writer_that_is_killed_leaves_no_part(tmp_path, monkeypatch):
    """What it was writing has no name yet: there is nothing to be left."""
    link, seen = os.link, []

    def look(*arguments, **options):
        seen.append(list(tmp_path.iterdir()))
        link(*arguments, **options)

    monkeypatch.setattr(files.os, "link", look)
    files.save(several(), tmp_path / "run.json")
    assert seen == [[]] and len(files.read(tmp_path / "run.json")) == len(several())


def test_file_system_without_nameless_files_is_written_to(tmp_path, monkeypatch):
    monkeypatch.delattr(files.os, "O_TMPFILE", raising=False)
    files.save(several(), tmp_path / "run.json")
    assert len(files.read(tmp_path / "run.json")) == len(several())
    assert list(tmp_path.iterdir()) == [tmp_path / "run.json"]


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz", "run.pkl"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json, got"):
        files.save(several(), tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json, got"):
        files.read(tmp_path / name)


def test_csv_wants_column(tmp_path):
    with pytest.raises(ValueError, match=r"holds a line a token, run .* has none; save it as JSON"):
        files.save([make([""])], tmp_path / "run.csv")


def test_csv_resaved_by_spreadsheet_is_still_read(tmp_path):
    runs = several()
    files.save(runs, tmp_path / "run.csv")
    data = (tmp_path / "run.csv").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "run.csv").write_bytes(b"\xef\xbb\xbf" + data)
    assert files.read(tmp_path / "run.csv") == runs


def test_nothing_here_runs_what_it_reads():
    for module in Path("lab/record").glob("*.py"):
        with open(module, encoding="utf-8") as file:
            assert not re.search(r"\b(pickle|eval|exec|yaml|__import__)\b", file.read())


def test_run_that_draws_every_cell_again_is_read_back(tmp_path):
    steps, length = 64, 96
    step, position = np.mgrid[1 : steps + 1, :length]
    shape = (steps, length, 5)
    run = make(
        ["a" * length] * (steps + 1),
        confidence=np.full((steps, length), 0.5),
        top_ids=np.ones(shape, int),
        top_probabilities=np.full(shape, 0.2),
        draws=draws(step.ravel().tolist(), position.ravel().tolist()),
    )
    files.save(run, tmp_path / "run.json")
    (back,) = files.read(tmp_path / "run.json")
    assert np.array_equal(back.draws.probabilities, run.draws.probabilities)


@BOTH
def test_four_panels_save_in_well_under_second(tmp_path, suffix):
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
