"""Every sampler keeps its guarantee on the reference chain, and one that does not is named."""

import re
from contextlib import contextmanager

import pytest
import torch

import samplers
from lab.study import correctness
from lab.study.correctness import check, truth
from lab.study.svg_figure import HEIGHT, Guide, log_figure
from samplers.canvas import Step, write
from samplers.draw import draw
from samplers.registry import Needs, sampler

ABSORBING = Needs(corruption=frozenset({"absorbing"}), attention=frozenset({"full"}))


@contextmanager
def registered(function, guarantee):
    """A sampler of a test's own in the registry, for the length of a block."""
    new = sampler(title="Test", paper="arXiv:0000.00000", guarantee=guarantee, needs=ABSORBING,
                   layout="whole")(function)  # fmt: skip
    try:
        yield new.name
    finally:
        del samplers.SAMPLERS[new.name]


def left_to_right(denoise, canvas, noise):
    """Commit the first masked position."""
    x = canvas.tokens
    for window in canvas.blocks():
        while (masked := canvas.masked(x, window)).any():
            logits = denoise(x, window=window, rows=masked.any(-1))
            predicted, _ = draw(logits, masked, noise, 1.0)
            x = write(x, window, masked & (masked.cumsum(-1) == 1), predicted)
            yield Step(x, window, predicted, None)


def all_at_once(denoise, canvas, noise):
    """Commit everything in one call."""
    x = canvas.tokens
    for window in canvas.blocks():
        masked = canvas.masked(x, window)
        logits = denoise(x, window=window, rows=masked.any(-1))
        predicted, _ = draw(logits, masked, noise, 1.0)
        x = write(x, window, masked, predicted)
        yield Step(x, window, predicted, None)


def of_plain_noise(denoise, canvas, noise):
    """Left to right, drawn by inverse CDF from a plain uniform number."""
    x = canvas.tokens
    for window in canvas.blocks():
        while (masked := canvas.masked(x, window)).any():
            logits = denoise(x, window=window, rows=masked.any(-1))
            edges = logits.double().softmax(-1).cumsum(-1)
            predicted = (noise.uniform(masked)[..., None] > edges).sum(-1)
            x = write(x, window, masked & (masked.cumsum(-1) == 1), predicted)
            yield Step(x, window, predicted, None)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_sampler_of_lab_keeps_its_guarantee(name):
    outcome = check(name)
    assert outcome.agrees, str(outcome)
    assert all(0 <= point.total_variation <= 1 and point.calls > 0.999 for point in outcome.points)


def test_error_is_that_of_independent_computation():
    sequences, chances = truth()
    assert chances.sum() == pytest.approx(1)
    marginals = torch.zeros(3, 3, dtype=torch.float64)
    for line, chance in zip(sequences.tolist(), chances, strict=True):
        for place, letter in enumerate(line):
            marginals[place, letter] += chance
    product = marginals[0][:, None, None] * marginals[1][None, :, None] * marginals[2]
    error = float((product.flatten() - torch.tensor(chances)).abs().sum()) / 2
    assert check("mdlm", [{"steps": 1}]).points[0].total_variation == pytest.approx(error)


def test_slope_of_mdlm_is_measured_not_declared():
    outcome = check("mdlm")
    assert outcome.slope.value == pytest.approx(-1, abs=0.05) and outcome.slope.points == 4
    assert "falling like N^-0.99: as promised" in str(outcome)


def test_sampler_that_breaks_its_promise_is_named():
    with registered(all_at_once, "exact") as name:
        outcome = check(name)
    assert not outcome.agrees and "promises exact" in outcome.verdict
    assert outcome.verdict.endswith("NOT as promised")


def test_exact_sampler_of_ones_own_agrees():
    with registered(left_to_right, "exact") as name:
        outcome = check(name)
    assert outcome.agrees and outcome.floor is None and outcome.points[0].calls == pytest.approx(3)


def test_slope_below_promise_does_not_agree(monkeypatch):
    monkeypatch.setitem(correctness.PROMISED, "O(1/N)", -2.0)
    assert not check("mdlm").agrees


def test_plain_noise_is_sampled_beside_its_floor():
    with registered(of_plain_noise, "exact") as name:
        outcome = check(name, rows=4000)
    assert outcome.agrees and outcome.floor is not None
    assert 0 < outcome.points[0].total_variation < outcome.floor.high.total_variation
    assert "perfect rows would show" in str(outcome)
    with registered(all_at_once, "exact") as name:
        assert not check(name, rows=4000).agrees


def remembering(denoise, canvas, noise):
    """Left to right; the last token repeats what was predicted for it before anything stood."""
    x, first = canvas.tokens, None
    for window in canvas.blocks():
        while (masked := canvas.masked(x, window)).any():
            logits = denoise(x, window=window, rows=masked.any(-1))
            predicted, _ = draw(logits, masked, noise, 1.0)
            first = predicted if first is None else first
            last = masked.sum(-1, keepdim=True) == 1
            x = write(x, window, masked & (masked.cumsum(-1) == 1), first.where(last, predicted))
            yield Step(x, window, predicted, None)


def test_sampler_that_remembers_is_sampled():
    """Paths that meet on a canvas do not go on alike: joining them would give another law."""
    with registered(remembering, "exact") as name:
        outcome = check(name, rows=4000)
    assert outcome.floor is not None and not outcome.agrees


def test_sampler_that_fits_no_chain_is_refused():
    with (
        registered(left_to_right, "exact") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(correctness, "KINDS", ({"corruption": "uniform"},))
        correctness._model.cache_clear()
        with pytest.raises(ValueError, match="fits no exact model of the reference chain"):
            check(name)
    correctness._model.cache_clear()


def test_figure_puts_points_where_their_numbers_are():
    text = log_figure({"mdlm": [(1, 1), (10, 0.1), (20, 0.0)]}, "x", "y & z",
                      guides=[Guide("1/N", (1, 1), -1)])  # fmt: skip
    assert text.count('<path d="M0,-4.6') == 3  # two points, and the legend; 0 is left out
    assert "y &amp; z" in text and text == log_figure(
        {"mdlm": [(10, 0.1), (1, 1)]}, "x", "y & z", guides=[Guide("1/N", (1, 1), -1)]
    )
    with pytest.raises(ValueError, match="at least one point"):
        log_figure({"mdlm": [(1, 0.0)]}, "x", "y")


def test_figure_has_room_for_every_name():
    series = {f"sampler {number}": [(1, 1), (2, 0.5)] for number in range(40)}
    text = log_figure(series, "x", "y", guides=[Guide("level", (1, 0.6))])
    heights = [float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"', text)]
    assert max(heights) < HEIGHT and len(set(heights)) > 40
