"""Laws of a run as such, over the whole registry: generators, side effects, real traces."""

import gc
import random
import weakref

import numpy as np
import pytest
import torch

import lab
import samplers
from lab.models.model import Opened
from samplers.noise import Noise
from tests.kit import tiny
from tests.kit.laws import SAMPLERS, only, record, revises, start

PAIRS = tiny.pairs()
SETTINGS = {"steps": 6, "block_length": 4}


def opened(sampler, kind, prompts=((50, 51, 52), (60, 61)), **values):
    """The canvas, a fresh denoiser and the values of a run at the level of the sampler itself."""
    plan = start(sampler, tiny.networks()[kind], [list(p) for p in prompts], gen_length=9,
                 **only(sampler, **SETTINGS), **values).plan  # fmt: skip
    denoise = plan.model.open(plan.canvas, plan.values.get("block_length"))
    return plan.canvas, denoise, plan.values


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_grad_mode_is_as_it_was_between_steps(sampler, kind):
    canvas, denoise, values = opened(sampler, kind)
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            for step in samplers.get(sampler)(denoise, canvas, Noise(0, [0, 1]), **values):
                assert torch.is_grad_enabled() is mode and not step.tokens.requires_grad
            for _ in lab.stream(
                sampler, tiny.networks()[kind], "x", gen_length=4, **only(sampler, **SETTINGS)
            ):
                assert torch.is_grad_enabled() is mode
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_closing_at_any_step_releases_model(sampler, kind, after):
    canvas, denoise, values = opened(sampler, kind)
    held = weakref.ref(denoise)
    steps = samplers.get(sampler)(denoise, canvas, Noise(0, [0, 1]), **values)
    del denoise
    gc.disable()  # at once means without the help of the collector
    try:
        for _ in range(after):
            next(steps)
        steps.close()
        assert held() is None and torch.is_grad_enabled()
        with pytest.raises(StopIteration):
            next(steps)
    finally:
        gc.enable()


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_closing_stream_keeps_what_was_recorded(sampler, kind):
    model, held = tiny.Counting(tiny.networks()[kind]), []
    plain = model.open
    model.open = lambda *arguments: (
        held.append(weakref.ref(denoise := plain(*arguments))) or denoise
    )
    run = start(sampler, model, "Once upon", gen_length=9, **only(sampler, **SETTINGS))
    for frame in run:
        if frame.step == 2:
            break
    gc.disable()
    run.close()
    assert held[0]() is None, "the run still holds the model's caches"
    gc.enable()
    calls = model.calls
    assert list(run) == [] and model.calls == calls
    (trajectory,) = run.trajectories()
    assert len(trajectory.predicted) == 2 and trajectory.output is not None


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_yielded_tensors_and_canvas_never_change(sampler, kind):
    canvas, denoise, values = opened(sampler, kind)
    before = [t.clone() for t in (canvas.tokens, canvas.writable, canvas.visible)]
    copies = []
    for step in samplers.get(sampler)(denoise, canvas, Noise(1, [0, 1]), **values):
        for tensor in (step.tokens, step.predicted, step.score, step.finished):
            if tensor is not None:
                copies.append((tensor, tensor.clone()))
    assert all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in copies)
    after = (canvas.tokens, canvas.writable, canvas.visible)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_frame_never_changes(sampler, kind):
    copies = []
    settings = {"gen_length": 9, "rows": 2, **only(sampler, **SETTINGS)}
    for frame in lab.stream(sampler, tiny.networks()[kind], "Once", **settings):
        for value in vars(frame).values():
            if isinstance(value, np.ndarray):
                copies.append((value, value.copy()))
    assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in copies)


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_parameters_are_checked_when_run_is_planned(sampler, kind):
    canvas, denoise, values = opened(sampler, kind)
    model = tiny.Counting(tiny.networks()[kind])
    for wrong in ({"steps": 0}, {"stepz": 3}, {"temperature": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            samplers.get(sampler)(denoise, canvas, Noise(0, [0, 1]), **{**values, **wrong})
        with pytest.raises(ValueError, match=next(iter(wrong))):
            lab.stream(sampler, model, "x", **wrong)
    assert model.calls == 0


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_run_prints_nothing_and_changes_nothing_outside(sampler, kind, capfd):
    model = tiny.networks()[kind]
    prompts = [[50, 51], [60]]
    values = only(sampler, **SETTINGS)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    network = model.network.train()
    before = (random.getstate(), torch.get_rng_state().tolist(), torch.get_default_dtype())
    drawn = np.random.get_state()[1].tolist()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    training = [module.training for module in network.modules()]
    config = network.config.to_dict()
    try:
        record(sampler, model, prompts, gen_length=5, **values)
        after = (random.getstate(), torch.get_rng_state().tolist(), torch.get_default_dtype())
        assert before == after and drawn == np.random.get_state()[1].tolist()
        assert prompts == [[50, 51], [60]] and values == only(sampler, **SETTINGS)
        assert all(
            torch.equal(value, weights[name]) for name, value in network.state_dict().items()
        )
        assert training == [module.training for module in network.modules()]
        assert all(p.requires_grad and p.grad is None for p in network.parameters())
        assert config == network.config.to_dict()
    finally:
        network.eval()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_logits_of_model_are_never_changed(sampler):
    table = torch.randn(16, 12, generator=torch.Generator().manual_seed(1))
    copies, copy = [], table.clone()

    def answer(tokens, t):
        copies.append(table[: tokens.shape[1]].expand(len(tokens), -1, -1))
        return copies[-1]

    attention = min(samplers.get(sampler).needs.attention)
    model = tiny.wrapped(sampler, answer, 12, bos_id=0, eos_ids=(3,), pad_id=1,
                         attention=attention)  # fmt: skip
    run = record(sampler, model, [[5], [6, 7]], gen_length=7, **only(sampler, steps=4))
    assert copies and torch.equal(table, copy)
    assert all(one.output for one in run.trajectories())


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_every_field_of_frame_is_what_model_answered(sampler, kind):
    answers, drafts = [], []

    class Watched(tiny.Counting):
        def open(self, *arguments):
            return Noted(self, *arguments)

    class Noted(Opened):
        def __call__(self, tokens, *, window, rows=None, **more):
            logits = super().__call__(tokens, window=window, rows=rows, **more)
            called = np.ones(len(tokens), bool) if rows is None else rows.numpy()
            if more.get("block_mode"):  # recorded is the call that checks it
                drafts.append(len(answers))
            else:
                answers.append((window, called, called, logits))
            return logits

        def with_quality(self, tokens, *, window, rows):
            logits, quality = super().with_quality(tokens, window=window, rows=rows)
            answers.append((window, rows.numpy(), rows.numpy(), logits))
            return logits, quality

        def each(self, canvases, *, window, rows, **more):
            logits = super().each(canvases, window=window, rows=rows, **more)
            answers.append((window, rows.any(0).numpy(), rows[0].numpy(), logits[0]))
            return logits

    model = Watched(tiny.networks()[kind])
    run = record(sampler, model, tiny.prompts([3, 7]), gen_length=9, **only(sampler, **SETTINGS))
    assert len(answers) == sum(
        (b.calls > a.calls).any() for a, b in zip(run.frames, run.frames[1:], strict=False)
    )
    queue = iter(enumerate(answers))
    most = run.plan.sampler.canvases_at_once(run.plan.values)
    again = model.card.corruption != "absorbing"  # then each call judges standing tokens too
    for before, after in zip(run.frames, run.frames[1:], strict=False):
        called = after.calls > before.calls
        for name in ("seconds", "model_seconds"):
            assert (getattr(after, name) >= getattr(before, name)).all()
        assert (after.model_seconds <= after.seconds + 1e-9).all()
        assert (after.active == called | (after.tokens != before.tokens).any(-1)).all()
        if not called.any():
            continue
        number, (window, rows, seen, logits) = next(queue)
        assert (after.calls - before.calls <= most + drafts.count(number)).all()
        assert window == after.window and (rows == called).all()
        p = logits.softmax(-1)
        top = p.topk(5)
        entropy = torch.special.entr(p).sum(-1)
        now = torch.tensor(after.tokens[:, window])
        masked = (now == model.card.mask_id).numpy()
        best, own = top.values[..., 0].numpy(), p.gather(-1, now[..., None])[..., 0].numpy()
        wrote = after.tokens[:, window] != before.tokens[:, window]
        free = run.plan.canvas.writable[:, window].numpy()
        for row in np.flatnonzero(seen):  # called, and for its first canvas
            assert np.allclose(after.top_probabilities[row], top.values[row], atol=1e-5)
            assert np.allclose(after.entropy[row], entropy[row], atol=1e-4)
            here = free[row] & (masked[row] | wrote[row] | again)
            target = np.where(masked[row], best[row], own[row])[here]
            assert np.allclose(after.confidence[row][here], target, atol=1e-5)
            assert np.isnan(after.confidence[row][~free[row]]).all()
            if not revises(run):  # a noise process may write what nobody chose
                written = wrote[row] & ~masked[row]
                assert (after.predicted[row] == after.tokens[row, window])[written].all()
            assert np.isfinite(after.top_probabilities[row]).all()
