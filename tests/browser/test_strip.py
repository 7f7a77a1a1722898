"""What stands above the panels and in their heads: said before Run, set in one place, linked."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from lab.ui.lessons import lessons
from lab.ui.permalink import from_query


@pytest.fixture
def board(visit):
    """The app with the small Sudoku chosen."""

    def open_board(**options):
        site = visit(reduced_motion="reduce", **options)
        site.task("sudoku4")
        return site

    return open_board


def head(site, number: int, name: str = "sampler"):
    return site.page.get_by_label(f"Panel {number}: {name}", exact=True)


def test_panel_says_what_run_would_do_before_and_after_change(board):
    site = board()
    said = site.panel(2).locator(".forecast")
    expect(said).to_contain_text("Next: at most 16 calls of sudoku4", timeout=30_000)
    site.page.get_by_label("one steps for all panels").check()
    site.page.get_by_label("steps", exact=True).fill("5")
    expect(said).to_contain_text("at most 5 calls", timeout=30_000)
    site.run()
    expect(said).to_be_empty()
    site.page.get_by_label("steps", exact=True).fill("7")
    expect(said).to_contain_text("at most 7 calls", timeout=30_000)


def test_sampler_and_preset_are_chosen_in_panels_head(board):
    site = board()
    head(site, 1).select_option("llada2")
    expect(head(site, 1)).to_be_focused()
    expect(site.page.get_by_label("Sampler of panel 1")).to_have_value("llada2")
    head(site, 1, "preset").select_option("llada2.1_quality")
    expect(site.page.get_by_label("Preset of panel 1")).to_have_value("llada2.1_quality")
    for number in (2, 3, 4):
        head(site, number).select_option("")
        expect(site.panel(number)).to_be_hidden()
    site.run()
    site.page.get_by_role("tab", name="Code").click()
    expect(site.page.locator("#python")).to_contain_text("preset='llada2.1_quality'")


def test_title_is_said_where_run_was_another_samplers(board):
    site = board()
    site.run()
    title = site.panel(2).locator(".title")
    expect(title).to_have_class("title lab-unseen")
    head(site, 2).select_option("remdm")
    expect(title).to_have_class("title")
    expect(title).to_be_visible()


def test_equal_calls_set_every_panels_steps(board):
    site = board()
    for number, name in enumerate(("mdlm", "remdm", "threshold", ""), 1):
        head(site, number).select_option(name)
    site.page.get_by_label("Calls of every panel").fill("6")
    site.page.get_by_role("button", name="Set steps").click()
    expect(site.page.locator("#status")).to_contain_text("at most 6 calls a panel")
    for number in (1, 2):
        said = site.panel(number).locator(".forecast")
        expect(said).to_contain_text("at most 6 calls", timeout=30_000)
    site.run()
    for number in (1, 2):
        assert int(site.panel(number).locator(".metrics dd").first.inner_text()) <= 6


def test_what_stops_all_panels_is_said_before_run(visit):
    site = visit()
    site.page.locator("#length input[type=number]").fill("256")
    site.page.keyboard.press("Tab")
    said = site.page.locator("#strip .said")
    expect(said).to_contain_text("prompt + gen_length must be at most 256", timeout=30_000)


def test_live_runs_again_on_release(board):
    site = board()
    for number in (1, 3, 4):
        head(site, number).select_option("")
    site.run()
    site.page.get_by_label("Run again when a setting changes").check()
    box = site.page.get_by_label("steps", exact=True)
    box.fill("4")
    box.press("Tab")
    expect(site.panel(2).locator(".metrics dd").first).to_have_text("4", timeout=30_000)


def test_link_restores_settings_and_runs(visit, url):
    site = visit(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    site.task("sudoku4")
    head(site, 1).select_option("margin")
    head(site, 4).select_option("")
    site.page.get_by_label("steps", exact=True).fill("6")
    site.text.fill("1 2 3 4[MASK]*12")
    site.page.locator("#seed input").fill("5")
    site.page.keyboard.press("Tab")
    site.page.get_by_role("button", name="Copy link").click()
    expect(site.page.locator("#status")).to_contain_text("Link copied: http")
    link = site.page.evaluate("navigator.clipboard.readText()")
    assert site.page.url == link
    linked = from_query(urlsplit(link).query)
    assert (linked.task, linked.text, linked.seed) == ("sudoku4", "1 2 3 4[MASK]*12", 5)
    site.leave_for(f"{link}&run=1")
    expect(site.page.locator("#status")).to_contain_text("3 done", timeout=60_000)
    expect(site.page.locator("#task input")).to_have_value("sudoku4")
    expect(head(site, 1)).to_have_value("margin")
    expect(site.page.locator("#seed input")).to_have_value("5")
    expect(site.panel(1).locator(".prompt")).to_have_text(["1", "2", "3", "4"])
    expect(site.panel(4)).to_be_hidden()
    expect(site.page.locator("#length input").first).to_be_disabled()


def test_wrong_link_says_so_and_leaves_page(visit, url):
    site = visit()
    site.leave_for(f"{url}?task=stories&1=mdlm&1.no=3")
    expect(site.page.locator("#status")).to_contain_text("This link cannot be opened: mdlm has no")
    expect(site.page.locator("#task input")).to_have_value(lessons()[0].task)


def test_keys_run_stop_go_and_explain(board):
    site = board()
    expect(site.panel(1).locator(".forecast")).to_contain_text("Next", timeout=30_000)
    site.text.focus()
    site.page.keyboard.press("Control+Enter")
    expect(site.page.locator("#status")).to_contain_text("done", timeout=60_000)
    site.page.locator("h1").click()
    site.page.keyboard.press("?")
    dialog = site.page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    site.page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    site.page.keyboard.press("3")
    assert site.page.evaluate("document.activeElement.closest('#panel-3') !== null")
    site.page.locator("h1").click()
    site.page.keyboard.press("ArrowLeft")
    expect(site.page.get_by_label("Scrub all panels")).to_have_value("990")
    site.text.fill("1")
    site.text.press("3")
    expect(site.text).to_have_value("13")


def test_skip_link_leads_to_panels(board):
    site = board()
    site.page.keyboard.press("Home")
    skip = site.page.get_by_role("link", name="Skip to the panels")
    skip.focus()
    skip.press("Enter")
    assert site.page.evaluate("document.activeElement.closest('#panel-1') !== null")
