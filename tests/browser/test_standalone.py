"""The downloaded HTML in a browser without a network, as whoever it was sent to opens it."""

import pytest
from playwright.sync_api import expect

from lab.ui import standalone
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel_value import panel_value
from lab.ui.snippet import Code
from tests.browser.test_panel import HOSTILE, SHOWN
from tests.kit.trajectories import make


@pytest.fixture
def alone(browser):
    """Opens a file with no network; whatever goes wrong on the page fails the test."""
    errors, contexts = [], []

    def open_file(path, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert not errors


def test_downloaded_comparison_plays_by_itself(visit, alone, tmp_path):
    site = visit(reduced_motion="reduce")
    site.task("sudoku4")
    site.run()
    with site.page.expect_download() as waiting:
        site.exports.select_option("html")
    assert waiting.value.suggested_filename == "trajectories-sudoku4-seed0.html"
    waiting.value.save_as(tmp_path / "run.html")
    page = alone(tmp_path / "run.html", viewport={"width": 390, "height": 844},
                 color_scheme="dark")  # fmt: skip
    panels = page.locator(".lab-panel")
    expect(panels).to_have_count(4)
    for number in (1, 2, 3, 4):
        inside, there = panels.nth(number - 1), site.panel(number)
        expect(inside.locator(".title")).to_have_text(there.locator(".title").inner_text())
        scrub = inside.locator(".scrub")
        expect(scrub).to_have_js_property("value", scrub.get_attribute("max"), timeout=30_000)
        expect(there.locator(".mask")).to_have_count(0)
        expected = there.locator("[role=option]").all_inner_texts()
        expect(inside.locator("[role=option]")).to_have_text(expected)
    page.get_by_label("Scrub all panels").fill("0")
    expect(panels.nth(1).locator(".mask")).to_have_count(16)
    page.get_by_label("Play all panels").click()
    expect(panels.nth(1).locator(".mask")).to_have_count(0, timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.body.classList.contains('dark')")


def test_hostile_tokens_are_only_text_there_too(alone, tmp_path):
    lines = ["_____", "a____", "ab___", "abc__", "abcd_", "abcde"]
    run = make(lines, pieces={k: v for k, v in HOSTILE.items() if k < 4} | {4: SHOWN[4]})
    record = PanelRecord("1", whole_film(run), run)
    record.head = panel_value("done", "1", title=HOSTILE[1], message=HOSTILE[2],
                              subtitle=HOSTILE[0], metrics=[[HOSTILE[2]] * 3])  # fmt: skip
    standalone.save(tmp_path / "x.html", PageRuns([record], Code(HOSTILE[2], HOSTILE[2])))
    page = alone(tmp_path / "x.html", reduced_motion="reduce")
    expect(page.locator("[role=option]")).to_have_text(SHOWN)
    expect(page.locator(".lab-panel .title")).to_have_text(HOSTILE[1])
    assert page.evaluate("document.body.dataset.hacked") is None
