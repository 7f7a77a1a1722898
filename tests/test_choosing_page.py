"""docs/choosing-a-sampler.md says what the atlas says, whatever that holds."""

import re

import pandas as pd
import pytest

from docs import choosing_page, study_pages
from lab.study.points import POINT
from lab.study.statistics import mcnemar, wilson
from lab.study.summary import summarise
from tests.kit.points import rows_of, small_atlas

PRINTERS = (
    *("in_short", "by_budget", "winners", "fidelity", "text", "sources"),
    *("adaptive_pairs", "order_pairs", "temperature_pairs"),
)


@pytest.fixture
def page(monkeypatch):
    """Prints the page's parts from an atlas of a test's own."""

    def use(points):
        for module in (choosing_page, study_pages):
            monkeypatch.setattr(module, "atlas", lambda: points)
        for part in vars(choosing_page).values():
            if hasattr(part, "cache_clear"):
                part.cache_clear()
        return choosing_page

    yield use
    use(study_pages.read_points(study_pages.ATLAS))


def printed(page, name):
    part = getattr(page, name)
    return page.pairs(part) if name.endswith("pairs") else part()


@pytest.mark.parametrize("name", PRINTERS)
def test_empty_atlas_is_said_to_be_empty(page, name):
    text = printed(page(pd.DataFrame(columns=POINT.names)), name)
    assert page(pd.DataFrame(columns=POINT.names)).NOTHING in text or not re.search(r"\d %", text)


def test_figure_of_empty_atlas_says_so(page):
    page(pd.DataFrame(columns=POINT.names))
    assert "holds nothing on this yet" in study_pages.kl_figure()


@pytest.mark.parametrize("name", PRINTERS)
def test_every_rate_has_its_interval(page, name):
    text = printed(page(small_atlas()), name)
    rates = re.findall(r"\d %(?! ?\[|\])", text)
    assert not rates, text


def test_budget_table_is_what_rows_say(page):
    text = page(small_atlas()).by_budget()
    score = wilson(108, 120).percent()
    assert f"| 6 | 16 calls | `threshold (threshold=0.9)` | {score} | 10.0 | none |" in text
    assert "| 6 | 8 calls | `mdlm (steps=8)` |" in text
    assert "| 6 | 4 calls | `threshold (threshold=0.5)` |" in text


def test_pair_is_compared_on_same_rows(page):
    (pair,) = [p for p in page(small_atlas()).adaptive_pairs() if p.place.case == "6"]
    assert (pair.a, pair.b, pair.sign) == ("threshold (threshold=0.9)", "mdlm (steps=8)", 1)
    first, second = (pair.place.settings[name].score for name in (pair.a, pair.b))
    assert pair.comparison == mcnemar(first, second)
    assert "+23.3 points [" in pair.sentence() and "p < 0.001" in pair.sentence()
    assert "better in 1 of 1 cases, worse in 0" in page(small_atlas()).in_short()


def test_worse_and_equal_are_said_to_be_so(page):
    rows = rows_of("sudoku4", "6", "margin", {"steps": 1024, "temperature": 0}, 60, 16)
    rows += rows_of("sudoku4", "6", "first_hitting", {}, 118, 16)
    rows += rows_of("sudoku4", "6", "margin", {"steps": 1024, "temperature": 1}, 60, 16)
    choosing = page(summarise(pd.DataFrame(rows)))
    assert [pair.sign for pair in choosing.order_pairs()] == [-1]
    assert [pair.sign for pair in choosing.temperature_pairs()] == [0]
    assert "not distinguishable, +0.0 points" in choosing.pairs(choosing.temperature_pairs)
    assert "worse in 1" in choosing.in_short()


def test_settings_of_few_rows_are_left_out(page):
    rows = rows_of("sudoku4", "6", "mdlm", {"steps": 4}, 5, 4, count=10)
    rows += rows_of("sudoku4", "6", "mdlm", {"steps": 8}, 6, 8, count=10)
    assert page(summarise(pd.DataFrame(rows))).places() == ()


def test_card_of_model_waits_for_enough_rows(page):
    rows = rows_of("sudoku4", "6", "mdlm", {"steps": 4}, 60, 4, model="m")
    page(summarise(pd.DataFrame(rows)))
    assert study_pages.card_section("m") is None
    many = rows_of("sudoku4", "6", "mdlm", {"steps": 4}, 60, 4, model="m", count=240)
    page(summarise(pd.DataFrame(many)))
    assert f"| `mdlm (steps=4)` | {wilson(60, 240).percent()} | 4 |" in study_pages.card_section(
        "m"
    )
