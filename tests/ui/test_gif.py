"""The animated GIF shows every panel's film, cell by cell, and stays small."""

import pytest
from PIL import Image

from lab.ui import gif, lessons
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel_value import panel_value
from lab.ui.snippet import Code
from tests.kit.trajectories import make


def opened(path) -> list[Image.Image]:
    frames = []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(image.convert("RGB"))
    return frames


def page_of(run, verdict=None, title="MDLM"):
    head = panel_value("done", "a" * 32, title=title, verdict=verdict)
    return PageRuns([PanelRecord("a" * 32, whole_film(run), run, head), *[None] * 3], Code("", ""))


def centre(frame, box):
    """The colour of a cell beside its letter."""
    return frame.getpixel((box[0] + 3, box[1] + 3))


def test_cells_open_one_after_another(tmp_path):
    run = make(["___", "a__", "ab_", "abc"])
    page = page_of(run)
    gif.save(tmp_path / "x.gif", page)
    frames = opened(tmp_path / "x.gif")
    boxes = gif._Film(page.panels[0], 0)._boxes
    assert len(frames) == len(run.calls) + 1
    for number, frame in enumerate(frames):
        open_ = [centre(frame, box) == gif.OPEN for box in boxes]
        assert open_ == [number <= position for position in range(3)]


def test_wrong_cells_are_framed_once_run_is_over(tmp_path):
    run = make(["__", "a_", "ab"])
    page = page_of(run, {"ok": False, "text": "no", "wrong": [0]})
    gif.save(tmp_path / "x.gif", page)
    frames = opened(tmp_path / "x.gif")
    box = gif._Film(page.panels[0], 0)._boxes[0]
    assert [frame.getpixel(box[:2]) == gif.WRONG for frame in frames] == [False, False, True]


@pytest.mark.parametrize("name", ["order", "edits"])
def test_film_of_four_panels_is_small(name, tmp_path):
    lesson = next(one for one in lessons.lessons() if one.name == name)
    _, comparison = lessons.show(lesson)
    gif.save(tmp_path / "x.gif", comparison)
    assert (tmp_path / "x.gif").stat().st_size < 2_000_000
    frames = opened(tmp_path / "x.gif")
    assert frames[0].width == 4 * gif.WIDTH and 30 < len(frames) <= gif.FRAMES + 1
    assert len({frame.tobytes() for frame in frames}) > len(frames) // 2


def test_text_of_model_is_drawn_whatever_it_is(tmp_path):
    run = make(["___", "a__"], pieces={0: "\0\u202e猫🙂" * 40, 1: ""})
    gif.save(tmp_path / "x.gif", page_of(run, title="<b>" * 99))
    assert opened(tmp_path / "x.gif")[0].width == gif.WIDTH


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(ValueError, match="no panel has made a step"):
        gif.save(tmp_path / "x.gif", PageRuns([None] * 4, Code("", "")))
