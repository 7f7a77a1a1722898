"""Lossless (docs/laws.md P13): whatever the draft model, the text is the model's own."""

import math
from time import sleep

import numpy as np
import pytest
import torch

import lab
import samplers
from lab.record.metrics import metrics, table
from lab.study.enumeration import exact_law
from lab.ui.panel_value import metrics_of
from tests.kit import tiny
from tests.kit.chain import BLANK, DATA, MASK, PI, SEQUENCES, A, drafted, following
from tests.kit.laws import check, record

DFLASH, PLAIN = samplers.get("dflash"), samplers.get("autoregressive")
BLOCK = 4
CLOSE = 1e-6  # logits are float32
DRAFT_MODELS = ("own", "good", "bad", "random")


def chain(draft_model="own", length=4, **facts):
    """The reference chain read from left to right, with its own draft model or another one."""
    exact = lab.oracle(PI, A, length=length, draft_length=BLOCK, **facts)
    if draft_model == "own":  # the marginals of each position
        return exact
    return lab.wrap(following, exact.card, draft_model=lambda tokens: drafted(draft_model, tokens))


def same_law(model, row, **values):
    """The law of final canvases is the one of plain sampling, but for rounding."""
    law = exact_law(DFLASH, model, row, **values)
    values.pop("draft_length", None)
    plain = exact_law(PLAIN, model, row, **values)
    assert float((law.of(plain.tokens) - plain.probability).abs().max()) < CLOSE
    return law


@pytest.mark.parametrize("draft_model", DRAFT_MODELS)
@pytest.mark.parametrize("draft_length", [1, 2, 3, BLOCK])
def test_any_draft_model_keeps_law_of_data(draft_model, draft_length):
    law = same_law(chain(draft_model), BLANK, draft_length=draft_length)
    assert law.distance(SEQUENCES, DATA) < CLOSE


@pytest.mark.parametrize("draft_model", DRAFT_MODELS)
@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 2},
        {"top_p": 0.6, "nucleus_rule": "drop_crossing"},
        {"temperature": 0.0},
    ],
)
def test_tempered_and_filtered_laws_are_target(draft_model, values):
    same_law(chain(draft_model), BLANK, **values)


@pytest.mark.parametrize("draft_model", DRAFT_MODELS)
@pytest.mark.parametrize(
    "row",
    [[1, *[MASK] * 5], [MASK, MASK, 2, MASK, 0, MASK], [0, 1, MASK, 2, 2, MASK], [MASK] * 3 + [1]],
)
@pytest.mark.parametrize("eos", [None, 2])
def test_prompts_pinned_tokens_and_eos_keep_law(draft_model, row, eos):
    same_law(chain(draft_model, length=6, eos_id=eos), row)
    if eos is not None:
        same_law(chain(draft_model, length=6, eos_id=eos), row, eos_early_stop=False)


def blocks_needed(model, sequence):
    """Calls for one text, counted by hand: one for its first token, then one an accepted block."""
    place, calls = 1, 1
    while place < len(sequence):
        width = min(BLOCK, len(sequence) - place)
        x = torch.tensor([[*sequence[:place], *[MASK] * (len(sequence) - place)]])
        free = [model.denoise(x, window=slice(j, j + 1))[0, 0].argmax() for j in range(len(x[0]))]
        accepted = 0
        while accepted < width - 1 and int(free[place + accepted]) == sequence[place + accepted]:
            accepted += 1
        place, calls = place + accepted + 1, calls + 1
    return calls


def test_calls_are_one_for_each_rejected_draft():
    law = exact_law(DFLASH, chain(), BLANK, count_calls=True)
    marginal = lab.oracle(PI, A, length=4)  # knows all that stands there: here, the left alone
    calls = {tuple(line): blocks_needed(marginal, line) for line in law.tokens.tolist()}
    assert law.calls.tolist() == [calls[tuple(line)] for line in law.tokens.tolist()]
    assert set(calls.values()) == {2, 3, 4}


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("draft_model", DRAFT_MODELS)
def test_seed_gives_text_of_autoregressive(draft_model, temperature):
    model = chain(draft_model, length=18)
    settings = {"seed": 4, "rows": 3, "temperature": temperature}
    ours = record("dflash", model, [[1], [0, 2]], **settings)
    check(ours)
    plain = record("autoregressive", model, [[1], [0, 2]], **settings)
    for mine, theirs in zip(ours.trajectories(), plain.trajectories(), strict=True):
        assert mine.output == theirs.output
        assert np.array_equal(mine.tokens[-1], theirs.tokens[-1])


@pytest.mark.parametrize("gen_length", [1, 2, BLOCK, BLOCK + 1, 32])
def test_rejected_drafts_still_fill_gen_length(gen_length):
    model = chain("bad", length=40)
    run = record("dflash", model, [[1, 0]], gen_length=gen_length, temperature=0.0)
    check(run)
    (one,) = run.trajectories()
    assert len(one.output) == gen_length == one.calls[-1] and MASK not in one.output
    assert gen_length < 3 or metrics(one).acceptance_length == 1


def test_accepted_drafts_write_whole_blocks():
    run = record("dflash", chain("good", length=40), [[1, 0]], gen_length=33, temperature=0.0)
    (one,) = run.trajectories()
    assert one.commits.sum(-1).tolist() == [1, *[BLOCK] * 8]
    assert metrics(one).acceptance_length == BLOCK and one.calls[-1] == 9
    short = record("dflash", chain("good", length=40), [[1, 0]], gen_length=33, temperature=0.0,
                   draft_length=3).trajectories()[0]  # fmt: skip
    assert metrics(short).acceptance_length == pytest.approx(32 / 11) and short.output == one.output


