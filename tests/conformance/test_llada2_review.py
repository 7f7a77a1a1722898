"""Every issue of the published review of the LLaDA2 pipeline (diffusers #13598), on our llada2.

Their fake models enter by `lab.wrap`, their `threshold=2.0` (never confident enough) is our None,
their callback tensors are the arrays of a Trajectory.
"""

import inspect

import numpy as np
import pytest
import torch

import lab
from samplers.canvas import Canvas
from tests.kit import tiny
from tests.kit.laws import check, record, start


def run(answer, vocabulary, prompts, *, eos_ids=(), pad_id=None, **settings):
    """A recorded run of llada2 on a fake model, and the module that it called."""
    module = tiny.Fake(answer)
    model = lab.wrap(module, tiny.card(vocabulary, eos_ids=eos_ids, pad_id=pad_id))
    result = record("llada2", model, prompts, **settings)
    check(result)
    return result, module


# Issue 1: the tokenizer's padding mask was dropped, pads and tail were read as context.


def test_issue_1_model_sees_neither_pad_nor_tail():
    result, module = run(
        tiny.constant(1, 128), 128, [[11, 12], [21]], gen_length=1, block_length=4, steps=1
    )
    seen = sorted(ids.tolist() for ids in module.ids)
    assert seen == [[[11, 12, 127]], [[21, 127]]]
    assert all((mask == 0).all() for mask in module.masks), "one block: every column is visible"
    assert [one.output for one in result.trajectories()] == [[1], [1]]


def test_issue_1_positions_count_from_each_row_first_token():
    _, module = run(
        tiny.constant(1, 128), 128, [[11] * 6, [21]], gen_length=3, block_length=2, steps=2
    )
    assert module.positions
    for ids, positions in zip(module.ids, module.positions, strict=True):
        assert (positions == torch.arange(ids.shape[1])).all()


def test_issue_1_padded_row_equals_row_alone():
    model = tiny.networks()["block-absorbing"]
    settings = {"gen_length": 9, "block_length": 4, "steps": 4}
    for prompts in (["a girl", "What is the capital of Peru?"], tiny.prompts([1, 33])):
        batch = lab.run("llada2", model, prompts, **settings)
        for row, prompt in enumerate(prompts):
            (alone,) = lab.run("llada2", model, [prompt], first_row=row, **settings)
            assert np.array_equal(alone.tokens, batch[row].tokens)


def test_issue_1_nothing_is_generated_beyond_requested_length():
    result, module = run(
        tiny.constant(1, 128), 128, [[11, 12, 13]], gen_length=2, block_length=8, steps=8
    )
    assert result.frames[-1].tokens.shape == (1, 5) and max(i.shape[1] for i in module.ids) == 5


# Issue 2: block_length did not reach the schedule (8 steps on a block of 8 committed 4, 4, 0).


@pytest.mark.parametrize(
    ("gen_length", "block_length", "steps", "target"),
    [
        (8, 8, 8, [1] * 8),
        (8, 8, 3, [3, 3, 2]),
        (8, 4, 2, [2, 2, 2, 2]),
        (8, 8, 32, [1] * 8),
        (5, 4, 3, [2, 1, 1, 1]),
    ],
)
def test_issue_2_block_length_decides_schedule(gen_length, block_length, steps, target):
    result, _ = run(
        tiny.constant(1, 128), 128, [[]], gen_length=gen_length, block_length=block_length,
        steps=steps, threshold=None, eos_early_stop=False,
    )  # fmt: skip
    (one,) = result.trajectories()
    assert one.commits.sum(-1).tolist() == target and one.calls.tolist() == list(
        range(1, len(target) + 1)
    )


# Issue 3: advertised callback tensors raised KeyError.


def test_issue_3_every_advertised_field_is_there_on_every_step():
    result, _ = run(tiny.constant(1, 16), 16, [[]], gen_length=1, block_length=1, steps=1)
    (one,) = result.trajectories()
    for name in ("tokens", "predicted", "confidence", "entropy", "score", "commits", "edits",
                 "remasks", "calls", "seconds", "model_seconds", "block"):  # fmt: skip
        assert len(getattr(one, name)) >= 1, name
    p = np.exp(10) / (np.exp(10) + 14)  # the mask is no token, so 15 are left
    assert one.confidence[0, 0] == pytest.approx(p, abs=1e-6)
    assert one.score[0, 0] == pytest.approx(p, abs=1e-6)
    assert one.predicted.tolist() == [[1]] and one.commits.tolist() == [[True]]
    assert one.entropy[0, 0] == pytest.approx(
        -p * np.log(p) - (1 - p) * np.log((1 - p) / 14), abs=1e-5
    )
    for frame in result.frames[1:]:
        empty = {name for name, value in vars(frame).items() if value is None}
        assert empty == {"after_filters"}  # at temperature 0 nothing is drawn


# Issue 4: an EOS at the first generated position was ignored.


def test_issue_4_eos_right_after_prompt_finishes_row():
    canvas = Canvas(
        tokens=torch.tensor([[10, 99, 99]]), writable=torch.tensor([[False, True, True]]),
        visible=torch.ones(1, 3, dtype=torch.bool), mask_id=99, eos_ids=(2,),
    )  # fmt: skip
    assert canvas.finished(torch.tensor([[10, 2, 99]])).tolist() == [True]
    assert canvas.finished(torch.tensor([[10, 99, 2]])).tolist() == [False]
    assert canvas.finished(torch.tensor([[2, 5, 99]])).tolist() == [False]


