"""Every strategy of every sampler has an exact test, here or beside, or a reason why not."""

import math
from collections import defaultdict
from itertools import pairwise, product

import pytest
import torch

import samplers
from lab.study.enumeration import canvas_of
from samplers import schedules
from samplers.noise import Noise
from tests.kit.chain import (
    BLANK,
    DATA,
    MASK,
    PI,
    SEQUENCES,
    A,
    chain,
    close,
    distance,
    law_of,
    law_of_noise,
    law_of_order,
)

torch.set_num_threads(1)
HOT = {"temperature": 1.0}
STATED, ORDERS = "tests/samplers/test_laws_exact.py", "tests/samplers/test_laws_orders.py"
HERE = "this file"
P2, PSI = "tests/samplers/test_p2.py", "tests/samplers/test_psi.py"

# (sampler, parameter): {choice: where its exact law is held, or why it cannot be}.
FK = "tests/samplers/test_fk_steering.py"
COVERED = {
    ("llada", "remasking"): {
        "spread": "tests/samplers/test_rules.py::test_spread_fills_far_apart_first",
        "low_confidence": ORDERS,
        "random": f"{ORDERS}: ranks by uniforms, which have no outcomes to list; within 4 sigma",
        "bernoulli": ORDERS,
        "bernoulli_s": ORDERS,
    },
    ("sdar", "order"): {
        "sequential": ORDERS,
        "low_confidence_static": ORDERS,
        "low_confidence_dynamic": ORDERS,
        "entropy_bounded": HERE,
    },
    ("dream", "alg"): {
        "origin": ORDERS,
        "maskgit_plus": ORDERS,
        "topk_margin": HERE,
        "entropy": ORDERS,
    },
    ("dream", "grid"): {"uniform": ORDERS, "published": HERE},
    ("remdm", "strategy"): {
        "cap": ORDERS,
        "rescale": ORDERS,
        "conf": HERE,
        "loop": ORDERS,
        "forward_backward": ORDERS,
    },
    ("remdm", "grid"): {"uniform": ORDERS, "sqrt": HERE},
    ("mdlm", "schedule"): dict.fromkeys(schedules.SCHEDULES, HERE),
    ("mdlm", "grid"): {"uniform": STATED, "sqrt": HERE},
    ("bd3lm", "schedule"): dict.fromkeys(schedules.SCHEDULES, f"{HERE}: the kernel of mdlm"),
    ("bd3lm", "grid"): {"uniform": STATED, "sqrt": HERE, "published": STATED},
    ("first_hitting", "schedule"): dict.fromkeys(
        schedules.SCHEDULES, "decides the time alone, which the chain does not take: one law"
    ),
    ("hybrid", "grid"): {"uniform": STATED, "sqrt": HERE, "published": STATED},
    ("hybrid", "rule"): {"auto": STATED, "plug_in": HERE, "mixture": HERE},
    ("uniform", "schedule"): dict.fromkeys(schedules.SCHEDULES, HERE),
    ("uniform", "grid"): {"uniform": ORDERS, "sqrt": HERE},
    ("fk_steering", "potential"): dict.fromkeys(("difference", "max", "sum"), FK),
    ("fk_steering", "reward"): dict.fromkeys(("score", "right"), FK),
    ("fk_steering", "schedule"): dict.fromkeys(schedules.SCHEDULES, f"{HERE}: the kernel of mdlm"),
    ("prism", "order"): dict.fromkeys(("confidence", "random"), "tests/samplers/test_prism.py"),
    ("saber", "scored"): dict.fromkeys(("own", "published"), "tests/samplers/test_saber.py"),
    ("psi", "strategy"): dict.fromkeys(("cap", "rescale", "constant", "share"), PSI),
    ("psi", "schedule"): dict.fromkeys(schedules.SCHEDULES, f"{PSI}: the kernels of mdlm, uniform"),
    ("psi", "grid"): dict.fromkeys(schedules.GRIDS, f"{PSI}: the grid of mdlm, held"),
    ("p2", "score"): {"confidence": P2, "random": P2},
    ("p2", "scored"): {"own": P2, "drawn": P2},
}
FILTER = "nucleus_rule"  # a filter: no guarantee is claimed under it; tests/samplers/test_draw.py


