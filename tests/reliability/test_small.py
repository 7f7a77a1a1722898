"""Small versions of the checks: what is no matter of time or of memory holds at any size."""

from collections.abc import Iterator

import pytest

from tests.kit.chromium import skipped_without
from tests.reliability import (
    Figure,
    abandoned,
    cancels,
    clients,
    fuzz_endpoints,
    fuzz_python,
    many_runs,
    opening,
    page,
    slow_readers,
)
from tests.reliability.watched_app import Site, here


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with here() as serving:
        yield serving


def faults(figures: list[Figure]) -> list[Figure]:
    """The counts that are not nought and must be."""
    return [one for one in figures if one.bar == "0" and not one.holds]


def test_clients_are_served_or_read_why_not(site):
    assert not faults(clients.check(site, 5))


def test_abandoned_requests_leave_line_empty(site):
    assert not faults(abandoned.check(site, 2))


def test_run_that_is_ended_gives_its_place_back(site):
    assert not faults(cancels.check(site, 4))


def test_visitors_leave_neither_run_nor_thread_behind(site):
    before = site.look().threads
    assert not faults(many_runs.check(site, 2))
    assert site.look().threads - before < 5


def test_slow_reader_leaves_app_to_others(site):
    assert not faults(slow_readers.check(site, 1, 1))


def test_malformed_payloads_are_refused_by_field(site):
    assert not faults(fuzz_endpoints.check(site, 3))


def test_malformed_calls_and_command_lines_are_refused_by_field():
    assert not faults(fuzz_python.check(30))


@pytest.mark.browser
def test_page_is_sent_little_and_stops_within_step(site):
    with skipped_without():
        figures = page.check(site, 60, 24)
    timeless = [one for one in figures if one.what.startswith(("bytes sent", "steps that"))]
    assert len(timeless) == 2 and all(one.holds for one in timeless), timeless


@pytest.mark.browser
def test_page_is_light(site):
    with skipped_without():
        figures = opening.check(site, 1)
    weight = [one for one in figures if one.what.startswith("files of the page")]
    assert len(weight) == 1 and all(one.holds for one in weight), weight
