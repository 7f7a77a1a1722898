"""Golden traces: what each sampler wrote on the fixed model of tests/kit/golden.py, it writes
still."""

import numpy as np
import pytest

from samplers import SAMPLERS
from tests.kit.golden import CASES, FEW, PROMPTS, SETTINGS, network, stored, trace
from tests.kit.laws import check, only, record

# What must write as an earlier case does: nothing is above their thresholds (or stays as it is),
# eta 0.008 takes nothing back in four steps, and at temperature 0 Dream's rules are max_prob and
# margin.
ALIKE = ["sdar", "threshold", "remdm", "max_prob", "klass", "wino", "dream"]


def title(case):
    return trace(*case).split("\n")[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_trace_is_what_it_was(case):
    now = trace(*case)
    assert stored()[now.split("\n")[0]] == now, "a change meant? python -m tests.kit.golden --write"


def test_every_sampler_has_trace_and_no_trace_is_left_over():
    assert {name for name, _ in CASES} == set(SAMPLERS)
    assert [title(case) for case in CASES] == list(stored())
    bodies = [one.split("\n", 1)[1] for one in stored().values()]
    same = [CASES[i] for i, body in enumerate(bodies) if body in bodies[:i]]
    assert [name for name, _ in same] == ALIKE, "other cases show no difference"


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_no_trace_hangs_on_rounding_and_every_law_holds(case):
    name, values = case
    settings = {**only(name, **FEW), **values}
    run = record(name, network(name), PROMPTS, **SETTINGS, **settings)
    check(run)
    for frame in run.frames[1:]:
        for row in np.flatnonzero(frame.active):
            score = frame.score[row][np.isfinite(frame.score[row]) & (frame.score[row] != 0)]
            assert (np.diff(np.sort(score)) > 1e-6).all(), "two columns are as sure as each other"
            seen = run.plan.canvas.visible[row, frame.window].numpy()
            first, second = frame.top_probabilities[row, seen, :2].T
            assert ((first - second > 1e-3) | (first == 0)).all(), "two tokens are as likely"