def test_every_strategy_is_covered():
    choices = {
        (name, param.name): set(param.choices)
        for name, sampler in samplers.SAMPLERS.items()
        for param in sampler.params
        if param.kind == "choice" and param.name != FILTER
    }
    assert {key: set(value) for key, value in COVERED.items()} == choices


# Absorbing and uniform noise on every schedule and grid, against the matrices of the kernel.


def absorbing(schedule):
    def masses(t):
        alpha = float(schedules.get(schedule).alpha(torch.tensor(t))) if t else 1.0
        return alpha, 1 - alpha, 0.0

    return masses


@pytest.mark.parametrize("grid", schedules.GRIDS)
@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_mdlm_on_every_schedule_is_reverse_process(schedule, grid):
    target = law_of_noise(schedules.grid(grid, 3), absorbing(schedule))
    assert distance(law_of("mdlm", steps=3, schedule=schedule, grid=grid), target) < 1e-6


@pytest.mark.parametrize(("name", "values"), [
    ("bd3lm", {"first_hitting": False, "block_length": 4}), ("remdm", {"eta": 0.0}),
])  # fmt: skip
def test_grid_samplers_share_kernel_of_mdlm(name, values):
    target = law_of_noise(schedules.grid("sqrt", 3), absorbing("linear"))
    assert distance(law_of(name, steps=3, grid="sqrt", **values), target) < 1e-6


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_uniform_on_every_schedule_is_reverse_process(schedule):
    def masses(t):
        alpha = float(schedules.get(schedule).alpha(torch.tensor(t))) if t else 1.0
        return alpha, 0.0, 1 - alpha

    grid = "sqrt" if schedule == "linear" else "uniform"
    law = law_of("uniform", chain(corruption="uniform", posterior="loo"), steps=3,
                 schedule=schedule, grid=grid)  # fmt: skip
    # It starts from uniform tokens, though some curves leave one in a thousand clean at t = 1.
    target = law_of_noise(schedules.grid(grid, 3), masses)
    assert distance(law, target) < (1e-6 if masses(1.0)[0] < 1e-9 else 4e-3)


@pytest.mark.parametrize("grid", schedules.GRIDS)
@pytest.mark.parametrize(
    ("posterior", "rule"), [("loo", "plug_in"), ("full", "mixture"), ("full", "auto")]
)
def test_hybrid_on_every_grid_is_reverse_process(posterior, rule, grid):
    noise = schedules.Hybrid(0.2)

    def masses(t):
        alpha, mask, uniform = (float(mass) for mass in noise.at(torch.tensor(t)))
        return alpha, mask, uniform

    model = chain(corruption="hybrid", posterior=posterior, p_uniform=0.2)
    law = law_of("hybrid", model, steps=3, p_uniform=0.2, rule=rule, grid=grid)
    assert distance(law, law_of_noise(schedules.grid(grid, 3), masses)) < 1e-5


# Orders that look at the model's distribution alone, several positions a call.


def first(scores, masked, count):
    """The `count` masked positions of highest score, the left ones of a tie."""
    return sorted(masked, key=lambda i: (-scores[i], i))[:count]


def entropies(marginals):
    return [float(torch.special.entr(p).sum()) for p in marginals]


def margins(marginals):
    tops = [p.sort(descending=True).values for p in marginals]
    return [float(top[0] - top[1]) for top in tops]


