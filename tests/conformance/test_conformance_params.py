"""Laws of parameters, over the whole registry: both ends, None, every choice, every preset."""

import random

import numpy as np
import pytest
import torch

import samplers
from samplers import schedules
from samplers.noise import Noise
from tests.kit import tiny
from tests.kit.laws import SAMPLERS, check, has, leaves_masks, only, record, with_all

PAIRS = tiny.pairs()
SMALL = {"steps": 5, "block_length": 4}
MANY_STEPS = 80  # what the upper end of `steps` is cut to outside the slow tests


def edges(sampler, slow=False):
    """(name, value) at both ends of every parameter, None where it may be off, every choice."""
    result = []
    for param in samplers.get(sampler).params:
        if param.kind in ("int", "float"):
            kind = int if param.kind == "int" else float
            result += [(param.name, kind(param.low)), (param.name, kind(param.high))]
        elif param.kind == "choice":
            result += [(param.name, choice) for choice in param.choices]
        else:
            result += [(param.name, False), (param.name, True)]
        if param.optional:
            result.append((param.name, None))
    cut = [(n, min(v, MANY_STEPS) if n == "steps" else v) for n, v in result]
    return [pair for pair in result if pair not in cut] if slow else cut


def cases(**options):
    return [
        pytest.param(sampler, kind, name, value, id=f"{sampler}-{kind}-{name}={value}")
        for sampler, kind in PAIRS
        for name, value in edges(sampler, **options)
    ]


def at_any(sampler, model, prompts="", **arguments):
    """The run, or None where it is refused for the one allowed reason: the model cannot use it."""
    try:
        return record(sampler, model, prompts, **arguments)
    except ValueError as error:
        words = str(error)
        assert any(name in words for name in arguments) and ("leave" in words or "lower" in words)
        return None


def at_edge(sampler, kind, name, value):
    values = {**only(sampler, **SMALL), name: value}
    model = tiny.eos_rich(tiny.networks()[kind])
    return at_any(sampler, model, tiny.prompts([3, 6]), gen_length=10, **values)


@pytest.mark.parametrize(("sampler", "kind", "name", "value"), cases())
def test_every_end_and_choice_of_every_parameter_runs(sampler, kind, name, value):
    if run := at_edge(sampler, kind, name, value):
        check(run)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "kind", "name", "value"), cases(slow=True))
def test_most_steps_run(sampler, kind, name, value):
    if run := at_edge(sampler, kind, name, value):
        check(run)


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_every_preset_runs_within_its_budget(sampler, kind):
    for preset, values in samplers.get(sampler).presets.items():
        few = {**only(sampler, steps=12), **only(sampler, block_length=8)}
        run = record(
            sampler,
            tiny.networks()[kind],
            tiny.prompts([3, 6]),
            gen_length=20,
            preset=preset,
            **few,
        )
        check(run)
        bound = samplers.get(sampler).bind({**values, **few})
        assert run.plan.values == bound
        if not leaves_masks(run):
            mask = tiny.networks()[kind].card.mask_id
            assert all(mask not in one.output for one in run.trajectories())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 11, 12])
@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_every_number_of_steps_fills_every_position(sampler, kind, steps):
    values = only(sampler, block_length=8, steps=steps)
    run = record(sampler, tiny.networks()[kind], [[50]], gen_length=11, seed=steps, **values)
    check(run)
    assert len(run.trajectories()[0].output) == 11 or finished_early(run)


@pytest.mark.parametrize(("sampler", "kind"), with_all(PAIRS, "schedule"))
def test_last_step_leaves_nothing_under_any_schedule(sampler, kind):
    clean = torch.zeros(())  # some curves leave alpha(0) a thousandth below 1
    named = [value for name, value in edges(sampler) if name == "schedule"]
    curves = [name for name in named if schedules.get(name).alpha(clean) < 1 - 1e-4]
    assert curves
    model = tiny.changed(tiny.networks()[kind], eos_ids=())
    for curve in curves:
        values = only(sampler, schedule=curve, steps=1, block_length=64, first_hitting=False)
        run = record(sampler, model, [[50]], gen_length=60, rows=40, **values)
        check(run)
        most = run.plan.sampler.canvases_at_once(run.plan.values)
        assert (run.frames[-1].calls <= most).all(), f"{curve}: a call more than steps"
        left = run.frames[-1].tokens[:, 1:] == model.card.mask_id
        assert not left.any(), f"{curve}: {left.sum()} masks left"


