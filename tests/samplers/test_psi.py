"""Psi-samplers against the matrices of the mixed kernel, and under masks against ReMDM."""

from itertools import pairwise

import pytest
import torch

from lab import run
from samplers import schedules
from samplers.psi import _times
from tests.kit.chain import SEQUENCES, chain, close, distance, law_of, law_of_noise

HYBRID = schedules.Hybrid(0.2)


def masses(kind):
    """The marginal of each process at t: alpha, on the mask, spread."""

    def at(t):
        if kind == "hybrid":
            return tuple(float(mass) for mass in HYBRID.at(torch.tensor(t, dtype=torch.float64)))
        return (1 - t, t, 0.0) if kind == "absorbing" else (1 - t, 0.0, t)

    return at


def model(kind, posterior="full"):
    facts = {"p_uniform": 0.2} if kind == "hybrid" else {}
    return chain(corruption=kind, posterior=posterior, **facts)


def mixed(kind, strategy, eta):
    """Kappa of the step from t to s, from the table of the paper's code."""

    def kappa(t, s):
        alpha_t, alpha_s = masses(kind)(t)[0], masses(kind)(s)[0]
        most = min(1.0, (1 - alpha_s) / alpha_t) if alpha_t else 1.0
        if s == 0:
            return 1.0
        sigma = {"cap": min(eta, most), "rescale": eta * most, "constant": eta}.get(strategy)
        return 1 - eta if sigma is None else max(0.0, 1 - sigma / (1 - alpha_s))

    return kappa


@pytest.mark.parametrize("strategy", ["cap", "rescale", "constant", "share"])
@pytest.mark.parametrize("kind", ["absorbing", "uniform", "hybrid"])
def test_psi_mixes_ancestral_step_with_renoising(kind, strategy):
    times = schedules.grid("uniform", 3)
    target = law_of_noise(times, masses(kind), mixed(kind, strategy, 0.4))
    law = law_of("psi", model(kind), steps=3, strategy=strategy, eta=0.4)
    assert distance(law, target) < 1e-5
    assert distance(law, law_of_noise(times, masses(kind))) > 1e-3, "eta changes nothing"


@pytest.mark.parametrize("posterior", ["full", "loo"])
@pytest.mark.parametrize(("kind", "name"), [("absorbing", "mdlm"), ("uniform", "uniform"),
                                            ("hybrid", "hybrid")])  # fmt: skip
def test_psi_without_renoising_is_ancestral(kind, name, posterior):
    values = {"schedule": "linear"} if kind != "hybrid" else {"p_uniform": 0.2}
    one = law_of(name, model(kind, posterior), steps=3, **values)
    two = law_of("psi", model(kind, posterior), steps=3, eta=0.0)
    assert distance(two, one.of(SEQUENCES)) < 1e-6


@pytest.mark.parametrize("strategy", ["cap", "rescale"])
def test_psi_under_masks_is_remdm(strategy):
    one = law_of("remdm", steps=4, strategy=strategy, eta=0.2)
    two = law_of("psi", steps=4, strategy=strategy, eta=0.2)
    assert distance(two, one.of(SEQUENCES)) < 1e-6


@pytest.mark.parametrize("kind", ["absorbing", "uniform", "hybrid"])
def test_psi_renoises_while_time_is_held_alone(kind):
    values = {"hold": 0.5, "hold_after": 0.5, "hold_share": 0.25, "steps": 4}
    times = [1.0, 0.75, 0.5, 0.5, 0.0]
    target = law_of_noise(times, masses(kind), lambda t, s: 0.7 if t == s else 1.0)
    law = law_of("psi", model(kind), strategy="share", eta=0.3, **values)
    assert distance(law, target) < 1e-5


@pytest.mark.parametrize("grid", schedules.GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 256])
def test_psi_times_fall_stand_and_end_clean(steps, grid):
    times = _times(steps, grid, 0.1, 0.45, 0.5)
    assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
    assert all(a >= b for a, b in pairwise(times))
    if steps == 256:
        assert times.count(times[115]) == 129 and times[115] == pytest.approx(0.1)


def test_psi_calls_only_after_change_under_masks():
    plain = run("psi", chain(), rows=20, steps=50, eta=0.0)
    assert max(one.calls[-1] for one in plain) <= 4
    assert all(one.calls[-1] == 50 for one in run("psi", model("uniform"), rows=3, steps=50))


def test_psi_error_ends_on_floor_of_eta():
    errors = [distance(law_of("psi", chain(corruption="uniform"), steps=8, eta=eta)) for eta in
              (0.0, 0.1, 0.3)]  # fmt: skip
    assert errors[0] == close(0.0846) and errors == sorted(errors)
