"""D1: the page in a real browser: free and stoppable in a long run, sent what is new alone."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

from playwright.sync_api import Browser, Error, expect, sync_playwright

from lab.tasks import examples
from lab.ui.settings_form import start_value
from tests.kit.chromium import Visit, launch
from tests.reliability import Figure, most
from tests.reliability.visitor import visitors
from tests.reliability.watched_app import Site

SIZE = 1000  # steps of the long run
LENGTH = 250  # its columns
STOPS = (0.05, 0.5, 0.9)  # how far a run is when Stop is pressed
PATIENCE = 900_000  # milliseconds that a run may take
WATCH = """() => {
  window.watch = { longest: 0, gap: 0 };
  const see = list => list.getEntries().forEach(entry =>
    watch.longest = Math.max(watch.longest, entry.duration));
  new PerformanceObserver(see).observe({ type: 'longtask' });
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    [watch.gap, last] = [Math.max(watch.gap, now - last), now];
  }, 10);
}"""
BUSY = """() => setTimeout(() => {
  const end = performance.now() + 90;
  while (performance.now() < end);
})"""
SECONDS = re.compile(r"([\d.]+) s")
FROM_SERVER = re.compile(r"/gradio_api/(queue/data|component_server)")


class Traffic:
    """Bytes of the app's own messages to a page: updates of a run, and answers to a panel."""

    def __init__(self, page: Any):
        self.bytes, self._ours = 0, set()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._note)
        session.on("Network.dataReceived", self._count)

    def _note(self, event: dict[str, Any]) -> None:
        if FROM_SERVER.search(event["request"]["url"]):
            self._ours.add(event["requestId"])

    def _count(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._ours:
            self.bytes += event["dataLength"]


def check(site: Site, size: int = SIZE, length: int = LENGTH) -> list[Figure]:
    """A run as the page opens, and a long one of `size` steps, whole and stopped."""
    own = asyncio.run(_of_samplers(site))  # before Playwright's loop
    site.yield_to_browser()
    with sync_playwright() as playwright, launch(playwright) as browser:
        return [
            *_default(browser, site),
            own,
            *_long(browser, site, size, length),
            *_stopped(browser, site, size, length),
        ]


async def _of_samplers(site: Site) -> Figure:
    """What of the same run's seconds the samplers themselves take, read off the API."""
    panels = ",".join(panel["sampler"] for panel in start_value("stories", {})["panels"])
    arguments = ("stories", panels, examples("stories")[0], None, None, 0, None, "none")
    async with visitors(site.url) as door:
        for _ in range(2):  # models are read for the first one
            answer = await door.new().call("compare", arguments, PATIENCE / 1000)
    (result,) = answer.data
    own = sum(one["metrics"]["other_seconds"] for one in result["results"])
    share = 100 * own / float(SECONDS.search(result["status"])[1])
    return Figure("of it in the samplers themselves, which no page can spare", f"{share:.0f} %")


@contextmanager
def _visit(browser: Browser, site: Site) -> Iterator[tuple[Visit, Traffic]]:
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    visit = Visit(context.new_page())
    traffic = Traffic(visit.page)
    visit.page.goto(f"{site.url}?lesson=")
    expect(visit.panel(1)).to_be_visible(timeout=60_000)
    visit.task("stories")
    yield visit, traffic
    context.close()


def _default(browser: Browser, site: Site) -> list[Figure]:
    """The second run: for the first one models are read."""
    with _visit(browser, site) as (visit, traffic):
        visit.run(PATIENCE)
        before = traffic.bytes
        visit.page.get_by_role("button", name="Run", exact=True).click()
        expect(visit.page.locator("#status")).to_contain_text("running", timeout=PATIENCE)
        expect(visit.page.locator("#status")).to_contain_text("done", timeout=PATIENCE)
        run = visit.page.get_by_role("button", name="Run", exact=True)
        expect(run).to_be_enabled(timeout=PATIENCE)
        status = visit.page.locator("#status").inner_text()
        wall = float(SECONDS.search(status)[1])
        model = 0.0
        for number in (1, 2, 3, 4):
            text = visit.panel(number).locator(".metrics").inner_text()
            model += float(re.search(r"Model time\s+([\d.]+) s", text)[1])
    return [
        most("bytes sent for a run as the page opens", (traffic.bytes - before) / 1e6, 0.5, "MB"),
        most(f"of the {wall:.1f} s of that run outside its models", 100 * (1 - model / wall), 15,
             "%", 0),
    ]  # fmt: skip


@contextmanager
def _long_run(
    browser: Browser, site: Site, steps: int, length: int
) -> Iterator[tuple[Visit, Traffic]]:
    """A page whose only panel runs hybrid, and what keeps the browser busy from now on."""
    with _visit(browser, site) as (visit, traffic):
        visit.page.locator("#length input[type=number]").fill(str(length))
        visit.alone("hybrid", steps)
        visit.page.wait_for_timeout(1000)
        visit.page.evaluate(WATCH)
        visit.page.evaluate(BUSY)
        visit.page.wait_for_function("watch.longest >= 80 && watch.gap >= 80")  # it does see
        visit.page.evaluate("watch.longest = watch.gap = 0")
        visit.page.get_by_role("button", name="Run", exact=True).click()
        yield visit, traffic


def _steps(visit: Visit) -> int:
    return int(visit.panel(1).locator(".scrub").get_attribute("max"))


def _wait_for(visit: Visit, steps: int) -> None:
    reached = "steps => +document.querySelector('#panel-1 .scrub').max >= steps"
    visit.page.wait_for_function(reached, arg=steps, timeout=PATIENCE)


def _long(browser: Browser, site: Site, steps: int, length: int) -> list[Figure]:
    marks = []
    with _long_run(browser, site, steps, length) as (visit, traffic):
        for share in (0.1, 0.5, 0.9):
            _wait_for(visit, round(share * steps))
            marks.append((_steps(visit), traffic.bytes))
        expect(visit.panel(1)).to_have_attribute("data-kind", "done", timeout=PATIENCE)
        busy = visit.page.evaluate("watch")
    (a, first), (b, middle), (c, last) = marks
    early, late = (middle - first) / max(1, b - a), (last - middle) / max(1, c - b)
    what = f"hybrid, {steps} steps, {length} columns: "
    return [
        most(what + "longest task of the page", busy["longest"], 100, "ms", 0),
        Figure("longest time in which a timer of 10 ms did not come", f"{busy['gap']:.0f} ms"),
        most(f"bytes a step in its second half over those in its first, {early:.0f}",
             late / (early or 1), 1.25, "times"),
    ]  # fmt: skip


def _stopped(browser: Browser, site: Site, steps: int, length: int) -> list[Figure]:
    late, slowest = 0, 0.0
    for share in STOPS:
        with _long_run(browser, site, steps, length) as (visit, _):
            _wait_for(visit, round(share * steps))
            began = monotonic()
            with suppress(Error):  # a short run has ended meanwhile
                visit.page.get_by_role("button", name="Stop", exact=True).click(timeout=10_000)
            ended = visit.page.locator(
                "#panel-1 .lab-panel:is([data-kind=stopped],[data-kind=done])"
            )
            expect(ended).to_be_visible(timeout=PATIENCE)
            slowest = max(slowest, monotonic() - began)
            while site.look().line:
                sleep(0.01)
            if visit.panel(1).get_attribute("data-kind") == "stopped":  # it had not ended before
                late = max(late, site.look().late)
    return [
        most("steps that the run still began after Stop", late, 1, "", 0),
        most("from the press of Stop to the panel's mark, the longest of 3", slowest, 2, "s", 1),
    ]
