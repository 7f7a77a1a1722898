"""A branch fills in what a step of another run had not, keeps the rest, and can be repeated."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lab
from lab.record.history import COMMITTED, MASK
from lab.ui.branch import beside, branch
from lab.ui.comparison import Run
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings, start_value
from lab.ui.snippet import Code
from lab.ui.tasks import misfits
from tests.kit.pressing import press

STEP, ROOT = 5, Path(__file__).parents[2]


def page_of(*runs, task="capitals"):
    """A page that shows these runs in its first panels, and its settings."""
    panels = [PanelRecord(f"{n}" * 32, whole_film(run), run) for n, run in enumerate(runs)]
    page = PageRuns([*panels, *[None] * (4 - len(panels))], Code("import lab", "# one"))
    return page, start_value(task, misfits(task))


@pytest.fixture(scope="module")
def parent():
    (run,) = lab.run("mdlm", "capitals", "The capital of", steps=12, seed=4)
    return run


def request(step=STEP, changes=(), panel=4, run="0" * 32):
    return {"run": run, "step": step, "changes": [list(one) for one in changes], "panel": panel}


def finish(planned):
    run = Run(planned.inputs, planned.panels, origin=planned.origin)
    last = list(run.updates())[-1]
    return run, last


def test_branch_keeps_what_stood_and_fills_in_what_did_not(parent):
    page, form = page_of(parent)
    planned = branch(request(), page, "capitals", 7, form)
    run, last = finish(planned)
    assert [value["kind"] for value in last.values] == ["empty"] * 3 + ["done"]
    assert last.values[3]["subtitle"].endswith("goes on from panel 1, step 5")
    (grown,) = run.comparison.runs
    written = parent.state[STEP] == COMMITTED
    open_ = parent.state[STEP] == MASK
    assert written.any() and open_.any()
    stays = ~open_[: grown.tokens.shape[1]]
    assert (grown.tokens[-1][stays] == parent.tokens[STEP][: len(stays)][stays]).all()
    assert (grown.writable == ~stays).all() and grown.seed == 7 and grown.sampler == "bd3lm"


def test_changed_tokens_are_pinned_and_masked_ones_filled_in(parent):
    page, form = page_of(parent)
    last = len(parent.tokens) - 1
    token = int(parent.tokens[last, 2]) + 1
    planned = branch(request(last, [(2, token), (5, -1)]), page, "capitals", 0, form)
    (grown,) = finish(planned)[0].comparison.runs
    assert grown.tokens[-1, 2] == token and grown.writable.tolist().count(True) == 1
    assert grown.writable[5] and not grown.writable[2]


def test_empty_panel_takes_parents_sampler_and_parameters(parent):
    page, form = page_of(parent)
    form["panels"] = [*form["panels"][:3], None]
    planned = branch(request(), page, "capitals", 0, form)
    assert planned.panels[3] == PanelSettings("mdlm", None, parent.settings["params"])
    assert planned.form["panels"][3]["sampler"] == "mdlm"
    assert planned.form["panels"][:3] == form["panels"][:3] and form["panels"][3] is None


def test_page_shows_branch_beside_its_parent_and_code_repeats_it(parent, tmp_path):
    page, form = page_of(parent)
    run, _ = finish(branch(request(), page, "capitals", 3, form))
    both = beside(page, run.comparison)
    assert both.runs[0] is parent and both.runs[1] is run.comparison.runs[0]
    assert both.panels[3] is run.comparison.panels[3] and both.code.shell.startswith("# one")
    assert "Python" in both.code.shell.split("# A branch:")[1]
    source, env = both.code.python.split("# A branch:")[1], {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", source], cwd=tmp_path, env=os.environ | env, check=True)
    (again,) = lab.read(tmp_path / "trajectories.csv")
    assert again.same_tokens(run.comparison.runs[0])


def test_branch_goes_on_from_branch(parent):
    page, form = page_of(parent)
    run, _ = finish(branch(request(), page, "capitals", 3, form))
    page = beside(page, run.comparison)
    name = page.panels[3].name
    run, last = finish(branch(request(1, run=name, panel=2), page, "capitals", 0, form))
    assert last.values[1]["kind"] == "done" and "panel 4, step 1" in last.values[1]["subtitle"]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [({"run": "x"}, "not kept any more"), ({"run": None}, "not kept any more"),
     ({"step": -1}, "step must be"), ({"step": 99}, "step must be"), ({"step": True}, "step must"),
     ({"panel": 5}, "panel must be"), ({"changes": [[0, -2]]}, "id must be"),
     ({"changes": [[99, 0]]}, "position must be"), ({"changes": [[0]]}, "pairs of a position"),
     ({"changes": "all"}, "pairs of a position"), ({"step": 8}, "nothing is left"),
     ({"changes": [[0, 0]] * 99}, "pairs of a position")],
)  # fmt: skip
def test_what_no_page_would_ask_is_refused_by_its_field(parent, changed, rule):
    page, form = page_of(parent)
    with pytest.raises(ValueError, match=rule):
        branch({**request(), **changed}, page, "capitals", 0, form)


def test_branch_without_object_or_run_is_refused(parent):
    page, form = page_of(parent)
    with pytest.raises(ValueError, match="must be an object"):
        branch([1], page, "capitals", 0, form)
    with pytest.raises(ValueError, match="not kept any more"):
        branch(request(), None, "capitals", 0, form)
    running = PageRuns([PanelRecord("0" * 32), None, None, None], Code("", ""))
    with pytest.raises(ValueError, match="wait for its end"):
        branch(request(), running, "capitals", 0, form)


def test_branch_stays_in_its_task_and_needs_mask(parent):
    page, form = page_of(parent)
    with pytest.raises(ValueError, match="one of 'capitals': choose it"):
        branch(request(), page, "stories", 0, start_value("stories", misfits("stories")))
    form["panels"] = [*form["panels"][:3], {"sampler": "uniform", "preset": None, "params": {}}]
    with pytest.raises(ValueError, match="has no mask"):
        branch(request(), page, "capitals", 0, form)


def test_noise_is_filled_in_again():
    run, _ = press(RunInputs("capitals", "The capital of", seed=2), [PanelSettings("hybrid")])
    (parent,) = run.comparison.runs
    noisy = [s for s in range(len(parent.state)) if (parent.state[s] == 2).any()]
    page, form = page_of(parent)
    planned = branch(request(noisy[0]), page, "capitals", 0, form)
    (grown,) = finish(planned)[0].comparison.runs
    at = parent.state[noisy[0]][: grown.tokens.shape[1]] == 2
    assert at.any() and grown.writable[at].all()


def test_what_stands_may_be_draft(parent):
    page, form = page_of(parent)
    form["panels"] = [*form["panels"][:3], {"sampler": "remdm", "preset": None, "params": {}}]
    planned = branch({**request(), "stays": "draft"}, page, "capitals", 1, form)
    run, last = finish(planned)
    assert last.values[3]["kind"] == "done", last.values[3]["message"]
    (grown,) = run.comparison.runs
    mask, length = parent.card["mask_id"], grown.tokens.shape[1]
    ends = np.isin(parent.tokens[STEP], parent.card["eos_ids"])
    before = np.where(ends & parent.writable, mask, parent.tokens[STEP])[:length]
    assert grown.tokens[0].tolist() == before.tolist()
    assert (grown.writable == parent.writable[:length]).all()
    assert (before[grown.writable] != mask).any()
    code = run.comparison.code
    assert "draft=[" in code.python and code.shell.startswith("#")


def test_draft_needs_sampler_that_revises(parent):
    page, form = page_of(parent)
    form["panels"] = [*form["panels"][:3], {"sampler": "mdlm", "preset": None, "params": {}}]
    _, last = finish(branch({**request(), "stays": "draft"}, page, "capitals", 1, form))
    assert "mdlm keeps a draft as it is" in last.values[3]["message"]


def test_finished_text_can_be_draft_but_not_pinned(parent):
    page, form = page_of(parent)
    last = len(parent.tokens) - 1
    with pytest.raises(ValueError, match="nothing is left to fill in"):
        branch(request(last), page, "capitals", 0, form)
    draft = branch({**request(last), "stays": "draft"}, page, "capitals", 0, form).inputs.draft
    assert draft and not set(parent.card["eos_ids"]) & set(draft), "the text would end at once"
    assert set(parent.card["eos_ids"]) & set(parent.tokens[last].tolist())
    with pytest.raises(ValueError, match="stays must be pinned or draft"):
        branch({**request(), "stays": "x"}, page, "capitals", 0, form)
