"""The recorded lessons: what each file holds is what its card says, and a run would give again."""

from dataclasses import replace

import pytest

from lab.models.catalogue import tasks
from lab.ui import lessons, page_runs
from lab.ui.settings_form import PANELS, check_form, panel_settings

ALL = lessons.lessons()


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.name)
def test_recording_is_of_its_lesson(lesson):
    runs = [run for run, _ in lessons.recording(lesson.name)]
    assert [run.sampler for run in runs] == [panel.sampler for panel in lesson.panels]
    assert {(run.task, run.seed) for run in runs} == {(lesson.task, lesson.seed)}
    for run, panel in zip(runs, lesson.panels, strict=True):
        assert panel.sampler in tasks()[lesson.task]
        assert panel.params.items() <= run.settings["params"].items()
    assert {run.settings.get("prompt", run.settings.get("template")) for run in runs} == {
        lesson.prompt
    }


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.name)
def test_form_of_lesson_is_one_that_page_sends(lesson):
    assert panel_settings(check_form(lesson.form()))[: len(lesson.panels)] == list(lesson.panels)
    assert len(lesson.text) < 220 and len(lesson.panels) <= PANELS


def test_exact_lesson_is_repeated_token_by_token():
    (lesson,) = (one for one in ALL if one.name == "parallel")
    recorded = [run for run, _ in lessons.recording(lesson.name)]
    for again, before in zip(lessons.record(lesson), recorded, strict=True):
        # What a card says, and which library computed it, may be news.
        as_now = {"card": again.card, "settings": again.settings}
        assert before.settings["params"] == again.settings["params"]
        assert again.same_tokens(replace(before, **as_now))


def test_lesson_shown_twice_plays_twice():
    first, second = lessons.show(ALL[0])[0], lessons.show(ALL[0])[0]
    assert all(value["play"] and value["start"] == 0 for value in first[: len(ALL[0].panels)])
    assert not {value["run"] for value in first} & {value["run"] for value in second}
    assert [value["steps"] for value in first] == [value["steps"] for value in second]


def test_page_that_shows_lesson_holds_none_of_its_memory():
    _, comparison = lessons.show(ALL[0])
    page_runs.keep("lesson", comparison)
    try:
        assert comparison.cells == 0 and len(comparison.runs) == len(ALL[0].panels)
        name = comparison.panels[0].name
        assert page_runs.alternatives_of(name, 5, 0) is not None
    finally:
        page_runs.drop("lesson")


def test_panels_of_one_sampler_say_what_sets_them_apart():
    (lesson,) = (one for one in ALL if one.name == "edits")
    lines = [value["subtitle"] for value in lessons.show(lesson)[0]]
    assert lines[0] == "stories-edit · biased · recorded"
    assert lines[1].startswith("stories-edit · biased · threshold=0.1, editing_threshold=")
