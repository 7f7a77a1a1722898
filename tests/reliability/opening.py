"""The page as it opens and after an hour: until it can be used, what it weighs, how it scrubs."""

from statistics import median

from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from tests.kit.chromium import Visit, launch
from tests.reliability import Figure, most
from tests.reliability.watched_app import Site

SIZE = 50  # runs, over which the heap is looked at
OPENINGS = 5  # of the page, of which the median is taken
PATIENCE = 120_000  # milliseconds
# When the first bytes had come, and when a lesson played and Run could be pressed.
USABLE = """() => new Promise(resolve => {
  const ready = () => {
    const run = [...document.querySelectorAll('.lab-actions button')]
      .find(button => button.textContent.trim() === 'Run' && !button.disabled);
    const cells = document.querySelector('#panel-1 [role=option]');
    if (!run || !cells) { requestAnimationFrame(ready); return; }
    const [navigation] = performance.getEntriesByType('navigation');
    resolve(performance.now() - navigation.responseStart);
  };
  ready();
})"""
FIRST_TOKEN = """() => new Promise(resolve => {
  const panel = document.querySelector('#panel-1 .lab-panel'), before = panel.dataset.run;
  const began = performance.now();
  const look = () => {
    if (panel.dataset.run !== before && panel.querySelector('.grid .now')) {
      resolve(performance.now() - began);
    } else requestAnimationFrame(look);
  };
  [...document.querySelectorAll('.lab-actions button')]
    .find(button => button.textContent.trim() === 'Run').click();
  look();
})"""
# Drags the bar of all panels for two seconds; the time of each frame.
SCRUB = """() => new Promise(resolve => {
  const bar = document.querySelector('#playback .scrub'), times = [];
  const began = performance.now();
  let last = began;
  const frame = now => {
    times.push(now - last);
    last = now;
    if (now - began > 2000) { resolve(times.slice(1)); return; }
    bar.value = Math.abs(((now - began) / 10) % 200 - 100) * bar.max / 100;
    bar.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """Open the page some times, run it `size` times, and scrub what it wrote."""
    site.yield_to_browser()
    with sync_playwright() as playwright, launch(playwright) as browser:
        opened = [_open(browser, site) for _ in range(OPENINGS)]
        usable, whole = [median(one[name] for one in opened) for name in ("usable", "whole")]
        return [
            most("from the page's first byte until its lesson stands and Run can be pressed",
                 usable / 1000, 1.5, "s"),
            most("files of the page, compressed as they are sent", whole / 1e6, 2.5, "MB"),
            *_hour(browser, site, size),
        ]  # fmt: skip


def _open(browser: Browser, site: Site) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    page = context.new_page()
    session, sizes = page.context.new_cdp_session(page), []
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(site.url, wait_until="commit")
    usable = page.evaluate(USABLE)
    page.wait_for_timeout(1500)  # what comes later belongs to its weight too
    context.close()
    return {"usable": usable, "whole": sum(sizes)}


def _hour(browser: Browser, site: Site, size: int) -> list[Figure]:
    """Runs of four panels of 64 tokens, and the browser's memory after a tenth of them and all."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.url}?lesson=")
    expect(visit.panel(1)).to_be_visible(timeout=60_000)
    visit.task("stories")
    visit.run(PATIENCE)
    first = visit.page.evaluate(FIRST_TOKEN)
    expect(visit.page.locator("#status")).to_contain_text("done", timeout=PATIENCE)
    session, early = context.new_cdp_session(visit.page), max(1, size // 10)
    session.send("Performance.enable")
    heaps: list[float] = []
    for number in range(size):
        visit.run(PATIENCE)
        if number + 1 in (early, size):
            heaps.append(_heap(session))
    frames = _scrubbed(visit.page)
    context.close()
    return [
        most("from the press of Run to the first new token", first / 1000, 0.5, "s"),
        most(f"memory of the page's scripts that the last {size - early} runs added",
             heaps[-1] - heaps[0], 5, "MB", 1),
        Figure("memory of the page's scripts then", f"{heaps[-1]:.0f} MB"),
        most("a frame while four panels of 64 tokens are scrubbed, the median", median(frames),
             17.5, "ms", 1),
        Figure("one frame in twenty takes longer than",
               f"{sorted(frames)[int(0.95 * len(frames))]:.0f} ms"),
    ]  # fmt: skip


def _heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    numbers = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in numbers if one["name"] == "JSHeapUsedSize") / 1e6


def _scrubbed(page: Page) -> list[float]:
    return [float(one) for one in page.evaluate(SCRUB)]