@pytest.mark.parametrize("bound", [0.3, 1.2, 1.9])
def test_sdar_entropy_bounded_takes_what_stays_within_bound(bound):
    def choose(marginals, masked, call):
        entropy = entropies(marginals)
        order = sorted(masked, key=lambda i: (entropy[i], i))
        total, count = 0.0, 0
        while count < len(order) and total + entropy[order[count]] <= bound:
            total, count = total + entropy[order[count]], count + 1
        return order[: max(1, count)]

    law = law_of("sdar", order="entropy_bounded", entropy_bound=bound, block_length=4, **HOT)
    assert distance(law, law_of_order(choose)) == close(0)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.2, 1.9, 2.0, 10.0])
def test_entropy_bound_takes_what_shares_at_most_gamma(gamma):
    """From 1.0 on some call commits two: the error of its dependence is the floor it claims."""
    several = []

    def choose(marginals, masked, call):
        entropy = entropies(marginals)
        order = sorted(masked, key=lambda i: (entropy[i], i))
        count = 1
        while count < len(order) and sum(entropy[i] for i in order[:count]) <= gamma:
            count += 1
        several.append(count > 1)
        return order[:count]

    target = law_of_order(choose)
    law = law_of("entropy_bound", gamma=gamma)
    assert distance(law, target) == close(0)
    assert any(several) == (gamma >= 1.0) == (distance(law) > 0.1)


DREAM = {"uniform": {2: [2, 2], 4: [1, 1, 1, 1], 3: [1, 1, 2]},
         "published": {2: [1, 3], 4: [1, 1, 2], 3: [1, 1, 2]}}  # fmt: skip


@pytest.mark.parametrize("steps", [2, 3, 4])
@pytest.mark.parametrize("grid", DREAM)
@pytest.mark.parametrize(("alg", "score"), [
    ("topk_margin", margins), ("entropy", lambda p: [-h for h in entropies(p)]),
])  # fmt: skip
def test_dream_fills_shares_of_its_grid(alg, score, grid, steps):
    shares = DREAM[grid][steps]
    target = law_of_order(lambda p, masked, call: first(score(p), masked, shares[call]))
    law = law_of("dream", alg=alg, steps=steps, grid=grid, **HOT)
    assert distance(law, target) == close(0)


def test_dream_origin_on_published_grid_ends_in_one_long_step():
    """Its times reach 0.001, the last step takes the rest: MDLM on 1, .667, .334, then 0."""
    times = [1.0, 1 - 0.999 / 3, 1 - 2 * 0.999 / 3, 0.0]
    law = law_of("dream", alg="origin", grid="published", steps=3, **HOT)
    assert distance(law, law_of_noise(times, absorbing("linear"))) < 1e-6


@pytest.mark.parametrize("steps", [41, 82, 100])
def test_dream_makes_no_idle_call(steps):
    """41 positions: in float32 41 times 1/41 falls short of 1. Calls are made that fill alone."""
    sampler, model = samplers.get("dream"), chain(length=41)
    canvas = canvas_of(sampler, model, [MASK] * 41)
    run = sampler(model.open(canvas), canvas, Noise(0, [0]), steps=steps, alg="entropy")
    remaining = [41, *(int((step.tokens == MASK).sum()) for step in run)]
    assert remaining[-1] == 0 and all(a > b for a, b in pairwise(remaining))
    assert len(remaining) == 42 or steps > 41


def test_dream_official_commits_as_published():
    """16 positions in 8 steps: 1 2 2 2 2 2 2 3 there, 2 a step on the uniform grid."""
    for values, shares in (({"grid": "published"}, [1, 2, 2, 2, 2, 2, 2, 3]), ({}, [2] * 8)):
        sampler, model = samplers.get("dream"), chain(length=16)
        canvas = canvas_of(sampler, model, [MASK] * 16)
        run = sampler(model.open(canvas), canvas, Noise(0, [0]), steps=8, alg="entropy", **values)
        remaining = [16, *(int((step.tokens == MASK).sum()) for step in run)]
        assert [a - b for a, b in pairwise(remaining)] == shares
    official = samplers.get("dream").bind(samplers.get("dream").presets["official"])
    assert (official["grid"], official["alg"]) == ("published", "origin")


