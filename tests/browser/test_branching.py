"""From any step of a run that is over another one goes on, with what the reader changed."""

import re

import pytest
from playwright.sync_api import expect

CHANGED = re.compile(r"\bchanged\b")


@pytest.fixture
def alone(visit):
    """MDLM on capitals in the first panel, run, and no other panel."""
    site = visit(task="capitals", reduced_motion="reduce")
    for number in (2, 3, 4):
        site.sampler(number, "")
    site.sampler(1, "mdlm")
    site.run()
    site.at_the_end(1)
    return site


def cells(panel) -> list[str]:
    return panel.locator(".grid [role=option]").all_inner_texts()


def test_masked_token_is_filled_in_beside_its_parent(alone):
    site, panel = alone, alone.panel(1)
    expect(panel.locator(".branch")).to_be_hidden()
    before = cells(panel)
    cell = panel.locator(".grid [role=option]").nth(5)
    cell.click()
    panel.get_by_role("button", name="Mask this token").click()
    expect(cell).to_have_class(CHANGED)
    expect(panel.locator(".branch .what")).to_have_text(re.compile(r"^Step \d+, 1 changed$"))
    panel.get_by_role("button", name="Go on from here").click()
    expect(site.panel(2)).to_have_attribute("data-kind", "done", timeout=20_000)
    expect(site.panel(2).locator(".subtitle")).to_contain_text("goes on from panel 1, step")
    site.at_the_end(2)
    after = cells(site.panel(2))
    assert after[:5] == before[:5] and after[6:] == before[6 : len(after)]
    assert cells(panel)[:5] == before[:5]
    expect(panel).to_have_attribute("data-kind", "done")
    expect(site.page.get_by_label("Sampler of panel 2")).to_have_value("mdlm")
    site.page.get_by_role("tab", name="Code").click()
    expect(site.page.locator("#python")).to_contain_text("# A branch:")


def test_alternative_is_put_and_undone(alone):
    panel = alone.panel(1)
    panel.get_by_label("Step", exact=True).fill("1")
    expect(panel.locator(".branch .what")).to_have_text("Step 1")
    cell = panel.locator(".grid [role=option]").nth(3)
    cell.click()
    other = panel.locator(".inspect .top .change").nth(1)
    text = other.inner_text()
    other.click()
    expect(cell).to_have_class(CHANGED)
    expect(cell).to_have_text(text.replace("␣", " ").strip())
    panel.get_by_role("button", name="Undo changes").click()
    expect(cell).not_to_have_class(CHANGED)
    cell.click()
    panel.locator(".inspect .top .change").nth(1).click()
    panel.get_by_role("button", name="Keep what stood here").click()
    expect(cell).not_to_have_class(CHANGED)
    expect(panel.locator(".branch .what")).to_have_text("Step 1")


def test_other_sampler_goes_on_in_panel_that_is_chosen(alone):
    site, panel = alone, alone.panel(1)
    site.sampler(3, "margin")
    panel.get_by_label("Step", exact=True).fill("4")
    panel.get_by_label("Panel to go on in").select_option("3")
    panel.get_by_role("button", name="Go on from here").click()
    expect(site.panel(3)).to_have_attribute("data-kind", "done", timeout=20_000)
    expect(site.panel(3).locator(".subtitle")).to_contain_text("goes on from panel 1, step 4")
    expect(site.page.get_by_label("Sampler of panel 3")).to_have_value("margin")


def test_refused_branch_says_why_and_changes_nothing(alone):
    site, panel = alone, alone.panel(1)
    panel.get_by_label("Step", exact=True).fill("4")
    site.task("sudoku4")
    panel.get_by_role("button", name="Go on from here").click()
    expect(site.page.locator("#status")).to_contain_text("choose it as the task to go on")
    expect(panel).to_have_attribute("data-kind", "done")
