"""A run of a thousand steps: the page stays free, Stop works, every step arrives once."""

import time
from collections.abc import Iterator

import gradio as gr
import pytest
from playwright.sync_api import expect

from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord, keep
from lab.ui.panel import TokenPanel
from lab.ui.panel_value import panel_value
from lab.ui.snippet import Code
from tests.kit.serving import served
from tests.kit.trajectories import make

LONG_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver(list => list.getEntries().forEach(entry => window.longTasks.push(
    [Math.round(entry.startTime), Math.round(entry.duration)]))).observe({ type: 'longtask' });
}"""


def begin(visit, steps: int, **options):
    """A page whose first panel runs hybrid on capitals for so many steps, alone."""
    site = visit(**options)
    site.task("capitals")
    site.alone("hybrid", steps)
    return site


def test_stop_works_at_any_time_of_long_run(visit):
    site = begin(visit, 4000)
    site.page.get_by_role("button", name="Run", exact=True).click()
    scrub = site.panel(1).locator(".scrub")
    site.page.wait_for_function("scrub => +scrub.max > 300", arg=scrub.element_handle())
    began = time.monotonic()
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.panel(1)).to_have_attribute("data-kind", "stopped", timeout=10_000)
    assert time.monotonic() - began < 10
    assert 300 < int(scrub.get_attribute("max")) < 4000


def test_long_run_leaves_page_free(visit):
    site = begin(visit, 1000)
    scrub = site.panel(1).locator(".scrub")
    site.page.get_by_role("button", name="Run", exact=True).click()
    busy = []
    for first, last in ((50, 350), (650, 950)):
        site.page.wait_for_function(
            "([scrub, k]) => +scrub.max >= k", arg=[scrub.element_handle(), first], timeout=90_000
        )
        site.page.evaluate(LONG_TASKS)
        site.page.wait_for_function(
            "([scrub, k]) => +scrub.max >= k", arg=[scrub.element_handle(), last], timeout=90_000
        )
        busy.append(site.page.evaluate("window.longTasks").copy())
    early, late = (sum(length for _, length in tasks) for tasks in busy)
    # Other work on the machine stretches both alike; work that grows with the run does not.
    assert late < 3 * early + 1000, busy


@pytest.fixture(scope="module")
def parts() -> Iterator[str]:
    """A panel, and a button for each of three pushes of one run of five steps."""
    run = make(["_____", "a____", "ab___", "abc__", "abcd_", "abcde"])
    record = PanelRecord("a" * 32, whole_film(run), run)
    keep("parts", PageRuns([record], Code("", "")))
    steps = record.film.steps
    first = {**record.film.part(0), "steps": f"[{','.join(steps[:2])}]", "count": 2}
    pushes = {"first": first, "last": record.film.part(4), "whole": record.film.part(0)}
    pushes["silent"] = {**record.film.part(0), "pieces": {}}
    with gr.Blocks() as demo:
        panel = TokenPanel(elem_id="panel-1")
        for name, part in pushes.items():
            value = panel_value("running", record.name, **part)
            gr.Button(name).click(lambda value=value: value, None, panel, queue=False)
    yield from served(demo)


def test_lost_and_repeated_pushes_make_one_film(visit, parts):
    site, requests = visit(path=parts, reduced_motion="reduce"), []
    site.page.on("request", lambda sent: "component_server" in sent.url and requests.append(1))
    scrub = site.panel(1).locator(".scrub")

    def push(name: str, steps: int) -> None:
        site.page.get_by_role("button", name=name, exact=True).click()
        expect(scrub).to_have_attribute("max", str(steps), timeout=15_000)

    push("first", 2)
    push("whole", 5)
    push("first", 5)  # late: what it holds is known
    assert not requests
    expect(site.panel(1).locator("[role=option]")).to_have_text(["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("push", ["last", "silent"])  # of steps, of their texts
def test_gap_is_asked_for(visit, parts, push):
    site, requests = visit(path=parts, reduced_motion="reduce"), []
    site.page.on("request", lambda sent: "component_server" in sent.url and requests.append(1))
    site.page.get_by_role("button", name=push, exact=True).click()
    cells = site.panel(1).locator("[role=option]")
    expect(cells).to_have_text(["a", "b", "c", "d", "e"], timeout=15_000)
    assert len(requests) == 1
    scrub = site.panel(1).locator(".scrub")
    expect(scrub).to_have_attribute("max", "5")
    scrub.fill("2")
    expect(cells).to_have_text(["a", "b", "░", "░", "░"])


@pytest.fixture(scope="module")
def rush() -> Iterator[str]:
    """A panel, and a button that pushes a run of five steps at once, a part for each with its text.

    The browser sees several changes before it draws; Gradio makes them in the value that it gave.
    """
    run = make(["_____", "a____", "ab___", "abc__", "abcd_", "abcde"])
    record = PanelRecord("b" * 32, whole_film(run), run)
    keep("rush", PageRuns([record], Code("", "")))
    film = record.film.part(0)

    async def push():
        for k, step in enumerate(record.film.steps):
            part = {**film, "start": k, "count": k + 1, "steps": f"[{step}]"}
            part |= {"pieces": {str(k): film["pieces"][str(k)]}}
            part |= {} if k == 0 else {"film": None}
            yield panel_value("running" if k < 4 else "done", record.name, **part)

    with gr.Blocks() as demo:
        panel = TokenPanel(elem_id="panel-1")
        gr.Button("push").click(push, None, panel)
    yield from served(demo)


def test_parts_that_come_at_once_lose_no_text(visit, rush):
    site = visit(path=rush, reduced_motion="reduce")
    cells = site.panel(1).locator("[role=option]")
    for _ in range(5):
        site.page.reload()
        site.page.get_by_role("button", name="push", exact=True).click()
        expect(site.panel(1)).to_have_attribute("data-kind", "done", timeout=20_000)
        expect(cells).to_have_text(list("abcde"))
