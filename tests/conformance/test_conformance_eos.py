"""Laws L4 and L5 over the whole registry: an EOS planted at a known place ends the row there."""

import numpy as np
import pytest
import torch

import samplers
from tests.kit import tiny
from tests.kit.laws import SAMPLERS, check, has, only, record

EOS, MASK, PAD, V = 2, 15, 1, 16
LENGTH = 10


def word(position):
    return 4 + position % 8


def planted(sampler, places):
    """A model that wants EOS at these places of every row, a known word elsewhere.

    It is surer of the EOS than of any word, so that samplers which rank fill the EOS first, and
    sure of nothing beyond a threshold, so that they do not fill a block at once. Where tokens may
    be noise it is certain, so that what it wants is what stands at the end.
    """
    needs = samplers.get(sampler).needs
    scale = 2.0 if "absorbing" in needs.corruption else 40.0

    def answer(tokens, t):
        logits = torch.zeros(*tokens.shape, V)
        for column in range(tokens.shape[1]):
            token = EOS if column in places else word(column)
            logits[:, column, token] = scale if column in places else scale / 2
        return logits

    return tiny.wrapped(sampler, answer, V, eos_ids=(EOS,), pad_id=PAD, bos_id=0, mask_id=MASK)


def settings(sampler, **values):
    return only(sampler, steps=40, block_length=4, temperature=0.0, **values)


@pytest.mark.parametrize("place", [0, 1, 3, 4, 7, LENGTH - 1])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_row_ends_at_its_first_eos_wherever_it_stands(sampler, place):
    prompt = [5, 6]
    model = planted(sampler, {len(prompt) + place, len(prompt) + place + 2})
    run = record(sampler, model, [prompt], gen_length=LENGTH, **settings(sampler))
    check(run)
    (one,) = run.trajectories()
    assert one.output == [word(2 + i) for i in range(place)] + [EOS]
    if has(sampler, "eos_early_stop", "block_length"):
        assert one.calls[-1] <= place + 1 + 4, "went on after the row had ended"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_eos_at_first_position_ends_row(sampler):
    for prompts in ([[]], [[EOS]], [[EOS, EOS, 5]]):
        first = max(len(prompts[0]), 1)  # an empty prompt gets the start token
        run = record(sampler, planted(sampler, {first}), prompts, gen_length=5, **settings(sampler))
        check(run)
        assert run.trajectories()[0].output == [EOS]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_eos_in_prompt_ends_nothing(sampler):
    prompts = [[EOS, 5, EOS], [5, 6, EOS]]
    run = record(sampler, planted(sampler, {6}), prompts, gen_length=8, **settings(sampler))
    check(run)
    for one in run.trajectories():
        assert one.output == [word(3), word(4), word(5), EOS]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_eos_pinned_in_template_ends_nothing(sampler):
    template = [[5, MASK, EOS, MASK, MASK]]
    run = record(sampler, planted(sampler, {}), template=template, **settings(sampler))
    check(run)
    assert run.frames[-1].tokens[0].tolist() == [5, word(1), EOS, word(3), word(4)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_finished_row_costs_its_neighbours_nothing(sampler):
    prompts = [[5] * 4, [5] * 4]
    both = record(
        sampler, planted(sampler, {5}), [prompts[0], [5]], gen_length=8, **settings(sampler)
    )
    check(both)
    for row, prompt in enumerate([prompts[0], [5]]):
        alone = record(sampler, planted(sampler, {5}), [prompt], gen_length=8, first_row=row,
                       **settings(sampler))  # fmt: skip
        alone, together = alone.trajectories()[0], both.trajectories()[row]
        assert alone.output == together.output and alone.calls[-1] == together.calls[-1]
        assert np.array_equal(alone.tokens, together.tokens)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if has(name, "eos_early_stop")])
def test_early_stop_off_returns_up_to_first_eos(sampler):
    values = settings(sampler, eos_early_stop=False)
    run = record(sampler, planted(sampler, {3}), [[5, 6]], gen_length=LENGTH, **values)
    check(run)
    target = [word(2 + i) if i != 1 else EOS for i in range(LENGTH)]
    assert run.frames[-1].tokens[0, 2:].tolist() == target
    assert run.trajectories()[0].output == target[:2]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_several_eos_ids_all_end_row(sampler):
    model = tiny.changed(planted(sampler, {3}), eos_ids=(EOS, word(5)))
    run = record(sampler, model, [[5, 6]], gen_length=8, **settings(sampler))
    check(run)
    assert run.trajectories()[0].output == [word(2), EOS]
    model = tiny.changed(planted(sampler, {9}), eos_ids=(EOS, word(5)))
    run = record(sampler, model, [[5, 6]], gen_length=8, **settings(sampler))
    assert run.trajectories()[0].output == [word(2), word(3), word(4), word(5)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_mask_and_pad_are_never_committed(sampler):
    def answer(tokens, t):
        logits = torch.zeros(*tokens.shape, V)
        logits[..., MASK], logits[..., PAD] = 50.0, 40.0
        return logits

    model = tiny.wrapped(sampler, answer, V, pad_id=PAD, bos_id=0, mask_id=MASK)
    for temperature in (0.0, 1.0):
        values = only(sampler, steps=5, block_length=4, temperature=temperature)
        run = record(sampler, model, [[5], [5, 6, 7]], gen_length=9, **values)
        check(run)
        for one in run.trajectories():
            assert len(one.output) == 9 and not {MASK, PAD} & set(one.output)
