"""A run that begins with a draft: what is looked at anew, what stays, and what is refused."""

import math

import numpy as np
import pytest
import torch

import lab
import samplers
from lab.record.history import COMMITTED, EDITED, MASK
from tests.kit import tiny
from tests.kit.golden import MASK as MASK_ID
from tests.kit.golden import V, answer

LENGTH = 8
EDITING = {"editing_threshold": 0.0, "threshold": 0.3, "block_length": 16}
REVISERS = {
    "llada2": EDITING,
    "remdm": {"steps": 8, "eta": 0.2},
    "p2": {"steps": 8},
}


def network(sampler):
    attention = "block_causal" if sampler == "llada2" else "full"
    return lab.wrap(answer, tiny.card(V, attention=attention))


def test_samplers_that_take_drafts_are_those_that_revise():
    for one in samplers.SAMPLERS.values():
        assert not one.drafts or one.revises, one.name
    assert {one.name for one in samplers.SAMPLERS.values() if one.drafts} >= set(REVISERS)


@pytest.mark.parametrize("sampler", REVISERS)
def test_draft_stands_before_first_call(sampler):
    draft = [1, 2, MASK_ID, 3]
    runs = lab.run(sampler, network(sampler), [4], gen_length=LENGTH, draft=draft, rows=3,
                   **REVISERS[sampler])  # fmt: skip
    for run in runs:
        assert run.tokens[0].tolist() == [4, 1, 2, MASK_ID, 3, *[MASK_ID] * 4]
        assert run.state[0, 1] == COMMITTED and run.state[0, 3] == MASK
        assert run.committed_step[0].tolist() == [-1, 0, 0, -1, 0, -1, -1, -1, -1]
        assert run.settings["draft"] == draft and run.writable.sum() == LENGTH
        assert (run.tokens[-1] != MASK_ID).all() and run.tokens[-1, 0] == 4
    (alone,) = lab.run(sampler, network(sampler), [4], gen_length=LENGTH, draft=draft, first_row=1,
                       **REVISERS[sampler])  # fmt: skip
    assert alone.tokens.tolist() == runs[1].tokens.tolist()


def test_whole_draft_is_edited_until_nothing_changes():
    """Beside a plain loop: the best tokens replace others, in at most 16 calls."""
    model = network("llada2")
    draft = [1, 2, 3, 4, 1, 2, 3, 4]
    (run,) = lab.run("llada2", model, [4], gen_length=LENGTH, draft=draft, **EDITING)
    x, seen = [4, *draft], []
    for _ in range(16):
        logits = answer(torch.tensor([x]))[0].double()
        logits[:, MASK_ID] = -math.inf
        after = [4, *logits.argmax(-1).tolist()[1:]]
        seen.append(after)
        if after == x:
            break
        x = after
    assert run.tokens[1:].tolist() == seen
    assert (run.state[-1] == EDITED).any()


def test_step_without_draft_is_as_before():
    for sampler, values in REVISERS.items():
        plain, drafted = (
            lab.run(sampler, network(sampler), [4], gen_length=LENGTH, **values, **extra)[0]
            for extra in ({}, {"draft": [MASK_ID]})
        )
        assert plain.tokens.tolist() == drafted.tokens.tolist()


def test_conf_takes_back_draft_before_what_was_drawn():
    model = network("remdm")
    runs = lab.run("remdm", model, [4], gen_length=LENGTH, draft=[1, 1, 1, 1], rows=64, steps=8,
                   strategy="conf")  # fmt: skip
    taken = np.mean([run.remasks[:, 1:5].any(0).mean() for run in runs])
    others = np.mean([run.remasks[:, 5:].any(0).mean() for run in runs])
    assert taken > others


def test_text_may_have_open_places_and_fills_template():
    (run,) = lab.run("remdm", "capitals", template="The capital of [MASK]*2 is[MASK].",
                     draft=" France[MASK]", steps=4)  # fmt: skip
    assert "France" in "".join(run.piece(i) for i in run.tokens[0].tolist())
    assert run.settings["draft"] == " France[MASK]"


@pytest.mark.parametrize(
    ("sampler", "draft", "words"),
    [
        ("mdlm", [1], "mdlm keeps a draft as it is"),
        ("llada2", [1], "llada2 keeps a draft as it is"),
        ("remdm", [], "a draft must have 1 to 8 tokens"),
        ("remdm", [1] * 9, "a draft must have 1 to 8 tokens"),
        ("remdm", 3, "draft must be text or token ids"),
        ("remdm", [{"role": "user", "content": "x"}], "draft must be text or token ids"),
        ("remdm", [1.5], "prompt ids must be whole numbers"),
        ("remdm", [V], "prompt ids must be whole numbers"),
    ],
)
def test_other_drafts_are_refused(sampler, draft, words):
    with pytest.raises(ValueError, match=words):
        lab.run(sampler, network(sampler), [4], gen_length=LENGTH, draft=draft)


def test_draft_that_ends_text_is_refused():
    eos = lab.load("stories-mdlm").card.eos_ids[0]
    with pytest.raises(ValueError, match="a draft must not end the text"):
        lab.run("remdm", "stories", "Once", gen_length=4, draft=[5, eos], steps=2)


def test_uniform_model_takes_no_draft():
    model = lab.wrap(answer, tiny.card(V, attention="full", corruption="uniform", mask_id=None))
    with pytest.raises(ValueError, match="a draft goes with models that have a mask"):
        lab.run("uniform", model, [4], gen_length=4, draft=[1], steps=2)
