"""Lossless (docs/laws.md P13): whatever the block mode drafts, the text is the causal mode's."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

import lab
import samplers
from lab.models.exact.shipped import SHIPPED
from lab.record.metrics import metrics
from lab.study.enumeration import canvas_of
from lab.ui.panel_value import metrics_of
from samplers.noise import Noise
from tests.kit import tiny
from tests.kit.chain import BLANK, DATA, MASK, PI, SEQUENCES, A, drafted, following
from tests.kit.laws import check, record

NAME = "self_speculation"
BLOCK = 4
DRAFTS = ("own", "good", "bad", "random")
RULES = ({}, {"first_width": 2}, {"threshold": 0.6}, {"threshold": 1.0, "width": 3})


def chain(draft="own", length=4, **facts):
    """The reference chain read from left to right, with its own block mode or another one."""
    exact = lab.oracle(PI, A, length=length, draft_length=BLOCK, **facts)
    if draft == "own":  # the marginals of each position, given what stands in the block
        return exact
    card = replace(exact.card, draft_length=None)
    return lab.wrap(following, card, block_mode=partial(drafted, draft))


class Lattice:
    """The middle of each of 10^4 cells, a row each, as the numbers of four positions: the chain's
    chances are tenths, so that no cell holds a border between two tokens."""

    def uniform(self, where):
        assert where.all() and where.shape == (10_000, 4)
        return (torch.tensor(list(product(range(10), repeat=4))).double() + 0.5) / 10


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("rule", [*RULES[:3], {"width": 2}], ids=str)
def test_any_draft_keeps_law_of_data(draft, rule):
    model, sampler = chain(draft), samplers.get(NAME)
    canvas = canvas_of(sampler, model, BLANK, 10_000)
    *_, last = sampler(model.open(canvas), canvas, Lattice(), **rule)
    count = (last.tokens[:, None] == SEQUENCES).all(-1).double().sum(0)
    assert torch.equal(count, (DATA * 10_000).round())


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("draft", DRAFTS)
def test_seed_gives_text_of_autoregressive(draft, rule, temperature):
    model = chain(draft, length=18)
    settings = {"seed": 4, "rows": 3, "temperature": temperature}
    ours = record(NAME, model, [[1], [0, 2]], **rule, **settings)
    check(ours)
    plain = record("autoregressive", model, [[1], [0, 2]], **settings)
    for mine, theirs in zip(ours.trajectories(), plain.trajectories(), strict=True):
        assert mine.output == theirs.output
        assert np.array_equal(mine.tokens[-1], theirs.tokens[-1])


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("stop", [True, False])
def test_pinned_text_and_eos_change_no_text(draft, rule, stop):
    templates = [[1, *[MASK] * 9], [MASK, MASK, 2, MASK, 0, MASK], [0, 1, MASK, 2, 2, MASK, MASK],
                 [MASK] * 3 + [1]]  # fmt: skip
    model = chain(draft, length=10, eos_id=2)
    settings = {"template": templates, "rows": 6, "seed": 1, "eos_early_stop": stop}
    ours = record(NAME, model, **rule, **settings)
    check(ours)
    plain = record("autoregressive", model, **settings)
    for mine, theirs in zip(ours.trajectories(), plain.trajectories(), strict=True):
        assert np.array_equal(mine.tokens[-1], theirs.tokens[-1])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_filtered_text_of_checkpoint_is_autoregressive(temperature):
    model = tiny.eos_rich(tiny.networks()[tiny.JOINT])
    settings = {"temperature": temperature, "top_p": 0.8, "gen_length": 20, "seed": 3}
    for rule in RULES:
        ours = record(NAME, model, tiny.prompts([9, 2, 14]), **rule, **settings)
        check(ours)
        plain = record("autoregressive", model, tiny.prompts([9, 2, 14]), **settings)
        for mine, theirs in zip(ours.trajectories(), plain.trajectories(), strict=True):
            assert mine.tokens[-1].tolist() == theirs.tokens[-1].tolist()


def soft(draft, tokens):
    """The same drafts with less confidence: 0.69 of the token it prefers, 0.15 of the others."""
    return drafted(draft, tokens) / 6


def by_loops(draft, luck, temperature, width, first_width=None, threshold=None):
    """Calls and canvases of one row behind its prompt [1], counted one by one."""

    def answer(model, line, column):
        p = model(torch.tensor([line]))[0, column, :MASK].double().softmax(-1).numpy()
        if temperature == 0:
            return int(p.argmax()), p
        tempered = p ** (1 / temperature)
        place = np.searchsorted(np.cumsum(tempered / tempered.sum()), luck[column - 1], "right")
        return int(place), p

    x, seen, calls, span = [1] + [MASK] * len(luck), [], 0, 1
    while MASK in x:
        first = x.index(MASK)
        stop = min(first + span, len(x))
        line, known = list(x), set()
        while free := [i for i in range(first, stop - 1) if line[i] == MASK]:
            block = partial(soft, draft)
            picks = {i: answer(block, line[: stop - 1], i) for i in free}
            confidence = {i: p[token] for i, (token, p) in picks.items()}
            enough = {i for i in free if threshold is None or confidence[i] >= threshold}
            for i in enough or {max(free, key=confidence.get)}:
                line[i] = picks[i][0]
                known.add(i)
            calls += 1
        calls += 1
        written = 0
        for i in range(first, stop):
            x[i] = answer(following, line[:stop], i)[0]
            written += 1
            if i not in known or x[i] != line[i]:
                break
        seen.append((calls, list(x)))
        if span == 1:
            span = first_width or width
        elif first_width and written == stop - first:
            span = min(2 * span, width)
        elif first_width and 2 * written <= stop - first:
            span = max(span // 2, 2)
    return seen


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("draft", ["good", "bad", "random"])
@pytest.mark.parametrize(
    "rule",
    [
        {"width": 4},
        {"width": 3},
        {"width": 4, "first_width": 2},
        {"width": 4, "threshold": 0.9},
        {"width": 4, "threshold": 0.5},
    ],
    ids=str,
)
def test_rounds_are_those_of_plain_loops(draft, rule, temperature):
    luck = Noise(2, [0]).uniform(torch.ones(1, 15, dtype=torch.bool))[0].tolist()
    card = replace(chain(length=16).card, draft_length=None)
    model = lab.wrap(following, card, block_mode=partial(soft, draft))
    (one,) = lab.run(NAME, model, [[1]], seed=2, temperature=temperature, **rule)
    expected = by_loops(draft, luck, temperature, **rule)
    assert list(zip(one.calls.tolist(), one.tokens[1:].tolist(), strict=True)) == expected


def test_draft_is_call_and_whole_block_two():
    (good,) = lab.run(NAME, chain("good", length=40), [[1, 0]], gen_length=33, temperature=0.0)
    assert good.commits.sum(-1).tolist() == [1, *[BLOCK] * 8]
    assert good.calls.tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert metrics(good).acceptance_length == BLOCK
    assert ["Accepted / draft", f"{BLOCK:.2f}"] in [line[:2] for line in metrics_of(good)]
    (bad,) = lab.run(NAME, chain("bad", length=40), [[1, 0]], gen_length=9, temperature=0.0)
    assert bad.calls.tolist() == [*range(1, 17, 2), 16] and len(bad.output) == 9
    plain = lab.run("autoregressive", chain("good", length=40), [[1, 0]], gen_length=9)[0]
    assert np.isnan(metrics(plain).acceptance_length)


def test_pinned_token_in_block_ends_no_draft():
    template = [1, 0, MASK, MASK, 2, MASK, MASK]
    (one,) = lab.run(NAME, chain("good", length=7), template=[template], temperature=0.0)
    assert one.calls.tolist() == [1, 3] and one.commits.sum(-1).tolist() == [1, 3]


def test_every_column_of_both_modes_is_counted():
    prompt, model = tiny.prompts([9])[0], tiny.networks()[tiny.JOINT]
    run = record(NAME, model, [prompt], gen_length=12, temperature=0.0)
    fed = [frame.columns_fed[0] for frame in run.frames]
    width = tiny.DRAFT_LENGTH
    # The prompt and the masked column; then the prompt's last token is read again, with the block,
    # and after it the block with one column more.
    assert fed[:3] == [0, 10, 10 + (1 + width) + (width + 1)]
    assert run.frames[2].calls[0] == 3


def test_prediction_holds_written_then_drafted_tokens():
    run = record(NAME, chain("bad", length=12), [[1]], gen_length=9, temperature=0.0)
    for frame in run.frames[2:]:
        width = frame.window.stop - frame.window.start
        assert frame.predicted[0, 0] == frame.tokens[0, frame.window.start]
        assert (frame.predicted[0, 1 : width - 1] >= 0).all()
        assert width == 1 or frame.predicted[0, width - 1] == -1  # the last place has no draft


def test_one_number_draws_draft_and_check():
    """A block mode that answers as the causal one then always agrees, however uncertain both."""
    card = replace(lab.oracle(PI, A, length=40, draft_length=2).card, draft_length=None)
    model = lab.wrap(following, card, block_mode=following)
    runs = lab.run(NAME, model, [[1]], gen_length=39, rows=5)
    assert {one.calls[-1] for one in runs} == {1 + 2 * 19}


def widths(draft, **rule):
    run = record(NAME, chain(draft, length=40), [[1]], temperature=0.0, **rule)
    return [frame.window.stop - frame.window.start for frame in run.frames[1:]]


def test_width_is_limited_by_setting_and_by_model():
    assert set(widths("good", width=32)) - {1, 2} == {BLOCK}
    assert set(widths("good", width=3)) == {1, 3, 2}


def test_width_doubles_after_whole_draft_and_halves_after_bad():
    assert widths("good", first_width=2)[:4] == [1, 2, 4, 4]
    assert widths("bad", first_width=4)[:4] == [1, 4, 2, 2]
    assert widths("bad")[:4] == [1, 4, 4, 4]


def test_model_without_block_mode_is_refused_naming_others():
    model = tiny.networks()["causal-absorbing"]
    with pytest.raises(ValueError, match=r"needs a causal model that also has a block") as caught:
        record(NAME, model, "x")
    models = [name for name in SHIPPED if name in str(caught.value).replace(",", " ").split()]
    assert len(models) == 3 and "--objective joint" in str(caught.value)
    for name in models:
        assert lab.run(NAME, name, "", gen_length=3)[0].output
    canvas = record("autoregressive", model, "x", gen_length=2).plan.canvas
    with pytest.raises(ValueError, match=r"has no block mode; choose a model that has one"):
        model.open(canvas)(canvas.tokens, window=slice(2, 3), block_mode=True)


def test_wrapped_block_mode_needs_causal_card_with_its_length():
    causal = replace(lab.oracle(PI, A, length=4, draft_length=2).card, draft_length=None)
    full = replace(causal, attention="full")
    for card in (replace(causal, joint_length=None), full):
        with pytest.raises(ValueError, match=r"goes with a card of causal attention and a joint_"):
            lab.wrap(following, card, block_mode=following)
    with pytest.raises(ValueError, match="needs a callable as block_mode, got int"):
        lab.wrap(following, causal, block_mode=3)
    assert lab.wrap(following, causal).card.joint_length is None
