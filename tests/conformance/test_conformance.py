"""Laws of every sampler in the registry: rows, prompts, templates, mask and pad, budgets."""

import numpy as np
import pytest
import torch

from tests.kit import tiny
from tests.kit.laws import BY_CHANCE, SAMPLERS, check, only, record, revises, with_all

PAIRS = tiny.pairs()
SETTINGS = {"steps": 6, "block_length": 8}
UNEVEN = [3, 17, 0, 9]  # no prompt gets the start token; with blocks of 8 the rest cross a border


def network(kind, *, eos=False):
    return tiny.eos_rich(tiny.networks()[kind]) if eos else tiny.networks()[kind]


def alike(batch, alone):
    """The two trajectories went the same way; answers may differ in their last digits."""
    assert np.array_equal(batch.tokens, alone.tokens)
    assert np.array_equal(batch.calls, alone.calls) and batch.output == alone.output
    assert np.array_equal(batch.predicted, alone.predicted)
    assert np.allclose(batch.confidence, alone.confidence, atol=1e-4, equal_nan=True)


def test_every_sampler_has_tiny_model():
    assert {name for name, _ in PAIRS} == set(SAMPLERS), "add a model to tests/kit/tiny.py KINDS"


@pytest.mark.parametrize("eos", [False, True], ids=["no_eos", "eos_rich"])
@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_row_in_batch_equals_row_alone(sampler, kind, eos):
    model, prompts = network(kind, eos=eos), tiny.prompts(UNEVEN)
    settings = {"gen_length": 20, "seed": 5, **only(sampler, **SETTINGS, temperature=0.8)}
    batch = record(sampler, model, prompts, **settings)
    check(batch)
    for row, together in enumerate(batch.trajectories()):
        alone = record(sampler, model, [prompts[row]], first_row=row, **settings)
        alike(together, alone.trajectories()[0])
    if eos:
        assert min(len(one.output) for one in batch.trajectories()) < 20


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_greedy_row_does_not_depend_on_longest_prompt(sampler, kind):
    settings = {"gen_length": 12, **only(sampler, **SETTINGS, temperature=0.0)}
    outputs = [
        record(sampler, network(kind), tiny.prompts([5, longest]), **settings).trajectories()[0]
        for longest in (5, 6, 40)
    ]
    for other in outputs[1:]:
        alike(outputs[0], other)


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_unequal_templates_keep_their_pinned_text(sampler, kind):
    model = network(kind)
    mask = model.card.mask_id
    templates = [
        [60, mask, mask, 61, mask, 62, 63, mask],
        [70 + i for i in range(13)] + [mask] * 9 + [90, 91] + [mask] * 4,
        [mask] * 3 + [80],
    ]
    settings = {"seed": 2, **only(sampler, **SETTINGS, temperature=0.8)}
    batch = record(sampler, model, template=templates, **settings)
    check(batch)
    for row, template in enumerate(templates):
        for frame in batch.frames:
            seen = frame.tokens[row][batch.plan.canvas.visible[row].numpy()]
            seen = seen[len(seen) - len(template) :]  # a causal model's start token goes before it
            pinned = np.array(template) != mask
            assert (seen == template)[pinned].all()
        alone = record(sampler, model, template=[template], first_row=row, **settings)
        alike(batch.trajectories()[row], alone.trajectories()[0])


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_template_text_keeps_its_words(sampler, kind):
    template = "The capital of[MASK]*4 is[MASK] here."
    (one,) = record(
        sampler, network(kind), template=template, **only(sampler, **SETTINGS)
    ).trajectories()
    words = network(kind).tokenizer
    pinned = [
        words(part, add_special_tokens=False).input_ids
        for part in ("The capital of", " is", " here.")
    ]
    line = one.tokens[-1].tolist()
    assert line[: len(pinned[0])] == pinned[0] and line[-len(pinned[2]) :] == pinned[2]
    assert words.decode(line).startswith("The capital of") and not one.writable[-1]


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_mask_and_eos_in_prompt_stay_and_end_nothing(sampler, kind):
    model = network(kind)
    mask, eos = model.card.mask_id, model.card.eos_ids[0]
    prompts = [[50, mask, 51, eos, 52], [eos], [eos] * 9, [mask] * 3]
    run = record(sampler, model, prompts, gen_length=10, **only(sampler, **SETTINGS))
    check(run)
    for prompt, one in zip(prompts, run.trajectories(), strict=True):
        assert (one.tokens[:, : len(prompt)] == prompt).all()
        assert len(one.output) == 10 or one.output[-1] == eos
        assert len(one.output) > 0 and one.calls[-1] > 0


@pytest.mark.parametrize("eos", [False, True], ids=["no_eos", "eos_rich"])
@pytest.mark.parametrize(("sampler", "kind"), with_all(PAIRS, "eos_early_stop"))
def test_without_early_stop_all_is_filled_up_to_end(sampler, kind, eos):
    model = network(kind, eos=eos)
    settings = {"gen_length": 20, "seed": 1, **only(sampler, **SETTINGS, temperature=1.0)}
    run = record(sampler, model, tiny.prompts([4, 11]), eos_early_stop=False, **settings)
    check(run)
    free = run.plan.canvas.writable.numpy()
    assert not np.isin(run.frames[-1].tokens[free], [model.card.mask_id, model.card.pad_id]).any()
    for one in run.trajectories():
        assert not set(one.output[:-1]) & set(model.card.eos_ids)
        assert len(one.output) == 20 or one.output[-1] in model.card.eos_ids


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_same_seed_gives_same_trajectory(sampler, kind):
    settings = {"gen_length": 16, **only(sampler, **SETTINGS, temperature=1.0)}
    runs = []
    for seed, outside in ((7, 0), (7, 99), (8, 0)):
        torch.manual_seed(outside)
        np.random.seed(outside)
        runs.append(
            record(sampler, network(kind), "One day", seed=seed, **settings).trajectories()[0]
        )
    assert runs[0].same_tokens(runs[1]) and runs[0].run_id == runs[1].run_id
    assert not np.array_equal(runs[0].tokens[-1], runs[2].tokens[-1])


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_every_call_can_write_something(sampler, kind):
    run = record(sampler, network(kind), gen_length=13, rows=24, **only(sampler, **SETTINGS))
    check(run)
    for before, after in zip(run.frames, run.frames[1:], strict=False):
        called = after.calls > before.calls
        wrote = (after.tokens != before.tokens).any(-1)
        assert wrote.any() if sampler in BY_CHANCE or revises(run) else wrote[called].all(), (
            f"step {after.step} made calls and wrote nothing"
        )


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_time_conditioned_model_gets_falling_time(sampler, kind, steps):
    times = []

    class Watched(tiny.Counting):
        def forward(self, *arguments):
            times.append(arguments[3])
            return super().forward(*arguments)

    model = Watched(tiny.changed(network(kind), time_conditioned=True))
    values = {"steps": steps, **only(sampler, block_length=16)}
    try:
        run = record(sampler, model, [[50, 51]], gen_length=9, **values)
    except ValueError as error:  # a sampler without a clock says so before the model is called
        assert "time-conditioned" in str(error) and not model.calls
        return
    check(run)
    sent = [float(each) for t in times for each in t]
    assert len(sent) == run.frames[-1].calls[0] >= 1
    assert sent == sorted(sent, reverse=True) and 0 < sent[-1] <= sent[0] <= 1