@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize(("sampler", "kind"), with_all(PAIRS, "stride"))
def test_strides_cost_calls_only_where_they_keep_something(sampler, kind, stride):
    mask = tiny.networks()[kind].card.mask_id
    template = [[mask] + [50] * 20 + [mask] * 3, [51, mask, 52, mask], [mask] * 25]
    for eps in (0.0, 0.1):
        run = record(sampler, tiny.networks()[kind], template=template, stride=stride, steps=2,
                     **only(sampler, sampling_eps=eps))  # fmt: skip
        check(run)
        first = int(run.plan.canvas.writable.any(0).int().argmax())
        for row, free in enumerate(run.plan.canvas.writable.numpy()):
            columns = np.flatnonzero(free)
            starts = np.unique((columns - first) // stride) * stride + first
            budget = sum(min(2, (columns >= start).sum()) + bool(eps) for start in starts)
            assert run.frames[-1].calls[row] <= budget


def finished_early(run):
    return run.trajectories()[0].output[-1] in run.plan.model.card.eos_ids


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_any_settings_together_keep_every_law(sampler, kind, number):
    pick = random.Random(number)
    values = {}
    for param in samplers.get(sampler).params:
        ends = [value for name, value in edges(sampler) if name == param.name]
        if pick.random() < 0.7:
            values[param.name] = pick.choice(ends)
            if param.kind == "float" and values[param.name] is not None and pick.random() < 0.5:
                values[param.name] = pick.uniform(param.low, param.high)
    values.update(only(sampler, steps=pick.randint(1, 9)))
    for name in ("stride", "block_length"):
        if values.get(name):
            values[name] = pick.choice([1, 3, 8, values[name]])
    model = tiny.eos_rich(tiny.networks()[kind])
    mask = model.card.mask_id
    masked = [[mask if pick.random() < 0.4 else pick.randint(60, 250) for _ in range(n)] + [mask]
             for n in (21, 6, 13)]  # fmt: skip
    run = at_any(sampler, model, template=masked, seed=number, **values)
    if run:
        check(run)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_defaults_are_within_their_own_limits(sampler):
    entry = samplers.get(sampler)
    assert entry.bind() == {param.name: param.default for param in entry.params}
    assert entry.help and entry.paper and entry.title and entry.guarantee
    for param in entry.params:
        assert param.help.endswith(".") and len(param.help) < 200


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_none_is_off_only_where_parameter_may_be_off(sampler):
    for param in samplers.get(sampler).params:
        if param.optional:
            assert samplers.get(sampler).bind({param.name: None})[param.name] is None
        else:
            with pytest.raises(ValueError, match=rf"{param.name} must be .*got None; leave it out"):
                samplers.get(sampler).bind({param.name: None})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_value_outside_is_error_with_way_out(sampler):
    for param in samplers.get(sampler).params:
        wrong = [float("nan"), float("inf"), -float("inf"), "8", "", [1], object(), 10**400]
        if param.kind in ("int", "float"):
            wrong += [param.low - 1, param.high + 1, True, 1j]
        if param.kind == "int":
            wrong += [param.low + 0.5]
        for value in wrong:
            with pytest.raises(ValueError, match=rf"{sampler}: {param.name} must be ") as caught:
                samplers.get(sampler).bind({param.name: value})
            message = str(caught.value)
            assert "got" in message and "leave it out for the default" in message
            assert len(message) < 400 and "\n" not in message


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_whole_floats_are_whole_numbers(sampler):
    for param in samplers.get(sampler).params:
        if param.kind == "int":
            for value in (float(param.low), np.int64(param.low), np.float32(param.low)):
                bound = samplers.get(sampler).bind({param.name: value})[param.name]
                assert bound == param.low and type(bound) is int


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_unknown_parameter_lists_known_ones(sampler):
    with pytest.raises(ValueError, match=rf"{sampler} has no parameter 'treshold'; it has") as e:
        samplers.get(sampler).bind({"treshold": 1})
    assert all(param.name in str(e.value) for param in samplers.get(sampler).params)


def test_unknown_sampler_lists_known_ones():
    for name in ("treshold", "", None, 3, ["mdlm"]):
        with pytest.raises(ValueError, match=r"no sampler .*; there are ") as caught:
            samplers.get(name)
        assert all(known in str(caught.value) for known in SAMPLERS)


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_score_is_softmax_at_temperature_1_unfiltered(sampler, kind):
    model = tiny.networks()[kind]
    answers, qualities = [], []
    opened = None

    def denoise(tokens, **options):
        answers.append(opened(tokens, **options))
        return answers[-1]

    filters = only(sampler, temperature=0.4, top_k=1, **SMALL)
    run = record(sampler, model, tiny.prompts([4]), gen_length=8, **filters)
    opened = model.open(run.plan.canvas, run.plan.values.get("block_length"))

    def each(canvases, **options):
        logits = opened.each(canvases, **options)
        answers.append(logits[0])
        return logits

    def with_quality(tokens, **options):
        logits, quality = opened.with_quality(tokens, **options)
        answers.append(logits)
        qualities.append(quality)
        return logits, quality

    denoise.card, denoise.draft, denoise.frequencies = model.card, opened.draft, opened.frequencies
    denoise.each, denoise.reward, denoise.with_quality = each, opened.reward, with_quality
    for step in samplers.get(sampler)(denoise, run.plan.canvas, Noise(0, [0]), **filters):
        if step.score is not None:
            ranked = ~step.score.isnan()
            p = (answers[-1].double() / heat(sampler, len(answers))).softmax(-1)
            target = named_score(sampler, p, step.predicted, opened.frequencies)
            if qualities:  # ranks what is written, where nothing was drawn
                target = target.where(step.predicted >= 0, qualities[-1])
            assert torch.allclose(step.score[ranked].double(), target[ranked], atol=1e-6)


def heat(sampler, calls):
    """The temperature at which it ranks: 1, unless its paper says that of the step."""
    left = SMALL["steps"] - (calls - 1) % SMALL["steps"]
    return 0.4 * (0.5 + 0.5 * left / SMALL["steps"]) if sampler == "renoise" else 1.0


def named_score(sampler, p, predicted, often):
    """What the sampler says it ranks by: the drawn token's probability unless it says other."""
    if sampler == "margin":
        best = p.topk(2, dim=-1).values
        return best[..., 0] - best[..., 1]
    if sampler in ("entropy_bound", "renoise"):
        return -torch.special.entr(p).sum(-1)
    if sampler in ("max_prob", "klass", "freedave"):
        return p.amax(-1)
    confidence = p.gather(-1, predicted.clamp(min=0)[..., None])[..., 0]
    if sampler == "pc":
        rarity = -(often[predicted.clamp(min=0)] + 1e-9).log()
        return (confidence * rarity).clamp(max=10) * (-0.25 * torch.arange(p.shape[1])).exp()
    return confidence


@pytest.mark.parametrize(("sampler", "kind"), with_all(PAIRS, "top_k", "temperature", "threshold"))
def test_filtering_draw_does_not_change_schedule(sampler, kind):
    settings = {"gen_length": 16, "threshold": 0.5, **only(sampler, **SMALL)}
    model = tiny.networks()[kind]
    greedy = record(sampler, model, "Once", temperature=0.0, **settings).trajectories()[0]
    narrow = record(sampler, model, "Once", temperature=0.7, top_k=1, **settings).trajectories()[0]
    assert np.array_equal(greedy.tokens, narrow.tokens)


@pytest.mark.parametrize(("sampler", "kind"), with_all(PAIRS, "block_length"))
def test_block_length_is_one_value_for_all_parts(sampler, kind):
    seen = []

    class Watched(tiny.Counting):
        def forward(self, *arguments):
            seen.append((arguments[2], arguments[4]))
            return super().forward(*arguments)

        def leave_one_out(self, *arguments):
            seen.append((arguments[2], length))
            return super().leave_one_out(*arguments)

        def with_quality(self, *arguments):
            seen.append((arguments[2], length))
            return super().with_quality(*arguments)

    for length in (1, 3, 8):
        seen.clear()
        values = only(sampler, steps=length, block_length=length, threshold=None)
        run = record(sampler, Watched(tiny.networks()[kind]), [[50] * 5], gen_length=19, **values)
        check(run)
        assert {block for _, block in seen} == {length}
        for window, _ in seen:
            first = 5 if samplers.get(sampler).layout == "prompt" else 0
            assert (window.start - first) % length == 0 < window.stop - window.start <= length
        if has(sampler, "threshold"):
            commits = [int(n) for n in run.trajectories()[0].commits.sum(-1)]
            assert set(commits) == {1}, "as many steps as tokens commit one a step"


def test_misfits_are_refused_with_reason_and_way_out():
    for sampler in SAMPLERS:
        for kind in tiny.KINDS:
            if (sampler, kind) not in PAIRS:
                with pytest.raises(ValueError, match=rf"{sampler} needs .*choose another model"):
                    record(sampler, tiny.networks()[kind], "x", gen_length=4)
