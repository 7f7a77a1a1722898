"""A real Chromium, found where it is, and what a visitor does with the app's page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
# The names of the runs that the panels show.
RUNS = "() => [...document.querySelectorAll('.lab-panel')].map(one => one.dataset.run).join()"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium(playwright: Playwright) -> str | None:
    """The browser named in CHROMIUM, one on the PATH, or Playwright's own."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    own = playwright.chromium.executable_path
    return next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)


class NoChromium(RuntimeError):
    """There is none on this machine."""


def launch(playwright: Playwright) -> Browser:
    """The browser, started. NoChromium where there is none."""
    path = find_chromium(playwright)
    if path is None:
        raise NoChromium(
            "no Chromium: set CHROMIUM, put one on the PATH, or run playwright install"
        )
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


@contextmanager
def skipped_without() -> Iterator[None]:
    """Skip a test where there is no Chromium; fail it where one is expected."""
    try:
        yield
    except NoChromium as error:
        expected = os.environ.get("REQUIRE_BROWSER") or os.environ.get("CI")
        (pytest.fail if expected else pytest.skip)(str(error))


@dataclass
class Visit:
    """A page with what went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)

    def run(self, patience: float = 90_000) -> None:
        """Press Run and wait, so many milliseconds, until it may be pressed again."""
        before = self.page.evaluate(f"({RUNS})()")
        self.page.get_by_role("button", name="Run", exact=True).click()
        # What the page says of the run before may also be that it is done.
        begun = f"before => ({RUNS})() !== before"
        self.page.wait_for_function(begun, arg=before, timeout=patience)
        expect(self.page.locator("#status")).to_contain_text("done", timeout=patience)
        expect(self.page.get_by_role("button", name="Run", exact=True)).to_be_enabled(
            timeout=30_000
        )

    def leave_for(self, url: str) -> None:
        """Go to another address. That the page before cannot fetch any more is no fault of it."""
        self.page.goto(url)
        self.errors[:] = [error for error in self.errors if "Failed to fetch" not in error]

    def task(self, name: str) -> None:
        """Choose a task and wait until its first example stands in the prompt."""
        if self.page.locator("#task input").input_value() == name:
            return
        before = self.text.input_value()
        self.page.locator("#task input").click()
        self.page.get_by_role("option", name=name, exact=True).click()
        expect(self.text).not_to_have_value(before, timeout=30_000)

    @property
    def text(self) -> Locator:
        return self.page.locator("#text textarea")

    @property
    def exports(self) -> Locator:
        """The menu of files."""
        return self.page.get_by_label("Export the runs")

    def sampler(self, panel: int, name: str) -> None:
        self.page.get_by_label(f"Sampler of panel {panel}").select_option(name)

    def alone(self, sampler: str, steps: int) -> None:
        """Leave the first panel its sampler, with so many steps, and no other any."""
        for number in (1, 2, 3, 4):
            self.sampler(number, sampler if number == 1 else "")
        self.open_settings(1)
        self.page.get_by_label("steps of panel 1", exact=True).fill(str(steps))

    def open_settings(self, panel: int) -> None:
        self.page.locator("#settings .panel-settings").nth(panel - 1).locator("summary").click()

    def panel(self, number: int) -> Locator:
        return self.page.locator(f"#panel-{number} .lab-panel")

    def at_the_end(self, number: int) -> None:
        """Wait until a panel's film has caught up with its run."""
        scrub = self.panel(number).locator(".scrub").element_handle()
        end = "scrub => scrub.max !== '0' && scrub.value === scrub.max"
        self.page.wait_for_function(end, arg=scrub, timeout=30_000)


def local(url: str) -> bool:
    """Whether an address is of this machine."""
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))
