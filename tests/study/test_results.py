"""Results: whole or absent, refused when foreign, summarised with intervals."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lab.study.results import OF_CELL, ROW, finished_cells, read_cell, read_results, write_cell
from lab.study.statistics import wilson
from lab.study.summary import best, compare_settings, frontier, settings_of, summarise

KINDS = {"string": "", "int32": 0, "int64": 0, "float": float("nan"), "double": 0.0}


def row(**values):
    own = {"instances": 40, "gen_length": 0, "token_hash": "00" * 8}
    return {field.name: KINDS[str(field.type)] for field in ROW} | own | values


def rows(setting, solved, calls=8, count=40, **values):
    return [
        row(
            task="sudoku4", case="6", model="m", fingerprint="f", sampler="mdlm", setting=setting,
            instance=i, row=i, score=float(i < solved), calls=calls, tokens=16,
            instances=count, **values,
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_cell(tmp_path, "a", rows("steps=4", 20, 4))
    write_cell(tmp_path, "b", rows("steps=8", 38, 8))
    write_cell(tmp_path, "c", rows("steps=16", 37, 16))
    return tmp_path


def test_rows_come_back_as_written(folder):
    table = read_results(folder)
    assert finished_cells(folder) == {"a", "b", "c"}
    assert len(table) == 120 and list(table.columns) == [*ROW.names, *OF_CELL]
    assert table["score"].sum() == 95 and np.isnan(table["nats"]).all()


def test_other_libraries_read_files_as_they_are(folder):
    direct = pd.concat([pd.read_parquet(p) for p in sorted(folder.glob("*.parquet"))])
    assert direct["score"].sum() == 95
    assert pq.ParquetFile(folder / "a.parquet").metadata.num_rows == 40


def test_file_says_what_its_cell_was(tmp_path):
    write_cell(tmp_path, "a", rows("steps=4", 20, gen_length=32))
    table = read_results(tmp_path)
    assert (table["gen_length"] == 32).all() and (table["instances"] == 40).all()


def test_files_of_named_cells_alone_are_read(folder):
    assert set(read_results(folder, {"a", "c"})["setting"]) == {"steps=4", "steps=16"}


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_cell(tmp_path, "a", rows("steps=4", 1))
    assert list(tmp_path.iterdir()) == []


def test_broken_file_is_named(folder):
    whole = (folder / "b.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"b\.parquet is not a whole Parquet file.*delete it"):
        read_results(folder)


def test_another_schema_is_refused(folder):
    table = pq.read_table(folder / "a.parquet").replace_schema_metadata({})
    pq.write_table(table, folder / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet must hold results of schema 1, got 'none'"):
        read_cell(folder / "a.parquet")


def test_results_under_other_weights_are_refused(folder):
    write_cell(folder, "d", [{**each, "fingerprint": "g"} for each in rows("steps=2", 3, 2)])
    with pytest.raises(ValueError, match="m under different weights"):
        read_results(folder)


def test_empty_folder_says_what_writes_results(tmp_path):
    with pytest.raises(ValueError, match="python -m lab study run"):
        read_results(tmp_path)


def test_summary_has_one_line_setting_with_intervals(folder):
    summary = summarise(read_results(folder)).set_index("setting")
    assert summary.loc["steps=8", "rows"] == 40
    interval = wilson(38, 40)
    outcome = summary.loc["steps=8", ["score", "score_low", "score_high"]].tolist()
    assert outcome == pytest.approx(list(interval))
    assert summary.loc["steps=16", "tokens_per_call"] == 1.0
    assert np.isnan(summary.loc["steps=8", "nats"])


def test_best_and_frontier_follow_from_points(folder):
    table = summarise(read_results(folder))
    assert best(table, "sudoku4", "6", 100).name == "mdlm (steps=8)"
    assert best(table, "sudoku4", "6", 7).name == "mdlm (steps=4)"
    assert frontier(table)["setting"].tolist() == ["steps=4", "steps=8"]
    outcome = compare_settings(table, "sudoku4", "6", "mdlm (steps=8)", "mdlm (steps=4)")
    assert outcome.difference.estimate == pytest.approx(0.45) and outcome.p_value < 1e-4
    with pytest.raises(ValueError, match="there are mdlm"):
        compare_settings(table, "sudoku4", "6", "mdlm", "mdlm (steps=4)")


def test_settings_on_other_instances_are_left_out(folder):
    write_cell(folder, "e", rows("steps=2", 10, 2, count=30))
    assert list(settings_of(summarise(read_results(folder)), "sudoku4", "6")) == [
        "mdlm (steps=16)",
        "mdlm (steps=4)",
        "mdlm (steps=8)",
    ]
