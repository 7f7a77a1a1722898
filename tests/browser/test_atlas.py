"""The Study tab: the atlas at once, hover, legend, verdicts, click-through, measuring, files."""

import json
from pathlib import Path
from time import sleep

import pytest
from playwright.sync_api import expect

from lab.study.points import read_points, write_points
from lab.study.summary import summarise
from lab.ui import picture, slot
from tests.browser.test_access import violations
from tests.kit.points import small_atlas

ATLAS = small_atlas()


@pytest.fixture
def atlas(monkeypatch):
    """A small atlas of known numbers instead of the one that ships."""
    monkeypatch.setattr(picture, "atlas", lambda: ATLAS)


@pytest.fixture
def study(visit, atlas):
    """The page with its Study tab open."""

    def open_study(**options):
        site = visit(reduced_motion="reduce", **options)
        site.page.get_by_role("tab", name="Study").click()
        expect(site.page.locator("#study .mark").first).to_be_visible(timeout=20_000)
        return site

    return open_study


def marks(site):
    return site.page.locator("#study .mark")


def load(site, path: Path) -> None:
    with site.page.expect_file_chooser() as chooser:
        site.page.get_by_role("button", name="Load points").click()
    chooser.value.set_files(path)


def test_atlas_is_drawn_without_any_model_call(study, monkeypatch):
    def fail(*_):
        raise AssertionError("a model was called")

    monkeypatch.setattr("lab.ui.live_study.batches", fail)
    site = study()
    expect(marks(site)).to_have_count(6)
    expect(site.page.locator("#study .bar")).to_have_count(6)
    answer = site.page.locator("#study .answer")
    expect(answer.locator(".first")).to_contain_text("At most 12 calls: threshold (threshold=0.9)")
    expect(answer.locator("li").first).to_contain_text("mdlm (steps=8)")
    expect(answer.locator("li").first).to_contain_text("really worse")
    assert violations(site.page) == []


def test_point_says_its_setting_and_legend_hides_it(study):
    site = study()
    point = site.page.locator('#study [data-name="threshold (threshold=0.9)"]')
    point.hover(force=True)
    tip = site.page.locator("#study .tip")
    expect(tip).to_contain_text("threshold=0.9")
    expect(tip).to_contain_text("90.0 % [83.3, 94.2], 120 rows")
    expect(tip).to_contain_text("10 calls")
    site.page.locator("#study .legend").get_by_role("button", name="threshold").click()
    expect(marks(site)).to_have_count(4)
    site.page.locator("#study .legend").get_by_role("button", name="Show all").click()
    expect(marks(site)).to_have_count(6)


def test_case_and_axes_change_what_is_drawn(study):
    site = study()
    site.page.get_by_label("Cost, to the right").select_option("model_seconds")
    expect(site.page.locator("#study svg text.name").first).to_have_text("Model seconds")
    expect(site.page.locator("#study .amount")).to_contain_text("seconds")
    site.page.get_by_label("Case of the picture").select_option("4")
    expect(marks(site)).to_have_count(2)
    site.page.get_by_label("Task of the picture").select_option("stories")
    expect(site.page.get_by_label("Quality, upwards")).to_have_value("nats")
    expect(site.page.locator("#study .under")).to_be_hidden()
    expect(site.page.get_by_label("Cost, to the right").locator("option")).to_have_count(4)


def test_best_follows_budget(study):
    site = study()
    site.page.locator("#study .budget").fill("0")
    first = site.page.locator("#study .answer .first")
    expect(first).to_contain_text("At most 2 calls: mdlm (steps=2)")
    expect(site.page.locator("#study .mark.best")).to_have_attribute("data-name", "mdlm (steps=2)")


