"""Figures while a run goes on: drawn in the browser, for the tab in sight alone, until it ends."""

import re
import time
from collections.abc import Iterator

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import expect
from plotly.colors import sample_colorscale, unlabel_rgb

from lab.record.history import AFTER_EOS
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord, keep
from lab.ui.panel import TokenPanel
from lab.ui.panel_value import panel_value
from lab.ui.sketches import Sketches
from lab.ui.snippet import Code
from tests.browser.test_long_run import LONG_TASKS
from tests.kit.serving import served
from tests.kit.trajectories import make

KINDS = ("confidence", "order", "progress", "uncertainty")
TABS = {"confidence": "Confidence", "order": "Decoding order", "uncertainty": "Uncertainty"}
# Whether a canvas shows something in colour, above its scale.
PAINTED = """canvas => {
  const height = canvas.height - Math.ceil(60 * window.devicePixelRatio);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    count += data[i + 3] > 0 && Math.max(data[i], data[i + 1], data[i + 2])
      - Math.min(data[i], data[i + 1], data[i + 2]) > 40;
  }
  return count > 100;
}"""
LINES = ["____", "a___", "ab__", "ab_c", "abdc"]


def canvases(site, kind: str = ""):
    """The sketches in sight."""
    return site.page.locator(f"#sketch-{kind} canvas:visible" if kind else "canvas:visible")


def drawn(site, kind: str):
    """The final figures in sight."""
    return site.page.locator(f"[id^='{kind}-'] .js-plotly-plot:has(.main-svg):visible")


def painted(site, kind: str) -> None:
    canvas = canvases(site, kind).first.element_handle()
    site.page.wait_for_function(PAINTED, arg=canvas, timeout=30_000)


def open_tab(site, kind: str) -> None:
    site.page.get_by_role("tab", name=TABS[kind]).click()


def press_run(site) -> None:
    site.page.get_by_role("button", name="Run", exact=True).click()


def begin(visit):
    """A page whose first panel runs alone, longer than any test looks at it."""
    site = visit()
    site.alone("hybrid", 5000)
    return site


def wait_for_steps(site, steps: int) -> None:
    scrub = site.panel(1).locator(".scrub").element_handle()
    site.page.wait_for_function("([s, k]) => +s.max >= k", arg=[scrub, steps], timeout=90_000)


@pytest.fixture(scope="module")
def fixed() -> Iterator[str]:
    """A page with one panel of a run that goes on, a sketch of each kind, and its ends."""
    confidence = np.linspace(0.05, 1, 16).reshape(4, 4)
    run = make(LINES, confidence=confidence, entropy=confidence * 2, sampler="mdlm")
    record = PanelRecord("f" * 32, whole_film(run), run)
    keep("fixed", PageRuns([record], Code("", "")))
    later = make(LINES[:3], confidence=confidence[:2], entropy=confidence[:2], sampler="mdlm")
    second = PanelRecord("d" * 32, whole_film(later), later)
    keep("second", PageRuns([second], Code("", "")))
    with gr.Blocks() as demo:
        head = {"title": "MDLM", "subtitle": "a model · exact", **record.film.part(0)}
        panel = TokenPanel(panel_value("running", record.name, **head), elem_id="panel-1")
        for kind in KINDS:
            Sketches(kind)
        last = panel_value("running", record.name, **{**head, "settled": [3, AFTER_EOS]})
        gr.Button("settle").click(lambda: last, None, panel, queue=False)
        next_run = panel_value("running", second.name, **{**head, **second.film.part(0)})
        gr.Button("next run").click(lambda: next_run, None, panel, queue=False)
        over = panel_value("empty", "e" * 32)
        gr.Button("empty").click(lambda: over, None, panel, queue=False)
    yield from served(demo)


CELLS = """canvas => {
  const ratio = window.devicePixelRatio, context = canvas.getContext('2d');
  const width = canvas.clientWidth - 56, colours = [];
  for (let row = 0; row < 4; row++) for (let column = 0; column < 4; column++) {
    const x = 46 + width * (column + 0.5) / 4, y = 46 + 200 * (row + 0.5) / 4;
    const place = [x, y].map(length => Math.round(length * ratio));
    colours.push([...context.getImageData(...place, 1, 1).data]);
  }
  return colours;
}"""


def test_cells_have_colours_of_final_figure(visit, fixed):
    site = visit(path=fixed, reduced_motion="reduce")
    expect(canvases(site)).to_have_count(4)
    expect(canvases(site, "confidence")).to_have_attribute(
        "aria-label", "confidence: MDLM on a model, 4 steps so far"
    )
    colours = canvases(site, "confidence").evaluate(CELLS)
    standing = [letter != "_" for line in LINES[1:] for letter in line]
    confidence = np.linspace(0.05, 1, 16)
    for cell, stands, p in zip(colours, standing, confidence, strict=True):
        assert (cell[3] == 255) == stands
        expected = unlabel_rgb(sample_colorscale("Viridis", float(p))[0])
        assert not stands or np.allclose(cell[:3], expected, atol=16)


def test_every_kind_is_drawn_and_goes_with_its_run(visit, fixed):
    site = visit(path=fixed, reduced_motion="reduce")
    for kind in KINDS:
        expect(canvases(site, kind)).to_have_count(1)
        painted(site, kind)
    site.page.get_by_role("button", name="empty").click()
    expect(canvases(site)).to_have_count(0, timeout=30_000)


