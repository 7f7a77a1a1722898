"""Who cannot see colours, holds no mouse or has a small screen: axe, the keyboard, a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

# Gradio's own: the footer's pictures repeat their words.
KNOWN = {"image-redundant-alt"}


def violations(page) -> list[str]:
    """What axe finds, a line a rule: its id and the first element that breaks it."""
    results = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['target']} {rule['nodes'][0]['failureSummary']}"
            for rule in results if rule["id"] not in KNOWN]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_wrong(visit, dark):
    site = visit(dark=dark, reduced_motion="reduce")
    site.page.get_by_role("button", name="Load another model").click()
    site.page.get_by_role("button", name="Loading options").click()
    assert violations(site.page) == []
    site.task("sudoku4")
    site.text.fill("1 1[MASK]*14")  # no such grid: wrong cells are marked
    site.open_settings(1)
    site.run()
    for number in (1, 2, 3, 4):
        site.at_the_end(number)
    site.panel(1).locator("[role=option]").nth(3).focus()
    assert violations(site.page) == []
    site.page.get_by_role("tab", name="Metrics").click()
    expect(site.page.locator("#metrics")).to_contain_text("Tokens per call")
    assert violations(site.page) == []


def test_wrong_cell_is_told_by_more_than_colour(visit):
    site = visit(reduced_motion="reduce")
    site.task("sudoku4")
    site.text.fill("1 1[MASK]*14")
    site.run()
    wrong = site.panel(1).locator(".wrong")
    expect(wrong.first).to_have_css("font-weight", "700")
    expect(wrong.first).to_have_css("border-top-style", "solid")
    expect(wrong.first).not_to_have_css("border-top-color", "rgba(0, 0, 0, 0)")


@pytest.mark.parametrize("task", ["sudoku9", "addition"])
def test_board_fits_phone(visit, task):
    site = visit(width=390, height=844, reduced_motion="reduce")
    expect(site.page.locator("#text textarea")).to_be_hidden()
    site.page.get_by_role("button", name="Prompt and settings").click()
    site.task(task)
    site.page.get_by_role("button", name="Toggle Sidebar").click()
    expect(site.page.locator("#text textarea")).to_be_hidden()
    site.run()
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = site.panel(1).bounding_box()
    for cell in site.panel(1).locator("[role=option]").all():
        box = cell.bounding_box()
        assert inside["x"] <= box["x"] and box["x"] + box["width"] <= inside["x"] + inside["width"]
    expect(site.page.get_by_role("button", name="Use via API")).to_be_visible()


def test_whatever_has_focus_shows_it(visit):
    site = visit()
    site.task("capitals")
    seen = set()
    for _ in range(60):
        site.page.keyboard.press("Tab")
        tag, width = site.page.evaluate(
            "(e => [e.tagName + (e.type || ''), e === document.body || e.type === 'radio' ? 2 : "
            "parseFloat(getComputedStyle(e).outlineWidth) * (getComputedStyle(e).outlineStyle !== "
            "'none')])(document.activeElement)"
        )
        assert width >= 1, (tag, site.page.evaluate("document.activeElement.outerHTML"))
        seen.add(tag)
    assert {"INPUTnumber", "INPUTrange", "INPUTcheckbox", "TEXTAREAtextarea"} <= seen


def test_panels_begin_at_one_height_whatever_they_count(visit):
    site = visit(reduced_motion="reduce")
    site.text.fill("Tom and his dog")
    site.run()
    expect(site.panel(1).locator(".prompt")).to_have_text(["Tom", "and", "his", "dog"])
    tops = {round(site.panel(n).locator(".grid").bounding_box()["y"]) for n in (1, 2, 3, 4)}
    assert len(tops) == 1
    rows = site.panel(3).locator(".metrics div")
    expect(rows).not_to_have_count(3)
