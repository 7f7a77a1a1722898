"""A real Chromium on the real app: found where it is, or skipped with the reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from lab.ui import build
from tests.kit.chromium import Visit, launch, local, skipped_without
from tests.kit.serving import served

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a file: no other test may run inside Playwright's event loop."""
    with sync_playwright() as playwright:
        with skipped_without():
            browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    yield from served(build())


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator:
    """Opens the app for a visitor with a screen, a theme and other options of a context.

    It stands on a task as the task opens, on a phone, whose sidebar is closed, with the settings of
    the first lesson; task None: on the lesson that a visitor sees first.
    """
    opened = []

    def open_page(width: int = 1500, height: int = 1000, dark: bool = False, path: str = url,
                  task: str | None = "stories", **options) -> Visit:  # fmt: skip
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(15_000)
        site = Visit(context.new_page())
        opened.append((context, site))
        site.page.on("pageerror", lambda error: site.errors.append(str(error)))
        site.page.on("console", lambda line: line.type == "error" and site.errors.append(line.text))
        site.page.on(
            "request", lambda request: local(request.url) or site.abroad.append(request.url)
        )
        lesson = "" if task is None else "&lesson="
        site.page.goto(f"{path}?__theme={'dark' if dark else 'light'}{lesson}")
        if path == url:
            expect(site.panel(1)).to_be_visible(timeout=30_000)
        if task is not None and path == url and width >= 768:
            site.task(task)
        return site

    yield open_page
    for context, site in opened:
        context.close()
        assert not site.errors
        assert not site.abroad