# ReMDM conf. Its future depends on recorded confidences, so rows are not joined.


def law_of_conf(size, steps):
    """The law of ReMDM conf by plain recursion over (canvas, recorded probability of each)."""
    sequences = list(product(range(3), repeat=size))
    data = {x: PI[x[0]] * math.prod(A[a][b] for a, b in pairwise(x))
            for x in sequences}  # fmt: skip
    states = {((MASK,) * size, (None,) * size): 1.0}
    for step in range(steps):
        t, s = 1 - step / steps, 1 - (step + 1) / steps
        sigma = min(1.0, s / (1 - t)) if t < 1 else 1.0
        after = defaultdict(float)
        for (canvas, record), chance in states.items():
            fits = {x: p for x, p in data.items()
                    if all(c in (MASK, v) for c, v in zip(canvas, x, strict=True))}  # fmt: skip
            whole = sum(fits.values())
            doubt = sum(math.exp(-p) for p in record if p is not None)
            options = []
            for i, token in enumerate(canvas):
                if token == MASK:
                    p = [sum(q for x, q in fits.items() if x[i] == v) / whole for v in range(3)]
                    options.append([(MASK, None, s / t), *((v, p[v], (1 - s / t) * p[v])
                                                           for v in range(3))])  # fmt: skip
                else:
                    gone = sigma * math.exp(-record[i]) / doubt
                    options.append([(MASK, None, gone), (token, record[i], 1 - gone)])
            for outcome in product(*options):
                weight = math.prod(each[2] for each in outcome)
                if weight > 1e-14:
                    key = tuple(each[0] for each in outcome), tuple(each[1] for each in outcome)
                    after[key] += chance * weight
        states = after
    law = defaultdict(float)
    for (canvas, _), chance in states.items():
        law[canvas] += chance
    return law


@pytest.mark.parametrize(("size", "steps"), [(2, 2), (2, 3), (3, 3)])
def test_remdm_conf_opens_masked_positions_as_mdlm_does(size, steps):
    target = law_of_conf(size, steps)
    law = law_of("remdm", chain(length=size), [MASK] * size, join=False, strategy="conf",
                 steps=steps)  # fmt: skip
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5
    assert float(result.sum()) == pytest.approx(1, abs=1e-6)


def test_remdm_conf_keeps_official_share_of_masks():
    """Measured with the official code on this chain: at most one token a step is taken back."""
    official = [0.94, 0.93, 0.93, 0.92, 0.91, 0.90, 0.89, 0.88, 0.86, 0.81, 0.74, 0.66, 0.54, 0.40,
                0.22, 0.0]  # fmt: skip
    rows, sampler, model = 8000, samplers.get("remdm"), chain()
    canvas = canvas_of(sampler, model, BLANK, rows)
    run = sampler(model.open(canvas), canvas, Noise(1, range(rows)), steps=16, strategy="conf")
    share = [float((step.tokens == MASK).double().mean()) for step in run]
    assert share == pytest.approx(official, abs=0.015)


def test_remdm_is_floor_that_sinks_with_eta():
    """At 8 steps the error grows with eta; without remasking it is that of MDLM."""
    errors = [distance(law_of("remdm", steps=8, eta=eta)) for eta in (0.0, 0.1, 0.3)]
    assert errors[0] == close(0.0690)
    assert errors == sorted(errors) and errors[-1] > errors[0] + 0.005


def test_sequences_of_reference_are_those_of_chain():
    assert law_of_order(lambda p, masked, call: masked[:1]) == pytest.approx(DATA)
    one_call = law_of_order(lambda p, masked, call: masked)
    assert float((one_call - DATA).abs().sum() / 2) == close(0.49171)
    assert len(SEQUENCES) == 81
