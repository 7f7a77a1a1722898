"""The first ten seconds: a card brings a lesson that plays."""

from playwright.sync_api import expect

from lab.ui import lessons
from samplers import SAMPLERS


def test_page_opens_on_lesson_that_plays(visit):
    first = lessons.lessons()[0]
    site = visit(task=None)
    expect(site.page.locator("#status")).to_have_text(first.text, timeout=20_000)
    expect(site.page.locator("#task input")).to_have_value(first.task)
    expect(site.panel(1).locator(".play")).to_have_attribute("aria-pressed", "true")
    expect(site.exports).to_be_enabled()


def test_link_opens_on_lesson_it_names(visit, url):
    site = visit()
    lesson = next(one for one in lessons.lessons() if one.name == "infill")
    site.leave_for(f"{url}?lesson={lesson.name}")
    expect(site.page.locator("#status")).to_have_text(lesson.text, timeout=20_000)
    expect(site.text).to_have_value(lesson.prompt)


def test_card_plays_lesson_from_its_first_step(visit):
    site = visit()
    lesson = lessons.lessons()[0]
    site.page.get_by_role("button", name=lesson.title).click()
    expect(site.page.locator("#status")).to_have_text(lesson.text, timeout=20_000)
    expect(site.panel(1).locator(".play")).to_have_attribute("aria-pressed", "true")
    site.at_the_end(1)
    expect(site.panel(1).locator(".play")).to_have_attribute("aria-pressed", "false")


def test_card_brings_settings_that_run_gives_again(visit):
    site = visit(reduced_motion="reduce")
    lesson = next(one for one in lessons.lessons() if one.name == "parallel")
    site.page.get_by_role("button", name=lesson.title).click()
    expect(site.page.locator("#status")).to_have_text(lesson.text)
    expect(site.page.locator("#task input")).to_have_value(lesson.task)
    expect(site.text).to_have_value(lesson.prompt)
    expect(site.page.locator("#seed input")).to_have_value(str(lesson.seed))
    recorded = [site.panel(n).locator(".grid").inner_text() for n in (1, 2, 3, 4)]
    expect(site.panel(1).locator(".subtitle")).to_contain_text("recorded")
    site.run()
    expect(site.panel(1).locator(".subtitle")).not_to_contain_text("recorded")
    for number, text in enumerate(recorded, 1):
        site.at_the_end(number)
        assert site.panel(number).locator(".grid").inner_text() == text


def test_text_is_written_out_and_copied(visit):
    site = visit(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    site.page.get_by_role("button", name="Tokens written together").click()
    panel = site.panel(1)
    text = panel.locator(".plain .text")
    expect(text).to_contain_text(" is ")
    panel.get_by_role("button", name="Copy the text").click()
    expect(panel.locator(".copy")).to_have_text("Copied")
    assert site.page.evaluate("navigator.clipboard.readText()") == text.inner_text()


def test_samplers_are_explained_in_tab_of_their_own(visit):
    site = visit()
    site.page.get_by_role("tab", name="Samplers").click()
    text = site.page.locator("#about-samplers")
    expect(text).to_contain_text("MDLM (absorbing)", timeout=20_000)
    expect(text.locator("h3")).to_have_count(len(SAMPLERS))
