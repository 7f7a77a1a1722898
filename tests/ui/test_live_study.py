"""Measure without a page: what is measured, what is refused, and how it ends early."""

import threading

import pytest

from lab.study.cells import instances_of
from lab.ui import live_study, own_points, picture, slot
from lab.ui.live_study import LiveStudy
from lab.ui.settings_form import PanelSettings
from lab.ui.shelf import Shelf
from tests.kit.points import small_atlas

KEY = "a" * 32
PANELS = [PanelSettings("mdlm", None, {"steps": 4}), None, PanelSettings("threshold"), None]


@pytest.fixture(autouse=True)
def atlas(monkeypatch):
    table = small_atlas()
    monkeypatch.setattr(picture, "atlas", lambda: table)
    monkeypatch.setattr(own_points, "_PAGES", Shelf(own_points.MOST_PAGES))


def press(panels=PANELS, count=20, **options):
    live = LiveStudy("sudoku4", "6", count, panels, KEY, **options)
    return live, list(live.updates())


def test_panels_become_points_on_instances_of_atlas():
    live, statuses = press()
    assert "Measured: 20 rows of each of 2 settings" in live.status
    assert statuses[-1] == live.status and "Measuring: 10 of 40 rows" in statuses
    points = own_points.of(KEY)
    assert points["setting"].tolist() == ["steps=4 · live", "defaults · live"]
    assert points["rows"].tolist() == [20, 20] and points["instances"].tolist() == [120, 120]
    assert points["hashes"].str.len().min() > 20 and points["score"].between(0, 1).all()
    assert len(instances_of("sudoku4", "6", 120)) == 120


def test_panel_that_does_not_fit_is_named_and_others_go_on():
    wrong = [PanelSettings("mdlm"), PanelSettings("margin", None, {"steps": 0}),
             PanelSettings("nothing") if False else PanelSettings("mdlm", "no")]  # fmt: skip
    live, _ = press(wrong, 10)
    assert "10 rows of each of 1 settings" in live.status
    assert "panel 2: margin: steps must" in live.status and "panel 3: 'no'" in live.status


@pytest.mark.parametrize(
    ("panels", "count", "words"),
    [
        ([None] * 4, 20, "choose a sampler for at least one panel"),
        (PANELS, 5, "instances must be a whole number from 10 to 500, got 5"),
        (PANELS, None, "instances must be a whole number"),
        (PANELS, 10**9, "instances must be a whole number"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(panels, count, words):
    live, statuses = press(panels, count)
    assert live.status.startswith("✕ ") and words in live.status and len(statuses) == 1


def test_too_much_work_is_refused_before_any_call(monkeypatch):
    def fail(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(live_study, "WORK", 1000)
    monkeypatch.setattr(live_study, "batches", fail)
    live, _ = press()
    assert "too expensive: at most 1,000 model calls x columns x rows" in live.status


def test_stop_ends_between_two_steps_and_keeps_points():
    stop = threading.Event()
    live = LiveStudy("sudoku4", "6", 200, PANELS, KEY, stop)
    for status in live.updates():
        if status.startswith("Measuring"):
            stop.set()
    assert "stopped; what was measured stays" in live.status
    assert own_points.of(KEY)["rows"].tolist() == [10]


def test_clock_ends_what_takes_too_long(monkeypatch):
    monkeypatch.setattr(slot, "SECONDS", 0.0)
    live, _ = press()
    assert "stopped after 0 s, the longest it may compute" in live.status


def test_measurement_stands_in_line_and_gives_its_place_back():
    stop = threading.Event()
    with slot.LINE.ticket("other"):
        live = LiveStudy("sudoku4", "6", 10, PANELS, KEY, stop)
        updates = live.updates()
        assert "you are next" in next(updates)
        stop.set()
        assert "stopped before it began" in list(updates)[-1]
    assert len(slot.LINE) == 0