def test_nothing_of_one_run_stands_under_next(visit, fixed):
    site, held = visit(path=fixed, reduced_motion="reduce"), []
    painted(site, "uncertainty")
    site.page.route(re.compile("component_server"), lambda request: held.append(request))
    site.page.get_by_role("button", name="next run").click()
    end = time.monotonic() + 10
    while not held and time.monotonic() < end:
        site.page.wait_for_timeout(20)
    assert held  # the sketch has started over, and waits for its first numbers
    before = site.page.locator("canvas[aria-label^=uncertainty][aria-label*=' 4 ']:visible")
    assert not before.count()
    for request in held:
        request.continue_()
    expect(canvases(site, "uncertainty")).to_have_attribute(
        "aria-label", "uncertainty: MDLM on a model, 2 steps so far"
    )


def test_last_step_is_drawn_as_it_was_settled(visit, fixed):
    site = visit(path=fixed, reduced_motion="reduce")
    expect(canvases(site)).to_have_count(4)
    assert canvases(site, "confidence").evaluate(CELLS)[-1][3] == 255
    site.page.get_by_role("button", name="settle").click()
    end = time.monotonic() + 5
    while canvases(site, "confidence").evaluate(CELLS)[-1][3] and time.monotonic() < end:
        site.page.wait_for_timeout(100)
    assert [cell[3] for cell in canvases(site, "confidence").evaluate(CELLS)[-2:]] == [255, 0]


@pytest.mark.parametrize("kind", TABS)
def test_sketches_grow_and_final_figures_take_their_place(visit, kind):
    site = begin(visit)
    open_tab(site, kind)
    press_run(site)
    first = canvases(site, kind).first
    expect(first).to_be_visible(timeout=30_000)
    expect(drawn(site, kind)).to_have_count(0)
    wait_for_steps(site, 30)
    early = first.get_attribute("aria-label")
    if kind != "order":  # hybrid writes its first token late
        painted(site, kind)
    expect(first).not_to_have_attribute("aria-label", early, timeout=30_000)
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.panel(1)).to_have_attribute("data-kind", "stopped", timeout=30_000)
    began = time.monotonic()  # from here on a figure is in sight at any time
    while not drawn(site, kind).count() and time.monotonic() - began < 30:
        assert canvases(site, kind).count() or drawn(site, kind).count()
    expect(drawn(site, kind)).not_to_have_count(0, timeout=30_000)
    expect(canvases(site)).to_have_count(0, timeout=30_000)
    # A second run begins with nothing of the first.
    press_run(site)
    expect(drawn(site, kind)).to_have_count(0, timeout=30_000)
    expect(first).to_be_visible(timeout=30_000)
    steps = int(first.get_attribute("aria-label").rsplit(",", 1)[1].split()[0])
    assert steps <= int(site.panel(1).locator(".scrub").get_attribute("max"))
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(canvases(site)).to_have_count(0, timeout=30_000)


def test_other_tabs_cost_nothing(visit):
    site, requests = begin(visit), []
    for kind in (*TABS, "confidence"):  # mounted, all of them
        open_tab(site, kind)
    site.page.evaluate("""() => {
      window.paints = {};
      const scale = CanvasRenderingContext2D.prototype.scale;
      CanvasRenderingContext2D.prototype.scale = function (...by) {
        const kind = this.canvas.getAttribute('aria-label')?.split(':')[0] || 'new';
        window.paints[kind] = (window.paints[kind] || 0) + 1;
        return scale.apply(this, by);
      };
    }""")
    site.page.on("request", lambda sent: "component_server" in sent.url and requests.append(sent))
    press_run(site)
    wait_for_steps(site, 10)
    began = time.monotonic()
    wait_for_steps(site, 120)
    paints, seconds = site.page.evaluate("window.paints"), time.monotonic() - began
    others = set(paints) - {"confidence", "new"}
    assert not others and paints["confidence"] <= 2 * seconds + 6, (paints, seconds)
    assert not [one for one in requests if "entropies" in (one.post_data or "")]
    site.page.get_by_role("tab", name="Tokens").click()
    before = site.page.evaluate("window.paints")
    site.page.wait_for_timeout(1200)
    assert site.page.evaluate("window.paints") == before
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.panel(1)).to_have_attribute("data-kind", "stopped", timeout=30_000)


def test_failed_run_leaves_no_sketch(visit):
    site = begin(visit)
    open_tab(site, "confidence")
    press_run(site)
    expect(canvases(site, "confidence")).to_have_count(1, timeout=30_000)
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(drawn(site, "confidence")).to_have_count(1, timeout=30_000)
    site.page.get_by_label("steps of panel 1", exact=True).fill("0")
    press_run(site)
    expect(site.panel(1)).to_have_attribute("data-kind", "error", timeout=30_000)
    expect(drawn(site, "confidence")).to_have_count(0)
    expect(canvases(site)).to_have_count(0)


def test_sketches_keep_page_as_free_as_tokens_do(visit):
    site, busy = visit(), []
    site.task("stories")
    site.alone("hybrid", 1000)
    site.page.locator("#length input[type=number]").fill("250")
    press_run(site)
    for first, tab in ((20, "Tokens"), (90, "Confidence")):
        site.page.get_by_role("tab", name=tab).click()
        wait_for_steps(site, first)
        site.page.evaluate(LONG_TASKS)
        wait_for_steps(site, first + 50)
        busy.append(sum(length for _, length in site.page.evaluate("window.longTasks")))
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.panel(1)).to_have_attribute("data-kind", "stopped", timeout=30_000)
    tokens, sketches = busy
    assert sketches < 3 * tokens + 1000, busy  # other work on the machine stretches both alike
