"""Several rows of a panel: thumbnails of all, the film of the one that is chosen."""

import re

from playwright.sync_api import expect


def cells(panel) -> list[str]:
    return panel.locator(".grid [role=option]").all_inner_texts()


def test_rows_are_counted_and_each_can_be_looked_at(visit):
    site = visit(task="sudoku4", reduced_motion="reduce")
    for number in (2, 3, 4):
        site.sampler(number, "")
    site.sampler(1, "mdlm")
    expect(site.panel(1).locator(".rows")).to_be_hidden()
    site.page.locator("#rows input[type=number]").fill("6")
    site.page.locator("#rows input[type=number]").press("Tab")
    site.run()
    panel = site.panel(1)
    site.at_the_end(1)
    rows = panel.locator(".row")
    expect(rows).to_have_count(6)
    expect(rows.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(0)).to_have_attribute("aria-label", re.compile(r"^row 1: (not )?solved, \d+"))
    expect(panel.locator(".metrics")).to_contain_text("Solved")
    first = cells(panel)
    seen = {tuple(first)}
    for number in range(1, 6):
        rows.nth(number).click()
        expect(rows.nth(number)).to_have_attribute("aria-pressed", "true")
        site.at_the_end(1)
        seen.add(tuple(cells(panel)))
        solved = rows.nth(number).get_attribute("data-ok") == "true"
        expect(panel.locator(".verdict")).to_have_attribute("data-ok", str(solved).lower())
    assert len(seen) > 2
    rows.nth(5).focus()
    site.page.keyboard.press("ArrowLeft")
    expect(rows.nth(4)).to_be_focused()
    rows.nth(0).click()
    expect(rows.nth(0)).to_have_attribute("aria-pressed", "true")
    site.at_the_end(1)
    assert cells(panel) == first
    cell = panel.locator(".grid [role=option]").nth(3)
    cell.click()
    expect(panel.locator(".inspect .top")).to_be_visible()
    site.page.get_by_role("tab", name="Code").click()
    expect(site.page.locator("#python")).to_contain_text("rows=6")
