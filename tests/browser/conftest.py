"""A real Chromium on the real app: found where it is, or skipped with the reason."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

from lab.ui import build
from tests.kit.serving import served

HERE = Path(__file__).parent
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.browser)


def find_chromium(playwright: Playwright) -> str | None:
    """The browser named in CHROMIUM, one on the PATH, or Playwright's own."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    own = playwright.chromium.executable_path
    return next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a file: no other test may run inside Playwright's event loop."""
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if chromium is None:
            reason = "no Chromium: set CHROMIUM, put one on the PATH, or run playwright install"
            expected = os.environ.get("REQUIRE_BROWSER") or os.environ.get("CI")
            (pytest.fail if expected else pytest.skip)(reason)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    yield from served(build())


@dataclass
class Visit:
    """A page with what went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Press Run and wait until it may be pressed again."""
        self.page.get_by_role("button", name="Run", exact=True).click()
        expect(self.page.locator("#status")).to_contain_text("done", timeout=90_000)
        expect(self.page.get_by_role("button", name="Run", exact=True)).to_be_enabled(
            timeout=30_000
        )

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

    def sampler(self, panel: int, name: str) -> None:
        self.page.get_by_label(f"Sampler of panel {panel}").select_option(name)

    def open_settings(self, panel: int) -> None:
        self.page.locator("#settings .panel-settings").nth(panel - 1).locator("summary").click()

    def panel(self, number: int) -> Locator:
        return self.page.locator(f"#panel-{number} .lab-panel")

    def at_the_end(self, number: int) -> None:
        """Wait until a panel's film has caught up with its run."""
        scrub = self.panel(number).locator(".scrub")
        expect(scrub).to_have_js_property("value", scrub.get_attribute("max"), timeout=30_000)


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator:
    """Opens the app for a visitor with a screen, a theme and other options of a context."""
    opened = []

    def open_page(width: int = 1500, height: int = 1000, dark: bool = False, path: str = url,
                  **options) -> Visit:  # fmt: skip
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(15_000)
        site = Visit(context.new_page())
        opened.append((context, site))
        site.page.on("pageerror", lambda error: site.errors.append(str(error)))
        site.page.on("console", lambda line: line.type == "error" and site.errors.append(line.text))
        site.page.on(
            "request", lambda request: _local(request.url) or site.abroad.append(request.url)
        )
        site.page.goto(f"{path}?__theme={'dark' if dark else 'light'}")
        return site

    yield open_page
    for context, site in opened:
        context.close()
        assert not site.errors
        assert not site.abroad


def _local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))
