"""The settings form: drawn from the registry, checked when it comes back."""

import json

import pytest

import lab
from lab.ui.settings_form import (
    catalog,
    check_form,
    for_task,
    panel_settings,
    start_value,
)
from lab.ui.tasks import misfits
from samplers import SAMPLERS

START = start_value("stories", {})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"panels": 3}, "settings.panels"),
        ({"panels": [3, None, None, None]}, "settings.panels"),
        ({"panels": [{"sampler": "mdlm"}, None, None, None]}, "settings.panels"),
        ({"panels": [{"sampler": "no", "params": {}}, None, None, None]}, "no sampler 'no'"),
        ({"panels": [{"sampler": ["mdlm"], "params": {}}, None, None, None]}, "no sampler"),
        ({"panels": [None] * 9}, "settings.panels"),
        ({"panels": [{"sampler": "mdlm", "params": {}, "preset": 3}, *[None] * 3]}, "preset"),
        ({"initial": {}}, "settings.initial"),
        ({"initial": None}, "settings.initial"),
        ({"shared": [1]}, "settings.shared"),
        ({"fits": 3}, "settings.fits"),
        ({"task": None}, "settings.task"),
    ],
)
def test_malformed_form_names_field(changes, field):
    with pytest.raises(ValueError, match=field):
        check_form({**START, **changes})


@pytest.mark.parametrize("form", [None, 7, "x", [], {}])
def test_what_is_no_form_is_refused(form):
    with pytest.raises(ValueError, match="settings"):
        check_form(form)


def test_own_settings_override_shared_ones():
    form = {**START, "shared": {"steps": 4, "threshold": 0.5, "top_k": 3}}
    form["panels"] = [dict(panel) for panel in form["panels"]]
    form["panels"][1]["params"] = {"steps": 7}
    llada2, mdlm, *_ = panel_settings(check_form(form))
    assert llada2.params == {"steps": 4, "threshold": 0.5}
    assert mdlm.params == {"steps": 7}


def test_form_describes_every_parameter_of_every_sampler():
    drawn = catalog()["samplers"]
    assert set(drawn) == set(SAMPLERS)
    for name, sampler in SAMPLERS.items():
        assert [p["name"] for p in drawn[name]["params"]] == [p.name for p in sampler.params]
        for param in drawn[name]["params"]:
            assert param["help"]
            if param["kind"] in ("int", "float"):
                assert param["low"] < param["slider_high"] <= param["high"]
                assert param["low"] <= param["suggested"] <= param["high"]
    json.dumps(drawn, allow_nan=False)


def test_sampler_that_does_not_fit_has_reason():
    for task in lab.tasks():
        for sampler, reason in misfits(task).items():
            assert (reason is None) == (sampler in lab.tasks()[task])


def test_task_change_brings_fitting_samplers_and_restores_them():
    opened = start_value("stories", misfits("stories"))

    def choose(form, task):
        return for_task(form, task, misfits(task))

    board = choose(opened, "sudoku9")
    names = [panel["sampler"] for panel in board["panels"]]
    assert names[1] == "mdlm" and "margin" in names and len(set(names)) == 4
    assert not any(misfits("sudoku9")[name] for name in names)
    assert choose(board, "stories") == opened
    mine = {**opened, "panels": [{"sampler": "mdlm", "preset": None, "params": {"steps": 3}}, None,
                                 *opened["panels"][2:]]}  # fmt: skip
    board_panels = choose(mine, "sudoku9")["panels"]
    assert choose(choose(mine, "sudoku9"), "stories") == mine
    assert (
        board_panels[0] == mine["panels"][0]
        and board_panels[1] is None
        and board_panels[2]["sampler"] != "hybrid"
    )
