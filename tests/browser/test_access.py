"""Who cannot see colours, holds no mouse or has a small screen: axe, the keyboard, a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

# Gradio's own: the footer's pictures repeat their words.
KNOWN = {"image-redundant-alt"}


def violations(page) -> list[str]:
    """What axe finds, a line a rule: its id and the first element that breaks it."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['target']} {rule['nodes'][0]['failureSummary']}"
            for rule in found if rule["id"] not in KNOWN]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_wrong(visit, dark):
    shown = visit(dark=dark, reduced_motion="reduce")
    shown.page.get_by_role("button", name="Load another model").click()
    shown.page.get_by_role("button", name="Loading options").click()
    assert violations(shown.page) == []
    shown.task("sudoku4")
    shown.text.fill("1 1[MASK]*14")  # no such grid: wrong cells are marked
    shown.open_settings(1)
    shown.run()
    for number in (1, 2, 3, 4):
        shown.at_the_end(number)
    shown.panel(1).locator("[role=option]").nth(3).focus()
    assert violations(shown.page) == []
    shown.page.get_by_role("tab", name="Metrics").click()
    expect(shown.page.locator("#metrics")).to_contain_text("Tokens per call")
    assert violations(shown.page) == []


def test_a_wrong_cell_is_told_by_more_than_colour(visit):
    shown = visit(reduced_motion="reduce")
    shown.task("sudoku4")
    shown.text.fill("1 1[MASK]*14")
    shown.run()
    wrong = shown.panel(1).locator(".wrong")
    expect(wrong.first).to_have_css("font-weight", "700")
    expect(wrong.first).to_have_css("border-top-style", "solid")
    expect(wrong.first).not_to_have_css("border-top-color", "rgba(0, 0, 0, 0)")


@pytest.mark.parametrize("task", ["sudoku9", "addition"])
def test_a_board_fits_a_phone(visit, task):
    shown = visit(width=390, height=844, reduced_motion="reduce")
    expect(shown.page.locator("#text textarea")).to_be_hidden()
    shown.page.get_by_role("button", name="Prompt and settings").click()
    shown.task(task)
    shown.page.get_by_role("button", name="Toggle Sidebar").click()
    expect(shown.page.locator("#text textarea")).to_be_hidden()
    shown.run()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = shown.panel(1).bounding_box()
    for cell in shown.panel(1).locator("[role=option]").all():
        box = cell.bounding_box()
        assert inside["x"] <= box["x"] and box["x"] + box["width"] <= inside["x"] + inside["width"]
    expect(shown.page.get_by_role("button", name="Use via API")).to_be_visible()


def test_whatever_has_the_focus_shows_it(visit):
    shown = visit()
    shown.task("capitals")
    seen = set()
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        tag, width = shown.page.evaluate(
            "(e => [e.tagName + (e.type || ''), e === document.body || e.type === 'radio' ? 2 : "
            "parseFloat(getComputedStyle(e).outlineWidth) * (getComputedStyle(e).outlineStyle !== "
            "'none')])(document.activeElement)"
        )
        assert width >= 1, (tag, shown.page.evaluate("document.activeElement.outerHTML"))
        seen.add(tag)
    assert {"INPUTnumber", "INPUTrange", "INPUTcheckbox", "TEXTAREAtextarea"} <= seen


def test_panels_begin_at_one_height_whatever_they_count(visit):
    shown = visit(reduced_motion="reduce")
    shown.text.fill("Tom and his dog")
    shown.run()
    expect(shown.panel(1).locator(".prompt")).to_have_text(["Tom", "and", "his", "dog"])
    tops = {round(shown.panel(n).locator(".grid").bounding_box()["y"]) for n in (1, 2, 3, 4)}
    assert len(tops) == 1
    rows = shown.panel(3).locator(".metrics div")
    expect(rows).not_to_have_count(3)
