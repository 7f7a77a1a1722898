"""Every noise schedule: its ends, its slope, its inverse; and the hybrid mixture."""

import math
from itertools import pairwise

import pytest
import torch

from samplers import schedules
from samplers.schedules import SCHEDULES, Hybrid

torch.set_num_threads(1)
T = torch.linspace(0, 1, 2001, dtype=torch.float64)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_falls_from_clean_to_noise(name):
    alpha = schedules.get(name).alpha(T)
    # sqrt's floor and log's rounding: each curve as published, within its own constant.
    assert alpha.dtype == torch.float64 and (alpha.diff() <= 1e-12).all()
    assert alpha[0] == pytest.approx(1, abs=2e-3) and alpha[-1] == pytest.approx(0, abs=2e-3)
    assert torch.equal(1 - alpha, schedules.get(name).move_chance(T))
    assert schedules.get(name).reference


@pytest.mark.parametrize("name", SCHEDULES)
def test_derivative_is_slope(name):
    schedule, h = schedules.get(name), 1e-6
    inside = torch.linspace(0.04, 0.96, 300, dtype=torch.float64)
    slope = (schedule.alpha(inside + h) - schedule.alpha(inside - h)) / (2 * h)
    torch.testing.assert_close(schedule.derivative(inside), slope, atol=1e-6, rtol=1e-6)
    weight = -slope / (1 - schedule.alpha(inside))
    torch.testing.assert_close(schedule.weight(inside), weight, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_time_inverts_alpha(name):
    schedule = schedules.get(name)
    inside = torch.linspace(0.05, 0.95, 50, dtype=torch.float64)
    torch.testing.assert_close(schedule.time(schedule.alpha(inside)), inside, atol=1e-9, rtol=0)
    ends = schedule.time(torch.tensor([2.0, -1.0]).double())
    assert ends[0] < 1e-6 and ends[1] > 1 - 1e-6


def test_two_curves_called_cosine_are_two():
    one, other = schedules.get("cosine"), schedules.get("cosine_mdlm")
    third = torch.tensor(1 / 3).double()
    assert float(one.alpha(third)) == pytest.approx(1 - math.cos(math.pi / 3))
    assert float(other.alpha(third)) == pytest.approx(1e-3 + 0.999 * math.cos(math.pi / 6))
    assert (one.alpha(T) - other.alpha(T)).abs().max() > 0.2


def test_published_values_at_one_half():
    half = torch.tensor(0.5).double()
    target = {
        "loglinear": 1 - 0.999 * 0.5,
        "linear": 0.5,
        "cosine_squared": 1e-3 + 0.999 * 0.5,
        "cosine_bd3lm": 0.999 * math.sqrt(0.5),
        "square": 0.75,
        "square_root": 1 - math.sqrt(0.5),
        "log": 1 - math.log(1.5) / math.log(2),
        "linear_sigma": math.exp(-(1e-3 + 0.5 * (7 - 1e-3))),
        "geometric": math.exp(-math.sqrt(1e-4 * 20)),
    }
    for name, value in target.items():
        assert float(schedules.get(name).alpha(half)) == pytest.approx(value, abs=1e-12), name


def test_eps_is_parameter():
    assert schedules.get("loglinear", eps=0.2).alpha(torch.ones(1)) == pytest.approx(0.2)
    assert schedules.get("loglinear").eps == 1e-3 and SCHEDULES["loglinear"].eps == 1e-3


def test_unknown_schedule_lists_known_ones():
    with pytest.raises(ValueError, match=r"no schedule 'cosin'; there are .*cosine"):
        schedules.get("cosin")


@pytest.mark.parametrize("name", schedules.GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_grid_runs_from_one_to_zero_and_each_is_next_t(name, steps):
    times = schedules.grid(name, steps)
    assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
    assert all(b < a for a, b in pairwise(times))
    target = 1 - 1 / steps
    assert times[1] == pytest.approx(target if name == "uniform" else target**2)


@pytest.mark.parametrize("p_uniform", [0.0, 0.1, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_hybrid_marginal_sums_to_one(p_uniform, gamma):
    alpha, mask, uniform = Hybrid(p_uniform, gamma).at(T)
    torch.testing.assert_close(alpha + mask + uniform, torch.ones_like(T))
    assert (torch.stack([alpha, mask, uniform]) >= 0).all()
    assert [alpha[0], mask[0], uniform[0]] == [1, 0, 0] and [alpha[-1], mask[-1]] == [0, 1]


def test_p_uniform_is_uniform_share_at_one_half():
    for p in (0.1, 0.2, 0.5):
        alpha, mask, uniform = Hybrid(p).at(torch.tensor(0.5))
        assert float(uniform) == pytest.approx(p, abs=1e-9)
        assert float(alpha) == pytest.approx(float(mask))
    assert float(Hybrid(0.0).at(torch.tensor(0.5))[2]) < 1e-8


def test_published_grid_leaves_its_published_noise():
    # GIDD stops at t = 1e-4, where .22 % of the tokens are still uniform noise at p_uniform .1.
    assert float(Hybrid(0.1).at(torch.tensor(1e-4))[2]) == pytest.approx(0.0022, abs=5e-5)
