"""Points: what they pack comes back, whatever file they were in; anything else is refused."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.study.points import (
    HASHED_ROWS,
    from_csv,
    pack,
    pack_hashes,
    read_points,
    unpack,
    unpack_hashes,
    write_points,
)
from lab.study.runner import run_study
from lab.study.statistics import compare
from lab.study.study import Study, study
from lab.study.summary import compare_settings, summarise

SPEC = {
    "name": "small",
    "task": ["sudoku4", "chain"],
    "cases": {"sudoku4": ["4"], "chain": ["64"]},
    "instances": 12,
    "samplers": {"mdlm": {"steps": [2, 8]}, "first_hitting": {}},
}


@pytest.fixture(scope="module")
def small():
    return study(SPEC)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40))
def test_bits_come_back(values):
    assert unpack(pack(np.array(values)), len(values)).tolist() == values


@given(st.lists(st.floats(0, 20, width=16), min_size=1, max_size=40))
def test_numbers_come_back_to_16_bits(values):
    assert unpack(pack(np.array(values)), len(values)).tolist() == values


def test_what_was_not_measured_packs_to_nothing():
    assert pack(np.full(3, np.nan)) == "" and np.isnan(unpack("", 3)).all()


@pytest.mark.parametrize("text", ["b", "bAAAA", "hAAAA", "xAAAA", "b????", "é"])
def test_text_of_other_size_or_kind_is_refused(text):
    with pytest.raises(ValueError, match="packed values must be"):
        unpack(text, 3)


def test_hashes_of_first_rows_are_shortened():
    hashes = [f"{i:016x}" for i in range(0x11111111 << 32, (0x11111111 << 32) + 100)]
    assert unpack_hashes(pack_hashes(hashes)) == ["11111111"] * HASHED_ROWS


@pytest.mark.parametrize("name", ["points.parquet", "points.csv"])
def test_points_come_back_from_file(small, tmp_path, name):
    write_points(small.points, tmp_path / name)
    pd.testing.assert_frame_equal(read_points(tmp_path / name), small.points, check_dtype=False)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_paired_comparison_of_points_is_that_of_rows(small):
    rows = small.rows()
    scores = {
        setting: group.sort_values("instance")["score"].to_numpy()
        for setting, group in rows[rows["task"] == "sudoku4"].groupby("setting")
    }
    outcome = compare_settings(small.points, "sudoku4", "4", "mdlm (steps=8)", "mdlm (steps=2)")
    assert outcome == compare(scores["steps=8"], scores["steps=2"])


def test_distances_to_chain_are_in_points(small):
    points = small.points.set_index(["task", "sampler", "setting"])
    chain = points.loc["chain", "kl_rate"]
    assert chain["first_hitting", "defaults"] < chain["mdlm", "steps=2"] < 3
    assert points.loc["sudoku4", "kl_rate"].isna().all()


def test_total_variation_where_case_asks_for_everything(tmp_path):
    spec = {"name": "s", "task": "latin4", "cases": ["0"], "instances": 40,
            "samplers": {"mdlm": {"steps": [1]}, "first_hitting": {}}}  # fmt: skip
    run_study(spec, tmp_path)
    points = study(spec, tmp_path).points.set_index("sampler")
    assert points.loc["mdlm", "tv"] > 0.95
    exact, floor = points.loc["first_hitting", ["tv", "tv_floor"]]
    assert exact == pytest.approx(floor, abs=0.03)


def test_total_variation_where_texts_end_early(tmp_path):
    spec = {"name": "s", "task": "capitals", "cases": ["sentence"], "instances": 60,
            "samplers": {"first_hitting": {}}}  # fmt: skip
    (line,) = study(spec, tmp_path).points.to_dict("records")
    assert line["score"] == 1  # every text is one of the 188 sentences
    assert line["tv"] == pytest.approx(line["tv_floor"], abs=0.06) and line["tv"] < 0.95


def test_broken_and_foreign_files_are_named(small, tmp_path):
    path = tmp_path / "p.parquet"
    write_points(small.points, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"p\.parquet is no file of points"):
        read_points(path)
    path.write_bytes(whole)
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    with pytest.raises(ValueError, match=r"p\.parquet must hold points of version 1, got 'none'"):
        read_points(path)
    (tmp_path / "p.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"p\.csv is no file of points.*missing: \['task'"):
        read_points(tmp_path / "p.csv")


def test_csv_with_text_for_number_is_refused(small):
    from lab.study.points import csv_text

    text = csv_text(small.points)
    with pytest.raises(ValueError, match="calls must be numbers"):
        from_csv(csv_text(small.points.assign(calls="many")))
    with pytest.raises(ValueError, match="rows must be whole numbers"):
        from_csv(csv_text(small.points.assign(rows=2.5)))
    assert len(from_csv(text)) == len(small.points)


def test_settings_of_two_models_keep_their_names_apart(tmp_path):
    spec = {"name": "s", "task": "sudoku4", "cases": ["4"], "instances": 4,
            "models": ["sudoku4", "sudoku4-causal"],
            "samplers": {"mdlm": {"steps": [2]}, "autoregressive": {}}}  # fmt: skip
    rows = study(spec, tmp_path).rows()
    both = pd.concat([rows, rows[rows["sampler"] == "mdlm"].assign(model="sudoku4-other")])
    names = set(Study(both).summary()["name"])
    assert {"mdlm (steps=2) on sudoku4", "mdlm (steps=2) on sudoku4-other"} < names
    assert summarise(both)["model"].nunique() == 3
