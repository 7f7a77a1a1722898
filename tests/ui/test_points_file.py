"""A visitor's file: what this page writes comes back, and nothing else gets in."""

import json

import numpy as np
import pytest

from lab.study.points import POINT, write_points
from lab.ui import picture
from lab.ui.points_file import BYTES, read_file
from tests.kit.points import rows_of, small_atlas


@pytest.fixture(autouse=True)
def atlas(monkeypatch):
    table = small_atlas()
    monkeypatch.setattr(picture, "atlas", lambda: table)
    return table


@pytest.fixture
def points():
    import pandas as pd

    from lab.study.summary import summarise

    rows = rows_of("sudoku4", "6", "mdlm", {"steps": 4}, 60, 4)
    return summarise(pd.DataFrame(rows + rows_of("sudoku4", "6", "threshold", {}, 100, 9)))


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_points_come_back_marked_as_of_file(points, tmp_path, name):
    write_points(points, tmp_path / name)
    own = read_file(tmp_path / name)
    assert own["setting"].tolist() == ["steps=4 · file", "defaults · file"]
    same = [column for column in POINT.names if column not in ("setting", "tv_floor")]
    for column in same:
        left, right = own[column], points[column]
        assert ((left == right) | (left.isna() & right.isna())).all(), column


def test_points_of_atlas_are_left_out(atlas, points, tmp_path):
    import pandas as pd

    write_points(pd.concat([atlas, points]), tmp_path / "both.csv")
    assert len(read_file(tmp_path / "both.csv")) == 2


def test_words_of_file_are_not_shown(points, tmp_path):
    write_points(points.assign(setting="<script>"), tmp_path / "p.csv")
    assert "<script>" not in "".join(read_file(tmp_path / "p.csv")["setting"])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("task", "sudoku5", "no case '6' of a task 'sudoku5'"),
        ("case", "7", "no case '7'"),
        ("sampler", "__import__", "__import__"),
        ("preset", "none such", "mdlm has no preset 'none such'"),
        ("settings", "{", "settings must be JSON"),
        ("settings", "[" * 1900, "settings must be JSON"),
        ("settings", "[3]", "settings must be an object"),
        ("settings", '{"stepz": 3}', "mdlm has no parameter 'stepz'"),
        ("settings", '{"steps": [3]}', "steps must be"),
        ("settings", '{"steps": NaN}', "steps must be"),
        ("settings", "x" * 3000, "settings must be at most 2000 characters"),
        ("model", "a\u202eb", "model must be plain text"),
        ("model", "a\0b", "must not hold NUL"),
        ("rows", 0, "rows must be a whole number from 1"),
        ("rows", 2_000_000_000, "rows must be a whole number from 1"),
        ("rows", 121, "packed values must be of 121 rows"),
        ("instances", -1, "instances must be a whole number"),
        ("gen_length", 10**6, "gen_length must be a whole number"),
        ("seeds", "0", "seeds must be a list of whole numbers"),
        ("seeds", "[]", "seeds must be from 1"),
        ("seeds", "nothing", "Expecting value"),
        ("calls", np.inf, "calls must be from 0"),
        ("calls", np.nan, "calls must be from 0"),
        ("score", 1.5, "score must be from 0 to 1"),
        ("score", 0.9, "score must be from 0 to 1, within its interval"),
        ("score_low", -1e9, None),
        ("scores", "b", "packed values must be of 120 rows"),
        ("scores", "bAAAAAAAAAAAAAAAAAAAA", "score must be the mean of what scores packs"),
        ("hashes", "%%%", "packed values must be base64"),
    ],
)
def test_value_that_page_would_not_write_is_one_sentence(points, tmp_path, column, value, words):
    changed = points.astype({column: object})
    changed.loc[0, column] = value
    path = tmp_path / "bad.csv"
    path.write_text(changed[POINT.names].to_csv(index=False, lineterminator="\n"), "utf-8")
    if words is None:
        words = "score must be from 0 to 1, within its interval"
    with pytest.raises(ValueError, match=r"bad\.csv, line 2: ") as caught:
        read_file(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.txt", b"", "must end in .csv or .parquet"),
        ("p.csv", b"", "holds no points"),
        ("p.csv", b"\xff\xfe\x00", "holds no points"),
        ("p.csv", b"a,b\n1,2\n", "missing: ['task'"),
        ("p.csv", b'a,b\n"1', "holds no points"),
        ("p.csv", (",".join(POINT.names) + "\n").encode(), "from 1 to 500 points, got 0"),
        ("p.parquet", b"PAR1", "holds no points"),
        ("p.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "holds no points"),
        ("p.csv", b"a" * (BYTES + 1), "must be at most 2,000,000 bytes"),
    ],
)
def test_any_other_file_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"p\.\w+ ") as caught:
        read_file(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_parquet_that_unpacks_to_too_much_is_refused(points, tmp_path):
    import pandas as pd

    path = tmp_path / "p.parquet"
    write_points(pd.concat([points] * 300), path)
    assert path.stat().st_size < BYTES
    with pytest.raises(ValueError, match="unpacks to too much"):
        read_file(path)
    write_points(points.assign(versions="x" * 40_000_000), path)
    assert path.stat().st_size < BYTES
    with pytest.raises(ValueError, match="holds no points"):
        read_file(path)


def test_broken_byte_anywhere_raises_one_sentence_or_reads(points, tmp_path):
    path = tmp_path / "p.csv"
    write_points(points, path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(len(whole), size=150):
        path.write_bytes(whole[:place] + bytes([random.integers(256)]) + whole[place + 1 :])
        try:
            assert json.dumps(read_file(path).to_dict("records"))
        except ValueError as error:
            assert "\n" not in str(error) and str(error).startswith("p.csv")
