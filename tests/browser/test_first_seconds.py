"""The first ten seconds: a lesson plays as the page opens, and a card brings another."""

from playwright.sync_api import expect

from lab.ui import lessons


def test_page_opens_on_lesson_that_plays(visit):
    site = visit()
    expect(site.page.locator("#status")).to_have_text(lessons.lessons()[0].text, timeout=20_000)
    for number, _ in enumerate(lessons.lessons()[0].panels, 1):
        expect(site.panel(number).locator(".play")).to_have_attribute("aria-pressed", "true")
    scrub = site.panel(1).locator(".scrub")
    before = int(scrub.input_value())
    site.page.wait_for_function("([s, k]) => +s.value > k", arg=[scrub.element_handle(), before])
    site.at_the_end(1)
    expect(site.panel(1).locator(".play")).to_have_attribute("aria-pressed", "false")
    assert not site.panel(1).evaluate("panel => panel.classList.contains('stale')")


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
