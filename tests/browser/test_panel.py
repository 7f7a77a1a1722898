"""The token panel by itself: hostile tokens, the keyboard, small screens, dark, and calm."""

import re
from collections.abc import Iterator

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord, keep
from lab.ui.panel import TokenPanel
from lab.ui.panel_value import panel_value
from lab.ui.snippet import Code
from tests.kit.serving import served
from tests.kit.trajectories import make

HOSTILE = {
    0: "${1+1}",
    1: "</script><script>document.body.dataset.hacked=1</script>",
    2: "<img src=x onerror=\"document.body.dataset.hacked='1'\">",
    3: "\\u00 `${alert(1)}` {{this}}",
    4: "\ud800\u202e\0\u200b",
}
SHOWN = [*(HOSTILE[i] for i in range(4)), "⟨U+D800⟩⟨U+202E⟩␀⟨U+200B⟩"]


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    """A page with one panel of a run whose five tokens are all hostile, message and title too."""
    lines = ["_____", "a____", "ab___", "abc__", "abcd_", "abcde"]
    top = np.zeros((5, 5, 5), int)
    top[..., :] = range(5)
    run = make(lines, pieces=HOSTILE, top_ids=top, top_probabilities=np.full(top.shape, 0.2))
    record = PanelRecord("hostile", whole_film(run), run)
    keep("hostile", PageRuns([record], Code("", "")))
    value = panel_value(
        "done", "hostile", title=HOSTILE[1], subtitle=HOSTILE[2], message=HOSTILE[2],
        notes=[HOSTILE[2]], metrics=[[HOSTILE[2]] * 3],
        verdict={"ok": False, "text": HOSTILE[2], "wrong": [4]}, **record.film.part(0),
    )  # fmt: skip
    with gr.Blocks() as demo:
        TokenPanel(value, elem_id="panel-1")
    yield from served(demo)


def cells(site) -> Locator:
    return site.panel(1).locator("[role=option]")


def test_hostile_tokens_are_only_text(visit, hostile):
    site = visit(path=hostile)
    site.at_the_end(1)
    expect(cells(site)).to_have_text(SHOWN)
    for index in range(5):
        cells(site).nth(index).hover()
        expect(site.panel(1).locator(".inspect .head b")).to_have_text(SHOWN[index])
        expect(site.panel(1).locator(".inspect .top li")).to_have_count(5)
    expect(site.panel(1).locator(".title")).to_have_text(HOSTILE[1])
    assert site.page.evaluate("document.body.dataset.hacked") is None
    assert site.page.locator(".lab-panel img, .lab-panel script").count() == 0


def test_keyboard_walks_tokens(visit, hostile):
    site = visit(path=hostile)
    site.at_the_end(1)
    site.panel(1).get_by_label("Step").focus()
    site.page.keyboard.press("Tab")
    expect(cells(site).nth(0)).to_be_focused()
    site.page.keyboard.press("ArrowRight")
    expect(cells(site).nth(1)).to_be_focused()
    expect(cells(site).nth(1)).to_have_attribute("aria-selected", "true")
    expect(site.panel(1).locator(".inspect .facts").first).to_contain_text("position 1")
    site.page.keyboard.press("End")
    expect(cells(site).nth(4)).to_be_focused()
    site.page.keyboard.press("Home")
    expect(cells(site).nth(0)).to_be_focused()
    assert site.panel(1).locator("[role=option][tabindex='0']").count() == 1
    site.page.keyboard.press("Shift+Tab")
    site.page.keyboard.press("ArrowLeft")
    expect(cells(site).nth(4)).to_have_class("mask")
    label = re.compile("position 4: ░, still masked")
    expect(cells(site).nth(4)).to_have_attribute("aria-label", label)


def test_states_are_told_by_more_than_colour(visit, hostile):
    site = visit(path=hostile)
    site.at_the_end(1)
    site.panel(1).get_by_label("Step").fill("3")
    now = cells(site).nth(2)
    expect(now).to_have_class("committed now")
    expect(now).to_have_css("font-weight", "700")
    expect(cells(site).nth(1)).to_have_class("committed")
    expect(cells(site).nth(3)).to_have_text("░")


def test_nothing_moves_by_itself_for_who_asked_for_calm(visit):
    site = visit(reduced_motion="reduce")
    site.task("capitals")
    site.run()
    for number in (1, 2, 3, 4):
        scrub = site.panel(number).locator(".scrub")
        assert scrub.input_value() == scrub.get_attribute("max")


@pytest.mark.parametrize(("width", "height", "dark"), [(390, 844, False), (390, 844, True),
                                                       (1500, 1000, True)])  # fmt: skip
def test_phone_and_dark(visit, width, height, dark):
    site = visit(width=width, height=height, dark=dark)
    wide = site.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    if width < 768:
        expect(site.page.locator(".sidebar")).not_to_have_class("open")
        expect(site.page.get_by_role("button", name="Run", exact=True)).to_be_in_viewport()
    else:
        site.task("capitals")
    site.run()
    for number in (1, 2, 3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "done")
        site.panel(number).scroll_into_view_if_needed()  # a phone's panels stand side by side
        box = site.panel(number).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert site.page.evaluate("document.documentElement.scrollWidth") <= width
