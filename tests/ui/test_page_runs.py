"""What a page may still ask about, and who loses it first."""

import pickle

import pytest

from lab.ui import page_runs
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord, keep, of_session
from lab.ui.panel import alternatives, film
from lab.ui.shelf import Shelf
from lab.ui.snippet import Code
from tests.kit.trajectories import make

LINES = ["_____", "a____", "ab___", "abc__"]


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    fresh = Shelf(page_runs.CELLS, page_runs.SECONDS, lambda page: page.cells)
    monkeypatch.setattr(page_runs, "_PAGES", fresh)


def page(name: str) -> PageRuns:
    run = make(LINES)
    return PageRuns([PanelRecord(name * 32, whole_film(run), run)], Code("", ""))


def test_one_comparison_is_held_session():
    keep("s", page("a"))
    keep("s", page("b"))
    assert of_session("s").panels[0].name == "b" * 32
    assert page_runs.film("a" * 32, 0) is None and page_runs.film("b" * 32, 1)["start"] == 1


def test_whoever_holds_most_loses_oldest():
    keep("quiet", page("a"), "quiet")
    page_runs._PAGES.most = 3 * of_session("quiet").cells
    for number in range(9):
        keep(f"loud{number}", page(str(number)), "loud")
    assert of_session("quiet") and of_session("loud8") and not of_session("loud0")


def test_short_runs_count_with_all_that_they_take():
    keep("s", page("a"))
    assert of_session("s").cells * 80 > len(pickle.dumps(of_session("s")))


def test_old_pages_are_forgotten():
    keep("s", page("a"))
    page_runs._PAGES.seconds = -1
    page_runs.trim()
    assert of_session("s") is None


@pytest.mark.parametrize(
    "query",
    [None, 3, [], {}, {"run": 3, "start": 0}, {"run": "a" * 32}, {"run": "a" * 32, "start": -1},
     {"run": "a" * 32, "start": True}, {"run": "a" * 32, "start": 1.5},
     {"run": "a" * 32, "start": 2**40}, {"run": "../etc", "start": 0}],
)  # fmt: skip
def test_questions_that_no_page_asks_have_no_answer(query):
    keep("s", page("a"))
    assert film(query) == {"missing": True}
    assert alternatives(query) == {"missing": True}


def test_panel_may_ask_for_steps_and_alternatives():
    keep("s", page("a"))
    part = film({"run": "a" * 32, "start": 1})
    assert part["start"] == 1 and part["count"] == 3 and part["film"] is None
    assert alternatives({"run": "a" * 32, "step": 3, "position": 1})["step"] == 3
    assert alternatives({"run": "a" * 32, "step": 3, "position": 99}) == {"missing": True}