def test_acceptance_length_exists_only_with_drafts():
    run = record("dflash", "capitals", "The capital of", rows=2, seed=1).trajectories()
    plain = record("autoregressive", "capitals", "The capital of", rows=2, seed=1).trajectories()
    assert [one.output for one in run] == [one.output for one in plain]
    for one in run:
        accepted = one.commits.sum(-1)[1:]
        assert metrics(one).acceptance_length == pytest.approx(float(accepted.mean()))
    assert all(math.isnan(metrics(one).acceptance_length) for one in plain)
    assert "Tokens kept per draft" in table([*run, *plain]).columns
    assert "Tokens kept per draft" not in table(plain).columns
    assert ["Accepted / draft", f"{metrics(run[0]).acceptance_length:.2f}"] in [
        line[:2] for line in metrics_of(run[0])
    ]
    assert not [line for line in metrics_of(plain[0]) if "draft" in line[0]]


def test_prediction_holds_accepted_then_drafted_tokens():
    run = record("dflash", chain("bad", length=12), [[1]], gen_length=9, temperature=0.0)
    for before, after in zip(run.frames[1:], run.frames[2:], strict=False):
        width = after.window.stop - after.window.start
        assert after.predicted[0, 0] == after.tokens[0, after.window.start]
        assert (after.predicted[0, 1 : width - 1] >= 0).all()
        assert width == 1 or after.predicted[0, width - 1] == -1  # the last place has no draft
        assert after.calls[0] == before.calls[0] + 1


def test_block_is_never_longer_than_draft_model():
    for limit, width in ((64, BLOCK), (BLOCK, BLOCK), (3, 3), (1, 1)):
        run = record("dflash", chain(length=20), [[1]], gen_length=13, draft_length=limit)
        widths = {frame.window.stop - frame.window.start for frame in run.frames[1:]}
        assert max(widths) == width


def test_model_without_draft_model_is_refused():
    with pytest.raises(ValueError, match=r"dflash needs a draft model"):
        record("dflash", tiny.networks()["causal-absorbing"], "x")
    with pytest.raises(ValueError, match=r"needs a draft model, .* a causal table or chain"):
        record("dflash", tiny.networks()["full-absorbing"], "x")
    opened = tiny.networks()["causal-absorbing"].open(
        record("autoregressive", tiny.networks()["causal-absorbing"], "x", gen_length=2).plan.canvas
    )
    with pytest.raises(ValueError, match=r"has no draft model; choose a model that has one"):
        opened.draft(opened.canvas.tokens, window=slice(2, 3))


def test_more_columns_than_draft_block_are_refused():
    run = record("dflash", chain(length=20), [[1]], gen_length=13)
    opened = run.plan.model.open(run.plan.canvas)
    with pytest.raises(ValueError, match=r"drafts at most 3 columns at a time, got 4"):
        opened.draft(run.plan.canvas.tokens, window=slice(2, 6))


def test_draft_costs_time_and_no_call():
    def slow(tokens):
        sleep(0.03)
        return drafted("good", tokens)

    card = chain(length=20).card
    settings = {"gen_length": 13, "temperature": 0.0}
    runs = [
        record("dflash", lab.wrap(following, card, draft_model=draft_model), [[1]], **settings)
        for draft_model in (slow, lambda tokens: drafted("good", tokens))
    ]
    late, fast = (run.frames[-1] for run in runs)
    assert late.calls[0] == fast.calls[0] == 4  # one for the prompt, three for twelve tokens
    assert late.model_seconds[0] >= 3 * 0.03 and fast.model_seconds[0] < 3 * 0.03


def test_draft_model_and_draft_length_go_together():
    with_length, without = chain().card, lab.oracle(PI, A, length=4).card
    for card, draft_model in ((with_length, None), (without, following)):
        with pytest.raises(ValueError, match=r"a draft model and card\.draft_length go together"):
            lab.wrap(following, card, draft_model=draft_model)
    with pytest.raises(ValueError, match=r"needs a callable as draft_model, got int"):
        lab.wrap(following, with_length, draft_model=4)
    for length in (1, 2.0, True, "4"):
        with pytest.raises(ValueError, match=r"draft_length must be a whole number of at least 2"):
            lab.oracle(PI, A, draft_length=length)
    with pytest.raises(ValueError, match=r"has no hybrid noise; leave one of the two out"):
        lab.table([[0, 1]], draft_length=2, corruption="hybrid")


def test_causal_oracle_sees_only_what_stands_left():
    model, x = chain(length=5), torch.tensor([[0, 2, 1, MASK, 1]])
    logits = model.denoise(x)[0, :, :MASK]
    target = torch.tensor([PI, *(A[token] for token in (0, 2, 1))])
    assert torch.allclose(logits[:4].exp(), target, atol=1e-6)
    unknown = torch.tensor(A[1]) @ torch.tensor(A)  # after a masked position: its marginal
    assert torch.allclose(logits[4].exp(), unknown, atol=1e-6)
    opened = model.open(record("dflash", model, [[0, 2]], gen_length=3).plan.canvas)
    ahead = opened.draft(torch.tensor([[0, 2, MASK, MASK, 1]]), window=slice(2, 5))
    assert torch.allclose(ahead[0, 0, :MASK].exp(), torch.tensor(A[2]), atol=1e-6)
    third = torch.tensor(A[2]) @ torch.tensor(A) @ torch.tensor(A)
    assert torch.allclose(ahead[0, 2, :MASK].exp(), third, atol=1e-6), "it knew its own answer"
