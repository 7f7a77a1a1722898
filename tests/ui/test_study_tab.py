"""The Study tab's handlers without a browser: a point into a panel, files in and out."""

import io
from types import SimpleNamespace

import gradio as gr
import httpx
import pandas as pd
import pytest

import samplers
from lab.record.trajectory import canonical
from lab.study.atlas import ATLAS
from lab.study.points import read_points, write_points
from lab.study.summary import summarise
from lab.ui import build, own_points, picture, points_file, study_tab
from lab.ui.atlas_line import atlas_line, atlas_point
from lab.ui.input_events import _change_task
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings, panel_settings, start_value
from lab.ui.shelf import Shelf
from tests.kit.points import rows_of, small_atlas
from tests.kit.pressing import press, recorder
from tests.kit.serving import served

FORM = start_value("stories", {})
NOBODY = SimpleNamespace(headers={}, client=None, session_hash="s")
POINT = {"task": "sudoku4", "case": "6", "key": "", "name": "threshold (threshold=0.5)"}


@pytest.fixture(autouse=True)
def atlas(monkeypatch):
    table = small_atlas()
    monkeypatch.setattr(picture, "atlas", lambda: table)
    monkeypatch.setattr(own_points, "_PAGES", Shelf(own_points.MOST_PAGES))
    return table


def into_panel(form, data):
    return study_tab._into_panel(form, gr.EventData(None, data))


@pytest.mark.parametrize("shared", [{}, {"threshold": 0.1, "steps": 3, "temperature": 1.0}])
def test_point_runs_in_panel_as_it_was_measured(atlas, shared):
    status, task, kind, text, form = into_panel({**FORM, "shared": shared}, {**POINT, "panel": 2})
    assert (task, kind) == ("sudoku4", "template") and "[MASK]" in text
    assert status.startswith("Panel 2 of Compare now has threshold (threshold=0.5)")
    settings = panel_settings(form)[1]
    bound = samplers.get("threshold").bind(settings.params)
    line = atlas[atlas["setting"] == "threshold=0.5"].iloc[0]
    assert canonical(bound) == line["settings"]
    change = _change_task("sudoku4", form)
    unchanged = {"__type__": "update"}
    assert change[0] == change[1] == change[3] == unchanged  # what was put there stays


@pytest.mark.parametrize(
    "data",
    [None, 3, [], {}, {**POINT, "panel": 0}, {**POINT, "panel": 5}, {**POINT, "panel": True},
     {**POINT, "panel": "1"}, {**POINT, "panel": 1, "name": "x"}, {**POINT, "panel": 1,
     "case": "9"}],
)  # fmt: skip
def test_click_of_no_page_changes_nothing(data):
    status, *rest = into_panel(FORM, data)
    assert status.startswith("✕ ") and rest[-1] == FORM


@pytest.mark.parametrize("value", [None, 3, {}, {"key": 3, "change": "x"}, {"key": "short"}])
def test_value_of_no_page_gets_key_of_its_own(value):
    checked = study_tab.checked(value)
    assert len(checked["key"]) == 32 and checked["change"] == 0
    assert (checked["task"], checked["case"]) == ("sudoku4", "6")
    assert study_tab.checked(checked) == checked


def test_loaded_file_shows_its_case(tmp_path):
    rows = rows_of("sudoku4", "4", "threshold", {}, 60, 4)
    write_points(summarise(pd.DataFrame(rows)), tmp_path / "mine.csv")
    value = study_tab.checked({})
    status, changed = study_tab._load_file(str(tmp_path / "mine.csv"), value, NOBODY)
    assert status == "Loaded 1 points from mine.csv: sudoku4 4"
    assert changed["case"] == "4" and changed["change"] == 1
    assert len(own_points.of(value["key"])) == 1
    (tmp_path / "bad.csv").write_text("a\n")
    status, same = study_tab._load_file(str(tmp_path / "bad.csv"), value, NOBODY)
    assert status.startswith("✕ bad.csv holds no points") and same["change"] == 0


@pytest.mark.parametrize("path", [None, ["a.csv"]])
def test_upload_without_file_is_one_sentence(path, caplog):
    status, _ = study_tab._load_file(path, None, gr.Request())
    assert status.endswith("Load points takes one file of points, as CSV or Parquet; none came")
    assert not caplog.records


def test_points_of_picture_are_downloaded(atlas):
    for url in served(build()):
        answer = httpx.get(f"{url}lab/study/none/sudoku4/6/csv", timeout=60)
        assert (
            answer.headers["content-disposition"] == 'attachment; filename="points-sudoku4-6.csv"'
        )
        assert len(pd.read_csv(io.StringIO(answer.text))) == 6
        parquet = httpx.get(f"{url}lab/study/{'0' * 32}/sudoku4/4/parquet", timeout=60)
        assert len(pd.read_parquet(io.BytesIO(parquet.content))) == 2
        for path in ("none/sudoku4/7/csv", "none/nothing/6/csv"):
            missing = httpx.get(f"{url}lab/study/{path}", timeout=60)
            assert missing.status_code == 404 and "Nothing was measured" in missing.text
        assert httpx.get(f"{url}lab/study/none/../../etc/csv", timeout=60).status_code == 404


BOARD = "3[MASK]*2 2[MASK]*3 1[MASK] 4 1[MASK]*4 4"


def test_run_says_what_atlas_has_of_its_settings():
    inputs = RunInputs("sudoku4", template=BOARD)
    run, last = press(inputs, [PanelSettings("threshold", None, {"threshold": 0.5})])
    (line,) = last.values[0]["notes"]
    outcome = "solved" if last.values[0]["verdict"]["ok"] else "not solved"
    calls = run.comparison.runs[0].calls[-1]
    assert line == (
        "The atlas: 55.0 % solved [46.1, 63.6] at 4 calls (120 rows, 6 of 16 cells are given); "
        f"this run: {outcome}, {calls} calls."
    )


@pytest.mark.parametrize(
    ("settings", "template"),
    [
        (PanelSettings("threshold", None, {"threshold": 0.55}), BOARD),
        (PanelSettings("margin"), BOARD),
        (PanelSettings("threshold", None, {"threshold": 0.5}), "[MASK]*16"),
    ],
)
def test_settings_or_texts_that_atlas_lacks_get_no_line(settings, template):
    _, last = press(RunInputs("sudoku4", template=template), [settings])
    assert last.values[0]["notes"] == []


def test_text_without_checker_is_compared_by_likelihood(atlas):
    model = "stories-ar"
    plan = recorder("autoregressive", model, prompts="Once upon a time", gen_length=4).plan
    line = atlas[(atlas["task"] == "stories") & (atlas["setting"] == "temperature=1")].iloc[0]
    assert atlas_point(plan, "Once upon a time") is None  # measured on a model called stories
    text = atlas_line(dict(line), None, None)
    assert text.startswith("The atlas: 1.3") and "nats a token" in text and "64 calls" in text


def test_atlas_that_ships_is_read():
    points = read_points(ATLAS)
    assert len(points) and ATLAS.stat().st_size < 5_000_000
    for each in points.to_dict("records"):
        points_file._check(each)
