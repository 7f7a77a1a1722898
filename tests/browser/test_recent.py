"""Runs of this browser are kept in it, and open again without the server."""

import json

import pytest
from playwright.sync_api import expect


def cells(panel) -> list[str]:
    return panel.locator(".grid [role=option]").all_inner_texts()


@pytest.fixture
def ran(visit):
    site = visit(task="capitals", reduced_motion="reduce")
    for number in (3, 4):
        site.sampler(number, "")
    menu = site.page.get_by_label("Recent runs of this browser")
    expect(menu).to_be_disabled()
    site.run()
    site.at_the_end(1)
    expect(menu).to_be_enabled()
    return site, menu


def test_run_opens_again_without_server(ran):
    site, menu = ran
    texts = [cells(site.panel(number)) for number in (1, 2)]
    site.page.locator("#seed input").fill("77")
    site.run()
    site.at_the_end(1)
    expect(menu.locator("option")).to_have_count(4)  # its name, two runs, the way to forget them
    assert [cells(site.panel(number)) for number in (1, 2)] != texts
    site.leave_for(site.page.url)
    expect(menu).to_be_enabled(timeout=30_000)
    site.page.context.set_offline(True)
    menu.select_option(index=2)
    expect(site.page.locator("#status")).to_contain_text("Opened from this browser")
    for number, text in zip((1, 2), texts, strict=True):
        site.at_the_end(number)
        assert cells(site.panel(number)) == text
    for number in (3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "empty")
    site.page.context.set_offline(False)
    site.errors.clear()  # Gradio's page says that it is offline


def test_recent_runs_can_be_forgotten(ran):
    site, menu = ran
    menu.select_option("forget")
    expect(menu).to_be_disabled()
    assert site.page.evaluate("localStorage.getItem('sampler-lab-recent')") == "[]"


@pytest.mark.parametrize("text", ["{", "3", '[{"panels": 3}]', "[null]", '"x"'])
def test_what_is_no_run_is_passed_over(ran, text):
    site, menu = ran
    write = "text => localStorage.setItem('sampler-lab-recent', text)"
    site.page.evaluate(write, text)
    site.leave_for(site.page.url)
    expect(site.panel(1)).to_be_visible(timeout=30_000)
    expect(menu).to_be_disabled()


def test_lesson_is_no_recent_run(visit):
    site = visit(task=None)
    expect(site.panel(1)).to_have_attribute("data-kind", "done", timeout=30_000)
    site.page.wait_for_timeout(1500)
    expect(site.page.get_by_label("Recent runs of this browser")).to_be_disabled()


def test_only_as_many_as_fit_are_kept(ran):
    site, _ = ran
    fill = """text => {
      const run = { title: 'old', names: 'x', panels: [text] };
      localStorage.setItem('sampler-lab-recent', JSON.stringify(Array(6).fill(run)));
    }"""
    site.page.evaluate(fill, "x" * 700_000)
    site.run()
    site.at_the_end(1)
    site.page.wait_for_function(
        "() => JSON.parse(localStorage.getItem('sampler-lab-recent'))[0].title !== 'old'"
    )
    saved = json.loads(site.page.evaluate("localStorage.getItem('sampler-lab-recent')"))
    assert 2 <= len(saved) < 7 and saved[0]["title"] != "old"
