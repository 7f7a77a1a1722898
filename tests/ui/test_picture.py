"""What the Study tab is sent: points, verdicts, and nothing for a query that no page asks."""

import json

import pandas as pd
import pytest

from lab.study.points import POINT
from lab.study.summary import compare_settings
from lab.ui import own_points, picture
from lab.ui.shelf import Shelf
from tests.kit.points import rows_of, small_atlas

KEY = "0" * 32
BOARD = {"task": "sudoku4", "case": "6", "key": ""}
BAD = [None, 3, [], {}, {"task": 3}, {"task": "sudoku4", "case": "7"}, {"task": "x", "case": "6"},
       {"task": {}, "case": []}]  # fmt: skip


@pytest.fixture(autouse=True)
def atlas(monkeypatch):
    table = small_atlas()
    monkeypatch.setattr(picture, "atlas", lambda: table)
    monkeypatch.setattr(own_points, "_PAGES", Shelf(own_points.MOST_PAGES))
    return table


def test_points_carry_costs_and_qualities_with_intervals(atlas):
    reply = picture.picture(BOARD)
    assert json.dumps(reply, allow_nan=False)
    point = next(p for p in reply["points"] if p["name"] == "mdlm (steps=8)")
    line = atlas[(atlas["setting"] == "steps=8") & (atlas["case"] == "6")].iloc[0]
    assert point["y"]["score"] == [pytest.approx(line[f"score{e}"], abs=1e-5)
                                   for e in ("", "_low", "_high")]  # fmt: skip
    assert point["x"]["calls"] == 8 and point["rows"] == 120 and not point["own"]
    assert [axis["name"] for axis in reply["qualities"]] == ["score"]
    assert set(reply["styles"]) == {"mdlm", "threshold", "first_hitting"}


def test_text_is_shown_by_likelihood_beside_diversity():
    reply = picture.picture({"task": "stories", "case": "prompts"})
    assert [axis["name"] for axis in reply["qualities"]] == ["nats", "entropy", "distinct_2"]
    assert reply["costs"][-1]["name"] == "entropy"


@pytest.mark.parametrize("query", BAD)
def test_query_of_no_page_shows_first_case(query):
    reply = picture.picture(query)
    assert (reply["task"], reply["case"]) == ("sudoku4", "6")


def test_without_atlas_nothing_is_there_and_nothing_breaks(monkeypatch):
    monkeypatch.setattr(picture, "atlas", lambda: pd.DataFrame(columns=POINT.names))
    reply = picture.picture({})
    assert reply["points"] == [] and reply["tasks"]
    assert picture.best({**BOARD, "cost": "calls", "budget": 10})["best"] == ""


def test_best_names_every_other_sampler_with_its_test(atlas):
    answer = picture.best({**BOARD, "cost": "calls", "budget": 12})
    assert answer["best"] == "threshold (threshold=0.9)"
    (other,) = answer["others"]
    outcome = compare_settings(atlas, "sudoku4", "6", "threshold (threshold=0.9)", other["name"])
    assert other["worse"] and f"{100 * outcome.difference.estimate:.1f} points" in other["verdict"]
    assert answer["first"].startswith("At most 12 calls: threshold (threshold=0.9), 90.0 % [")
    nothing = picture.best({**BOARD, "cost": "calls", "budget": 1})
    assert nothing["first"] == "At most 1 calls: nothing was measured that fits."


@pytest.mark.parametrize("query", [*BAD, {**BOARD, "cost": "x", "budget": 3}, {**BOARD,
    "cost": "calls"}, {**BOARD, "cost": "calls", "budget": float("nan")}, {**BOARD, "cost":
    "calls", "budget": True}, {**BOARD, "cost": ["calls"], "budget": 2}])  # fmt: skip
def test_best_of_no_query_is_missing(query):
    assert picture.best(query) == {"missing": True}


def own(solved):
    line = rows_of("sudoku4", "6", "mdlm", {"steps": 4}, solved, 4)
    from lab.ui.live_study import live_points

    return live_points(line)


def test_own_points_are_of_their_key_alone():
    own_points.add(KEY, own(60))
    own_points.add(KEY, own(61))
    mine = picture.picture({**BOARD, "key": KEY})["points"]
    assert [p["name"] for p in mine if p["own"]] == ["mdlm (steps=4 · live)"]
    assert mine[-1]["y"]["score"][0] == pytest.approx(61 / 120, abs=1e-4)
    assert not any(p["own"] for p in picture.picture({**BOARD, "key": "1" * 32})["points"])
    assert not any(p["own"] for p in picture.picture({**BOARD, "key": [KEY]})["points"])
    best = picture.best({**BOARD, "key": KEY, "cost": "calls", "budget": 4})
    assert best["best"] == "threshold (threshold=0.5)" and best["same"] == ["mdlm (steps=4 · live)"]


def test_store_of_own_points_is_bounded(monkeypatch):
    own_points._PAGES.most = 3
    own_points.add(KEY, own(60), "quiet")
    for number in range(3):
        own_points.add(f"loud{number}", own(60), "loud")
    assert [len(own_points.of(key)) for key in (KEY, "loud0", "loud1", "loud2")] == [1, 0, 1, 1]
    own_points._PAGES.seconds = -1.0
    own_points.add("new", own(60))
    assert len(own_points.of("loud2")) == 0
    monkeypatch.setattr(own_points, "MOST_POINTS", 0)
    with pytest.raises(ValueError, match="a page holds at most 0 points"):
        own_points.add(KEY, own(60))


def test_settings_of_point_are_all_of_them():
    point = picture.settings_of_point(BOARD, "threshold (threshold=0.9)")
    assert point.sampler == "threshold" and point.params["threshold"] == 0.9
    assert "temperature" in point.params
    for query, name in ((BOARD, "nothing"), (BOARD, None), ({}, "threshold (threshold=0.9)")):
        assert picture.settings_of_point(query, name) is None
