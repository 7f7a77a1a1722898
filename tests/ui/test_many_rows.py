"""Several rows of a panel: the texts of lab.run, means with intervals, a film of each."""

import json

import pytest

import lab
from lab.record.metrics import metrics
from lab.study.statistics import mean, wilson
from lab.tasks import TASKS, examples
from lab.ui import exports, page_runs
from lab.ui.branch import branch
from lab.ui.film import whole_film
from lab.ui.forecast import forecast
from lab.ui.many_rows import interval_text
from lab.ui.page_runs import PageRuns, keep
from lab.ui.panel import alternatives, film, row
from lab.ui.result_tabs import metrics_table
from lab.ui.run_inputs import ROWS, RunInputs, run_inputs
from lab.ui.settings_form import PanelSettings, start_value
from lab.ui.shelf import Shelf
from lab.ui.tasks import misfits
from tests.kit.pressing import press

BOARD = examples("sudoku4")[0]
FIVE = RunInputs("sudoku4", template=BOARD, seed=4, rows=5)
PANELS = [PanelSettings("mdlm", params={"steps": 3}), PanelSettings("margin"), None, None]


@pytest.fixture(scope="module")
def pressed():
    return press(FIVE, PANELS)


@pytest.fixture
def on_page(pressed, monkeypatch):
    """A page that shows the run, among pages of its own."""
    shelf = Shelf(page_runs.CELLS, page_runs.SECONDS, lambda page: page.cells)
    monkeypatch.setattr(page_runs, "_PAGES", shelf)
    run, last = pressed
    keep("s", run.comparison)
    return run.comparison, last.values


@pytest.fixture(scope="module")
def plain():
    """The same rows without a page."""
    return lab.run("mdlm", "sudoku4", template=BOARD, seed=4, rows=5, steps=3)


def test_rows_are_those_of_lab_run(pressed, plain):
    run, last = pressed
    rows = run.comparison.panels[0].runs
    assert [one.output for one in rows] == [one.output for one in plain]
    assert [one.row for one in rows] == [0, 1, 2, 3, 4]
    assert len({tuple(one.output) for one in rows}) > 1
    assert len(run.comparison.runs) == 10 and len(last.values[0]["rows"]) == 5


def test_thumbnails_say_what_became_of_each(pressed, plain):
    _, last = pressed
    score = TASKS["sudoku4"].score
    for said, one in zip(last.values[0]["rows"], plain, strict=True):
        solved = score([one.piece(i) for i in one.tokens[-1].tolist()]).value == 1
        assert said == {"ok": solved, "text": one.text, "calls": int(one.calls[-1])}


def test_numbers_are_means_with_intervals(pressed, plain):
    _, last = pressed
    lines = {name: value for name, value, _ in last.values[0]["metrics"]}
    solved = [one["ok"] for one in last.values[0]["rows"]]
    assert lines["Solved"] == wilson(sum(solved), 5).percent()
    per_call = mean([metrics(one).tokens_per_call for one in plain])
    assert lines["Calls"] == "3"
    assert lines["Tokens / call"].startswith(f"{per_call.estimate:.3g}")


def test_one_row_has_no_thumbnails():
    _, last = press(RunInputs("sudoku4", template=BOARD), PANELS[:1])
    assert last.values[0]["rows"] == []
    assert "Solved" not in [name for name, *_ in last.values[0]["metrics"]]


def test_mean_of_values_has_its_interval():
    assert interval_text([3, 3, 3]) == "3"
    assert interval_text([float("nan")]) == interval_text([]) == "–"
    low, high = mean([1, 2, 6, float(9)])[1:]
    assert interval_text([1, 2, 6, 9, float("nan")]) == f"4.5 [{low:.3g}, {high:.3g}]"


def test_each_row_can_be_looked_at(on_page, plain):
    page, values = on_page
    for number, one in enumerate(plain):
        part = row({"run": values[0]["run"], "row": number})
        assert part["row"] == number and part["text"] == one.text and part["start"] == 0
        assert part["count"] == len(one.calls) == len(json.loads(part["steps"]))
        assert part["steps"] == whole_film(page.panels[0].runs[number]).part(0)["steps"]
        back = row({"run": part["run"], "row": 0})
        assert back["run"] == values[0]["run"]
        assert film({"run": part["run"], "start": 1})["start"] == 1
        assert alternatives({"run": part["run"], "step": 2, "position": 3})["tokens"]


@pytest.mark.parametrize("query", [{"row": 5}, {"row": -1}, {"row": "0"}, {"row": True}, {}, None])
def test_row_that_is_none_has_no_answer(on_page, query):
    _, values = on_page
    query = query and {"run": values[0]["run"], **query}
    assert row(query) == {"missing": True}
    assert row({"run": "a" * 32, "row": 0}) == {"missing": True}


def test_branch_goes_on_from_row_that_is_looked_at(on_page):
    page, values = on_page
    name = row({"run": values[0]["run"], "row": 3})["run"]
    question = {"run": name, "step": 1, "changes": [], "panel": 4}
    planned = branch(question, page, "sudoku4", 0, start_value("sudoku4", misfits("sudoku4")))
    parent = page.panels[0].runs[3]
    written = parent.tokens[1] != parent.card["mask_id"]
    assert [i for i, there in zip(planned.inputs.template, written, strict=True) if there] == [
        i for i, there in zip(parent.tokens[1].tolist(), written, strict=True) if there
    ]
    assert planned.origin == "goes on from panel 1, step 1"


def test_files_hold_all_rows(on_page, tmp_path):
    page, _ = on_page
    for suffix in ("csv", "json"):
        back = lab.read(exports.write(page, suffix, tmp_path))
        assert [(one.sampler, one.row) for one in back] == [
            (name, k) for name in ("mdlm", "margin") for k in range(5)
        ]


def test_table_of_metrics_has_column_for_each_panel(on_page):
    page, _ = on_page
    rows = [panel.runs for panel in page.panels if panel and panel.runs]
    table = metrics_table(rows).set_index("Metric")
    assert list(table.columns) == ["1 · mdlm", "2 · margin"]
    assert set(table.loc["Rows"]) == {"5"} and table.loc["Seed", "1 · mdlm"] == "4"
    confidence = interval_text([metrics(one).confidence for one in rows[0]])
    assert table.loc["Mean confidence at commit", "1 · mdlm"].split()[0] == confidence.split()[0]


def test_memory_of_all_rows_is_counted(on_page):
    page, _ = on_page
    assert page.cells == 2 * page_runs.BESIDES + sum(one.tokens.size for one in page.runs)
    assert isinstance(page, PageRuns) and len(page.runs) == 10


@pytest.mark.parametrize("rows", [0, ROWS + 1, 2.5, True, "8", None])
def test_other_numbers_of_rows_are_refused(rows):
    with pytest.raises(ValueError, match="rows must be a whole number from 1 to 64"):
        run_inputs("sudoku4", "template", BOARD, 0, 0, rows)


def test_rows_that_are_too_much_work_are_refused_before_run():
    form = start_value("sudoku9", misfits("sudoku9"))
    form["panels"] = [{"sampler": "margin", "preset": None, "params": {}}, None, None, None]
    one = forecast("sudoku9", "template", examples("sudoku9")[0], 0, 0, form, 64)["panels"][0]
    assert one["calls"] > 0 and not one["problem"]
    inputs = RunInputs("stories", "Once", gen_length=250, rows=64)
    _, last = press(inputs, [PanelSettings("first_hitting")])
    assert last.values[0]["kind"] == "error" and "too expensive" in last.values[0]["message"]
