"""P2 on a model that doubts what it wrote: its law against a recursion written apart from it."""

import math
from itertools import combinations

import pytest

from lab import run
from tests.kit.chain import (
    MASK,
    SEQUENCES,
    Doubtful,
    chain,
    close,
    distance,
    law_of,
    law_of_walk,
)  # fmt: skip


def planned(steps, eta, scored="own"):
    """Step `call` leaves the floor(4 (1 - i / N)) lowest scores masked."""

    def follow(canvas, marginals, drawn, call):
        score = []
        for i, token in enumerate(canvas):
            ranked = drawn[i] if token == MASK or scored == "drawn" else token
            log_p = math.log(max(float(marginals[i, ranked]), 1e-300))
            score.append(log_p if token == MASK else eta * log_p)
        after = math.floor(4 * (1 - (call + 1) / steps) + 1e-9)
        high = sorted(range(4), key=lambda i: (-round(score[i], 5), i))[: 4 - after]
        line = [MASK if i not in high else drawn[i] if canvas[i] == MASK else canvas[i]
                for i in range(4)]  # fmt: skip
        return [(1.0, tuple(line))]

    return follow


@pytest.mark.parametrize("scored", ["own", "drawn"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_p2_masks_what_scores_lowest(steps, eta, scored):
    law = law_of("p2", Doubtful(), steps=steps, eta=eta, scored=scored)
    target = law_of_walk(steps, planned(steps, eta, scored), redraw=scored == "drawn")
    assert distance(law, target) == close(0)


def test_p2_takes_doubted_tokens_back():
    """Remasking changes the law, and so does the token by which a written position is ranked."""
    model = Doubtful()
    laws = [law_of("p2", model, steps=4, **values).of(SEQUENCES) for values in
            ({"eta": 0.0}, {}, {"scored": "drawn"})]  # fmt: skip
    assert float((laws[0] - laws[1]).abs().sum()) > 0.05
    assert float((laws[1] - laws[2]).abs().sum()) > 0.05


@pytest.mark.parametrize(("steps", "target"), [(4, 0.0), (2, 0.17388), (1, 0.49171)])
def test_p2_at_random_without_remasking_is_ancestral(steps, target):
    """Preset ancestral: a random subset of exact size a step; one a call is exact."""
    law = law_of("p2", score="random", eta=0.0, steps=steps, count_calls=True)
    assert distance(law) == close(target)
    assert (law.calls == steps).all()


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_p2_at_random_is_forward_backward_with_exact_counts(steps):
    """Preset dfm: fill all, then mask a uniformly drawn subset of exact size."""

    def follow(canvas, marginals, drawn, call):
        filled = [drawn.get(i, token) for i, token in enumerate(canvas)]
        subsets = list(combinations(range(4), math.floor(4 * (1 - (call + 1) / steps) + 1e-9)))
        return [(1 / len(subsets), tuple(MASK if i in low else v for i, v in enumerate(filled)))
                for low in subsets]  # fmt: skip

    law = law_of("p2", Doubtful(), score="random", steps=steps)
    assert distance(law, law_of_walk(steps, follow)) == close(0)


def test_p2_error_of_forward_backward_halves():
    errors = [distance(law_of("p2", score="random", steps=steps)) for steps in (4, 8)]
    assert errors == [close(0.0650), close(0.0304)]


def test_p2_makes_no_idle_call():
    """128 steps on 4 positions: without remasking 4 calls; with it none once all is settled."""
    assert run("p2", chain(), eta=0.0)[0].calls[-1] == 4
    assert run("p2", chain(), eta=1.0)[0].calls[-1] == 97  # floor(4 - 4 i / 128) is 0 from i = 97
