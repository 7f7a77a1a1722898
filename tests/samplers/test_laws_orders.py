"""The exact law of orders, remasking, uniform noise and adaptive rules, by reference values."""

import pytest
import torch

import samplers
from lab import run
from lab.study.enumeration import canvas_of
from samplers.noise import Noise
from tests.kit.chain import BLANK, DATA, SEQUENCES, chain, close, law_of

TEMPERED = {"temperature": 1.0}
OFFICIAL = samplers.get("remdm").presets["official"]


def law(name, model=None, **values):
    return law_of(name, model, count_calls=True, **values)


def tokens_per_call(law):
    return 4 / float((law.calls * law.probability).sum())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("first_hitting", {}),
        ("margin", {}),
        ("max_prob", {}),
        ("autoregressive", {}),
        ("entropy_bound", {"gamma": 0.7}),
        ("dream", {**TEMPERED, "alg": "entropy", "steps": 4}),
        ("dream", {**TEMPERED, "alg": "topk_margin", "steps": 4}),
        ("sdar", {**TEMPERED, "order": "sequential", "block_length": 4}),
    ],
)
def test_one_token_call_in_draw_free_order_is_exact(name, values):
    assert law(name, **values).distance(SEQUENCES, DATA) == close(0)


@pytest.mark.parametrize(
    ("name", "values", "target"),
    [
        ("first_hitting", {"steps": 2}, 0.17388),
        ("margin", {"steps": 2}, 0.38356),
        ("max_prob", {"steps": 2}, 0.38356),
        ("max_prob", {"steps": 1}, 0.49171),
        ("dream", {**TEMPERED, "alg": "entropy", "steps": 2}, 0.38356),
        ("dream", {**TEMPERED, "alg": "maskgit_plus", "steps": 4}, 0.54693),
        ("dream", {**TEMPERED, "alg": "origin", "steps": 4}, 0.1346),
        ("llada", {**TEMPERED, "steps": 4}, 0.54693),
        ("llada", {**TEMPERED, "steps": 2}, 0.38391),
        ("llada", {"temperature": 0.5, "steps": 4}, 0.7093),
        ("llada", {"temperature": 0.0, "steps": 4}, 0.8285),
        ("llada", {**TEMPERED, "steps": 8, "remasking": "bernoulli"}, 0.0690),
        ("llada", {**TEMPERED, "steps": 8, "remasking": "bernoulli_s"}, 0.1028),
        ("sdar", {**TEMPERED, "order": "low_confidence_static", "steps": 2, "block_length": 4},
         0.38391),
        ("remdm", {"steps": 4, "eta": 0.0}, 0.1346),
        ("remdm", {"steps": 4, "eta": 0.008}, 0.1345),
        ("remdm", {"steps": 8, "eta": 0.1}, 0.0737),
        ("remdm", {"steps": 4, "strategy": "rescale", "eta": 0.3}, 0.1405),
        ("remdm", {"steps": 8, "strategy": "rescale", "eta": 0.3}, 0.0812),
        ("remdm", {"steps": 4, "strategy": "forward_backward"}, 0.18688),
        ("remdm", {"steps": 8, "strategy": "forward_backward"}, 0.09055),
        ("remdm", {"steps": 4, **OFFICIAL, "strategy": "forward_backward"}, 0.0707),
        ("remdm", {"steps": 8, **OFFICIAL, "strategy": "forward_backward"}, 0.0374),
        ("remdm", {"steps": 4, **OFFICIAL, "strategy": "loop", "eta": 0.02}, 0.2230),
        ("remdm", {"steps": 8, **OFFICIAL, "strategy": "loop", "eta": 0.02}, 0.0864),
        pytest.param("remdm", {"steps": 16, **OFFICIAL, "strategy": "loop", "eta": 0.02}, 0.0283,
                     marks=pytest.mark.slow),
        pytest.param("remdm", {"steps": 16, **OFFICIAL, "strategy": "loop", "eta": 0.1}, 0.0338,
                     marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_many_tokens_call_have_their_known_error(name, values, target):
    assert law(name, **values).distance(SEQUENCES, DATA) == close(target)


@pytest.mark.parametrize(
    ("name", "values", "distance", "pace"),
    [
        ("entropy_bound", {"gamma": 1.0}, 0.248, 1.33),
        ("entropy_bound", {"gamma": 2.0}, 0.3836, 2.0),
        ("sdar", {**TEMPERED, "threshold": 0.5, "block_length": 4}, 0.588, 1.265),
        ("sdar", {**TEMPERED, "threshold": 0.7, "block_length": 4}, 0.5518, 1.011),
        ("threshold", {**TEMPERED, "threshold": 0.9, "block_length": 4}, 0.5469, 1.0),
    ],
)
def test_adaptive_rules_trade_distance_for_pace(name, values, distance, pace):
    result = law(name, **values)
    assert result.distance(SEQUENCES, DATA) == close(distance)
    assert tokens_per_call(result) == pytest.approx(pace, abs=5e-3)


@pytest.mark.parametrize("posterior", ["full", "loo"])
@pytest.mark.parametrize(("steps", "target"), [(4, 0.1747), (8, 0.0846), (16, 0.0405)])
def test_uniform_is_one_kernel_on_either_posterior(posterior, steps, target):
    model = chain(corruption="uniform", posterior=posterior)
    assert law("uniform", model, steps=steps).distance(SEQUENCES, DATA) == close(target)


@pytest.mark.parametrize("posterior", ["full", "loo"])
@pytest.mark.parametrize(
    ("steps", "corrector", "target"), [(3, 0, 0.23126), (3, 1, 0.19996), (4, 1, 0.14014)]
)
def test_gibbs_corrector_reduces_error(posterior, steps, corrector, target):
    """It leaves p_s as it is, so what is left is the predictor's; computed apart by matrices."""
    model = chain(corruption="uniform", posterior=posterior)
    result = law("uniform", model, steps=steps, corrector=corrector)
    assert result.distance(SEQUENCES, DATA) == close(target)
    assert (result.calls == steps + (steps - 1) * bool(corrector)).all()


@pytest.mark.parametrize("strategy", ["cap", "rescale"])
def test_remdm_without_remasking_equals_mdlm(strategy):
    options = {"rows": 50, "steps": 6, "seed": 5, "top_p": 0.9}
    model = chain()
    plain = run("mdlm", model, **options)
    remasked = run("remdm", model, strategy=strategy, eta=0.0, **options)
    assert [t.output for t in plain] == [t.output for t in remasked]


def test_llada_random_order_is_exact_within_four_sigma():
    count = 20_000
    model, sampler = chain(), samplers.get("llada")
    canvas = canvas_of(sampler, model, BLANK, count, block_length=4)
    noise = Noise(11, range(count))
    values = {"remasking": "random", "temperature": 1.0, "steps": 4, "block_length": 4}
    for step in sampler(model.open(canvas, 4), canvas, noise, **values):
        tokens = step.tokens
    index = (tokens * torch.tensor([27, 9, 3, 1])).sum(-1)
    share = torch.bincount(index, minlength=81).double() / count
    sigma = (DATA * (1 - DATA) / count).sqrt()
    assert ((share - DATA).abs() <= 4.5 * sigma + 1e-12).all()
