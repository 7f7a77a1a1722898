"""A run of a thousand steps: the page stays free, Stop works, every step arrives once."""

import json
import time

from playwright.sync_api import expect

LONG_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver(list => list.getEntries().forEach(entry => window.longTasks.push(
    [Math.round(entry.startTime), Math.round(entry.duration)]))).observe({ type: 'longtask' });
}"""


def begin(visit, steps: int, **options):
    """A page whose first panel runs hybrid on capitals for so many steps, alone."""
    site = visit(**options)
    site.task("capitals")
    for number in (1, 2, 3, 4):
        site.sampler(number, "hybrid" if number == 1 else "")
    site.open_settings(1)
    site.page.get_by_label("steps of panel 1", exact=True).fill(str(steps))
    return site


def test_stop_works_at_any_time_of_a_long_run(visit):
    site = begin(visit, 4000)
    site.page.get_by_role("button", name="Run", exact=True).click()
    scrub = site.panel(1).locator(".scrub")
    site.page.wait_for_function("scrub => +scrub.max > 300", arg=scrub.element_handle())
    began = time.monotonic()
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.panel(1)).to_have_attribute("data-kind", "stopped", timeout=10_000)
    assert time.monotonic() - began < 5
    assert 300 < int(scrub.get_attribute("max")) < 4000


def test_a_long_run_leaves_the_page_free(visit):
    site = begin(visit, 1000)
    pushed = []
    site.page.on("response", lambda answer: pushed.append(answer.url))
    site.page.evaluate(LONG_TASKS)
    site.run()
    site.at_the_end(1)
    assert int(site.panel(1).locator(".scrub").get_attribute("max")) >= 1000
    tasks = site.page.evaluate("window.longTasks")
    # Other work on the machine stretches a task; one that grows with the run takes seconds.
    assert max((length for _, length in tasks), default=0) < 500, tasks


def test_steps_that_come_late_twice_or_never_make_one_film(visit):
    site = begin(visit, 60, reduced_motion="reduce")
    site.run()
    whole = site.panel(1).locator("[role=option]").all_inner_texts()
    steps = int(site.panel(1).locator(".scrub").get_attribute("max"))
    asked = []
    site.page.on("request", lambda sent: "component_server" in sent.url and asked.append(
        json.loads(sent.post_data)))  # fmt: skip
    run = site.panel(1).get_attribute("data-run")
    site.page.evaluate(
        """([run, steps]) => {
          const panel = document.querySelector('#panel-1');
          window.labReplay = { run, steps };
        }""",
        [run, steps],
    )
    # The same run as it looks to a browser that saw only the last push.
    site.page.get_by_role("tab", name="Metrics").click()
    site.page.get_by_role("tab", name="Tokens").click()
    expect(site.panel(1).locator("[role=option]")).to_have_text(whole)
    assert int(site.panel(1).locator(".scrub").get_attribute("max")) == steps
