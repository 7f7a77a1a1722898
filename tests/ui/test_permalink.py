"""A link: short, canonical, there and back, and refused in one sentence where it is wrong."""

import pytest

import lab
from lab.ui.permalink import LONGEST, _query, _restore, from_query, start, to_query


def changed(task="stories", **changes):
    return start(task)._replace(**changes)


def with_panels(task, *panels, **shared):
    form = start(task).form
    return {**form, "panels": [*panels, *form["panels"][len(panels) :]], "shared": shared}


STATES = [
    changed(),
    changed("sudoku9"),
    changed(text="Tom & his dog=?#+ went\n„ü“ 😀", seed=2**63 - 1, gen_length=17, run=True),
    changed(text="a [MASK]*3", kind="prompt", rows=8, draft="x [MASK] & y"),
    changed(
        form=with_panels(
            "stories",
            {"sampler": "llada2", "preset": "llada2.1_quality", "params": {"threshold": 0.8}},
            None,
            {"sampler": "dream", "preset": None, "params": {"alg": "entropy", "top_k": None}},
            steps=7,
            temperature=0.5,
        )
    ),
]


@pytest.mark.parametrize("state", STATES)
def test_link_brings_everything_back(state):
    query = to_query(state)
    back = from_query(f"?__theme=dark&{query}")
    assert back._replace(form=None) == state._replace(form=None)
    for field in ("panels", "shared", "task"):
        assert back.form[field] == state.form[field]
    assert to_query(back) == query


@pytest.mark.parametrize("task", list(lab.tasks()))
def test_page_as_it_opens_has_short_link(task):
    assert to_query(start(task)) == f"task={task}"


def test_link_is_readable():
    assert to_query(STATES[-1]) == (
        "task=stories&steps=7&temperature=0.5&1=llada2:llada2.1_quality&1.threshold=0.8&2=&3=dream"
        "&3.alg=entropy&3.top_k=null"
    )


def test_page_without_link_stays_as_it_is():
    assert from_query("?__theme=dark") is None
    assert from_query("") is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("task=no", "task must be one of"),
        ("task=stories&1=no", "no sampler 'no'"),
        ("task=stories&1=mdlm:no", "mdlm has no preset 'no'"),
        ("task=stories&1=mdlm&1.no=3", "mdlm has no parameter 'no'"),
        ("task=stories&1=mdlm&1.steps=-3", "steps must be"),
        ("task=stories&steps=0", "steps must be"),
        ("task=stories&steps=NaN", "steps must be"),
        ("task=stories&1=mdlm&1.steps=[3]", "steps must be one value"),
        ("task=stories&1=mdlm&1.steps=" + "[" * 5000, "steps must be"),
        ("task=stories&seed=-1", "seed must be a whole number"),
        ("task=stories&length=2.5", "length must be a whole number"),
        ("task=stories&rows=65", "rows must be a whole number from 1 to 64"),
        ("task=stories&kind=poem", "kind must be one of"),
        ("task=stories&text=" + "x" * LONGEST, "a link must have at most"),
        ("task=stories&" + "&".join(f"x{i}=" for i in range(300)), "fields"),
    ],
)
def test_wrong_link_is_one_sentence(query, message):
    with pytest.raises(ValueError, match=message):
        from_query(query)
    *rest, status, begin = _restore(query)
    assert status.startswith("✕ This link cannot be opened: ") and begin == ""
    assert "\n" not in status and len(rest) == 9


def test_state_that_page_would_not_send_has_no_link():
    assert _query("no", "prompt", "x", 0, 0, start("stories").form, 1, "") == ""
    assert _query("stories", "prompt", "x", 0, 0, {}, 1, "") == ""
