"""The models that ship: each is what its card says, small, and has learned its corpus."""

import json
from itertools import pairwise

import pytest

import lab
from lab.models.catalogue import ASSETS, MEMBERS, TRAINED
from lab.models.judge import judge

STORIES = [name for name in lab.models() if name.startswith("stories-")]
NETS = [name for name in lab.models() if any(name in MEMBERS[task] for task in TRAINED)]
OPENING = {  # how each kind is asked for the word in "Once upon a ..."
    "mdlm": ("llada", {}),
    "block": ("llada2", {"block_length": 4}),
    "edit": ("llada2", {"block_length": 4, "editing_threshold": 0.9}),
    "hybrid": ("hybrid", {"steps": 8, "temperature": 0.1}),
    "ar": ("autoregressive", {"temperature": 0.0}),
    "draft": ("dflash", {"temperature": 0.0}),
}


@pytest.mark.parametrize("name", NETS)
def test_shipped_network_is_what_its_card_says(name):
    task, _, network = name.partition("-")
    folder = ASSETS / task / network
    card = (folder / "README.md").read_text("utf-8")
    stages = json.loads((folder / "training.json").read_text("utf-8"))
    assert lab.load(name).card.name == name
    assert f"# {name}" in card and stages[-1]["command"] in card
    assert "Not measured" not in card and "None read yet" not in card
    assert all(file.stat().st_size < 10e6 for file in folder.iterdir())


@pytest.mark.parametrize("name", STORIES)
def test_story_network_knows_how_stories_begin(name):
    sampler, values = OPENING[name.partition("-")[2]]
    (run,) = lab.run(sampler, name, "Once upon a", gen_length=1, **values)
    assert run.text == " time"


def test_judge_tells_likely_text_from_noise():
    model, prompts = lab.load("stories-ar"), ["Once upon a time", "Tom and his dog"]
    calm, wild = (
        lab.run("max_prob", "stories-mdlm", prompts, gen_length=16, temperature=temperature)
        for temperature in (0.5, 2.0)
    )
    assert max(judge(model, calm)) + 1 < min(judge(model, wild))


def test_drafts_change_no_text():
    prompts = ["Once upon a time", "One day, a boy named Tim"]
    for temperature in (0.0, 1.0):
        plain, fast = (
            lab.run(sampler, "stories-draft", prompts, gen_length=40, temperature=temperature)
            for sampler in ("autoregressive", "dflash")
        )
        assert [run.text for run in plain] == [run.text for run in fast]
        assert all(b.calls[-1] < a.calls[-1] for a, b in zip(plain, fast, strict=True))


def test_held_out_bounds_stand_in_papers_order():
    """Arriola et al. 2025 (arXiv:2503.09573), table 3: AR < BD3LM 4 < 8 < 16 < MDLM."""
    nats = {}
    for network in ("ar", "block", "mdlm"):
        for line in (ASSETS / "stories" / network / "README.md").read_text("utf-8").splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) == 3 and "±" in cells[1]:
                nats[cells[0]] = float(cells[1].split("±")[0])
    order = ["exact", *(f"block length {size}" for size in (4, 8, 16, 32)), "MDLM"]
    assert all(nats[better] <= nats[worse] for better, worse in pairwise(order)), nats