def test_issue_4_eos_alone_ends_row_at_once():
    result, module = run(
        tiny.constant(2, 128), 128, [[10]], gen_length=8, block_length=4, steps=4, eos_ids=(2,),
        threshold=None,
    )  # fmt: skip
    (one,) = result.trajectories()
    assert one.output == [2] and len(module.ids) == 1


# Issue 5: finished rows went on changing. Upstream still returns tokens after EOS here.


def test_issue_5_snippet_returns_no_token_after_eos():
    def answer(ids):
        logits = torch.zeros(*ids.shape, 128)
        for row, line in enumerate(ids.tolist()):
            if line[0] == 10:
                logits[row, :, 5 if len(line) <= 3 else 7] = 10
                if 2 < len(line) <= 3:
                    logits[row, 2, 2] = 20
            else:
                logits[row, :, 6] = 10
        return logits

    result, _ = run(
        answer, 128, [[10], [20]], gen_length=5, block_length=3, steps=3, threshold=None,
        eos_ids=(2,), eos_early_stop=True,
    )  # fmt: skip
    first, second = result.trajectories()
    assert first.output == [5, 2] and second.output == [6] * 5
    assert first.tokens[-1].tolist() == [10, 5, 2, 127, 127, 127], "the row is frozen"
    assert first.calls[-1] == 2 and second.calls[-1] == 5, "and no longer charged"


def test_issue_5_eos_before_gap_counts_once_it_is_filled():
    def answer(ids):
        logits = torch.zeros(*ids.shape, 128)
        logits[..., 5] = 4
        if ids.shape[1] > 3:
            logits[:, 3, 2] = 20  # the most confident position of all
        return logits

    result, _ = run(
        answer, 128, [[10]], gen_length=8, block_length=8, steps=8, threshold=None, eos_ids=(2,)
    )
    (one,) = result.trajectories()
    assert one.tokens[1].tolist()[3] == 2 and one.output == [5, 5, 2]
    assert one.calls[-1] == 3 and (one.tokens[-1, 4:] == 127).all()


# Issue 6: an inner progress bar ignored disable=True and left the config changed.


def test_issue_6_run_prints_and_changes_nothing(capfd):
    _, module = run(tiny.constant(1, 16), 16, [[]], gen_length=1, block_length=1, steps=1)
    assert module.training and capfd.readouterr() == ("", "")


# Issue 7: no test with a real tokenizer, chat template, padding, EOS.

CHAT = [{"role": "user", "content": "What is the capital of Peru?"}]
LONG = [*CHAT, {"role": "assistant", "content": "Lima"}, {"role": "user", "content": "And?"}]


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", ["block-absorbing", "block-hybrid"])
def test_issue_7_chats_of_unequal_length_in_one_batch(kind, early):
    model = tiny.eos_rich(tiny.networks()[kind])
    settings = {"gen_length": 24, "block_length": 8, "steps": 8, "eos_early_stop": early}
    chats = [CHAT, LONG]
    result = record("llada2", model, chats, **settings)
    check(result)
    words = model.tokenizer
    for row, chat in enumerate(chats):
        ids = words.apply_chat_template(chat, add_generation_prompt=True).input_ids
        one = result.trajectories()[row]
        assert one.tokens[0, : len(ids)].tolist() == ids and one.writable.sum() == 24
        assert words.eos_token_id in ids and one.output, "an EOS in the template ends nothing"
        assert one.text == words.decode(one.output, skip_special_tokens=True)
        (alone,) = lab.run("llada2", model, [chat], first_row=row, **settings)
        assert np.array_equal(alone.tokens, one.tokens)


def test_issue_7_text_that_spells_special_token_stays_text():
    model = tiny.networks()["block-absorbing"]
    chat = [{"role": "user", "content": "a<|eos|>b<|mask|>"}]
    for prompt in ("a<|eos|>b<|mask|>", [chat]):
        (one,) = lab.run("llada2", model, prompt, gen_length=2)
        line = one.tokens[0, ~one.writable]
        assert model.card.mask_id not in line
        assert (line == 3).sum() == (0 if isinstance(prompt, str) else 1), "the template's own"
    assert "a<|eos|>b<|mask|>" in model.tokenizer.decode(line)


def test_issue_7_ids_stay_as_they_are():
    result = record("llada2", tiny.networks()["block-absorbing"], [[1, 0, 3, 70]], gen_length=3)
    assert result.plan.canvas.tokens[0, :4].tolist() == [1, 0, 3, 70]


def test_issue_7_without_prompt_start_token_opens_row():
    result = record("llada2", tiny.networks()["block-absorbing"], gen_length=3)
    assert result.plan.canvas.tokens[0, 0] == 2 and not result.plan.canvas.writable[0, 0]


def test_issue_7_text_without_tokenizer_is_error():
    model = lab.wrap(tiny.constant(1, 16), tiny.card(16))
    with pytest.raises(ValueError, match="fake has no tokenizer: give prompts as lists of token"):
        start("llada2", model, "hello")
    with pytest.raises(ValueError, match="no chat template: give the prompt as plain text"):
        start("llada2", model, [CHAT])
    assert lab.run("llada2", model, [[3]], gen_length=2)[0].text == "1 1"


def test_issue_7_prompt_and_template_together_are_clear_error():
    with pytest.raises(ValueError, match="template already says what to fill"):
        start("llada2", tiny.networks()["block-absorbing"], "hello", template="a [MASK]")
    assert "messages" not in inspect.signature(lab.run).parameters