def test_clicked_point_runs_in_compare(study):
    site = study()
    site.page.locator('#study [data-name="threshold (threshold=0.5)"]').click(force=True)
    card = site.page.locator("#study .point")
    expect(card).to_contain_text("threshold=0.5")
    card.get_by_label("into panel 3").click()
    expect(site.page.locator("#study-status")).to_contain_text("Panel 3 of Compare now has")
    site.page.get_by_role("tab", name="Compare").click()
    expect(site.page.locator("#task input")).to_have_value("sudoku4")
    expect(site.page.get_by_label("Sampler of panel 3")).to_have_value("threshold")
    site.open_settings(3)
    expect(site.page.get_by_label("threshold of panel 3", exact=True)).to_have_value("0.5")
    assert site.text.input_value().count("[MASK]") >= 1
    for number in (1, 2, 4):
        site.sampler(number, "")
    site.run()
    expect(site.panel(3)).to_have_attribute("data-kind", "done")
    expect(site.panel(3).locator(".notes")).to_contain_text("The atlas: 55.0 % solved")


def test_panels_are_measured_and_stopped(study, monkeypatch):
    stop = slot.stop
    monkeypatch.setattr(slot, "stop", lambda session: (stop(session), sleep(1))[0])
    site = study()
    for number, name in enumerate(("mdlm", "threshold", "", ""), 1):
        site.sampler(number, name)
    site.page.locator("#instances input[type=number]").fill("20")
    site.page.keyboard.press("Tab")
    site.page.locator("#measure").click()
    status = site.page.locator("#study-status")
    expect(status).to_contain_text("20 rows of each of 2 settings", timeout=60_000)
    expect(site.page.locator("#study .mark.own")).to_have_count(2)
    expect(site.page.locator("#measure")).to_be_enabled()
    site.page.locator("#instances input[type=number]").fill("500")
    site.page.keyboard.press("Tab")
    site.page.locator("#measure").click()
    expect(status).to_contain_text("Measuring")
    site.page.get_by_role("button", name="Stop measuring").click()
    expect(status).to_contain_text("stopped; what was measured stays", timeout=30_000)
    site.page.wait_for_timeout(1500)  # the answer of Stop is in by now, and covers nothing
    expect(status).to_contain_text("stopped; what was measured stays")
    expect(site.page.locator("#study .mark.own")).to_have_count(2)


@pytest.mark.parametrize("suffix", ["CSV", "Parquet"])
def test_points_are_downloaded_and_loaded_again(study, tmp_path: Path, suffix: str):
    site = study()
    with site.page.expect_download() as waiting:
        site.page.get_by_role("button", name=f"Points as {suffix}").click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"points-sudoku4-6.{suffix.lower()}"
    points = read_points(path)
    assert len(points) == 6
    load(site, path)
    status = site.page.locator("#study-status")
    expect(status).to_contain_text("the atlas has all of its points already")
    write_points(points.assign(hashes="AAAAAA=="), path)
    load(site, path)
    expect(status).to_contain_text("Loaded 6 points")
    expect(site.page.locator("#study .mark.own")).to_have_count(6)
    write_points(points.assign(settings=json.dumps({"steps": -1})), path)
    load(site, path)
    expect(status).to_contain_text("line 2: ")
    expect(site.page.locator("#study .mark.own")).to_have_count(6)


def test_phone_shows_all_without_sideways_scroll(study):
    site = study(width=390, height=844)
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    # asked in one go: the chart is drawn anew as its width settles
    edges = "({left, right}) => [left, right]"
    left, right = site.page.evaluate(
        f"({edges})(document.querySelector('#study .chart svg').getBoundingClientRect())"
    )
    assert 0 <= left < right <= 390
    site.page.locator("#study summary").click()
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(site.page) == []


def test_nothing_of_atlas_is_sent_before_its_tab_is_opened(visit, atlas, monkeypatch):
    queries = []
    monkeypatch.setattr(picture, "points_of", lambda *each: queries.append(each) or summarise)
    site = visit()
    expect(site.page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    assert not queries and site.page.locator("#study").count() == 0
