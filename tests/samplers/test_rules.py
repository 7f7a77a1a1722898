"""Rules of other code that are parameters here, beside plain loops and by hand."""

import math

import pytest
import torch

import lab
from samplers import kernels
from tests.kit import tiny
from tests.kit.chain import close, distance, law_of, law_of_order
from tests.kit.golden import MASK, V, answer

LENGTH, TIES = 12, 1e-9


def ours(sampler, **values):
    """The canvases of one row after its prompt [4], and what each call committed."""
    attention = "block_causal" if sampler in ("llada2", "sdar") else "full"
    model = lab.wrap(answer, tiny.card(V, attention=attention))
    (one,) = lab.run(sampler, model, [[4]], gen_length=LENGTH, **values)
    return one.tokens[1:].tolist()


def runs_of(places):
    """Neighbours among sorted places."""
    runs = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def by_loops(threshold, factor=None, floor=0.0, product=None, run=None, credit=0.0):
    """The canvases of the threshold sampler in one block, by plain loops."""
    x, seen, earned = [4] + [MASK] * LENGTH, [], torch.zeros(LENGTH + 1, V, dtype=torch.float64)
    while MASK in x:
        masked = [i for i in range(1, LENGTH + 1) if x[i] == MASK]
        logits = answer(torch.tensor([x]))[0].double()
        logits[:, MASK] = -torch.inf
        raw, best = logits.softmax(-1).max(-1)
        earned = 0.8 * earned
        for i in masked:
            earned[i, best[i]] += float(raw[i]) ** 0.2
        p, token = (logits + credit * (1 + earned).log()).softmax(-1).max(-1)
        order = sorted(masked, key=lambda i: -float(p[i]))
        commit = {order[0], *(i for i in masked if float(p[i]) >= threshold)}
        if factor is not None:
            for n, i in enumerate(order, 1):
                if (n + 1) * (1 - float(p[i])) >= factor:
                    break
                commit |= {i} if float(p[i]) >= floor else set()
        if product is not None:
            for n, i in enumerate(order, 1):
                if math.prod(float(p[j]) for j in order[:n]) >= product:
                    commit.add(i)
        if run is not None:
            best_ones = [max(each, key=lambda i: float(p[i])) for each in runs_of(masked)]
            commit |= {i for i in best_ones if float(p[i]) >= run}
        for i in commit:
            x[i] = int(token[i])
        seen.append(list(x))
    return seen


@pytest.mark.parametrize("floor", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("factor", [0.8, 2.0, 5.0])
def test_factor_may_have_floor(factor, floor):
    result = ours(
        "threshold", threshold=0.9, factor=factor, factor_floor=floor, block_length=LENGTH
    )
    assert result == by_loops(0.9, factor=factor, floor=floor)


@pytest.mark.parametrize("product", [0.9, 0.3, 0.05, 0.0])
def test_product_of_confidences_bounds_what_goes_together(product):
    result = ours("threshold", threshold=None, product=product, block_length=LENGTH)
    assert result == by_loops(math.inf, product=product)


@pytest.mark.parametrize("run", [0.0, 0.25, 0.4])
def test_best_of_every_run_goes_too(run):
    result = ours("threshold", threshold=None, run_threshold=run, block_length=LENGTH)
    assert result == by_loops(math.inf, run=run)
    assert run > 0 or len(result) < LENGTH


# With 0.3 the text is another where credit does not decay.
@pytest.mark.parametrize("credit", [0.3, 0.7, 3.0])
def test_credit_counts_what_earlier_calls_thought(credit):
    result = ours("threshold", threshold=0.5, credit=credit, block_length=LENGTH)
    assert result == by_loops(0.5, credit=credit)
    assert result != by_loops(0.5)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 4.0])
def test_penalty_takes_from_left_neighbour(penalty):
    """One token a call, in one block; the first column's left neighbour is the prompt."""
    x, seen = [4] + [MASK] * LENGTH, []
    while MASK in x:
        logits = answer(torch.tensor([x]))[0].double()
        logits[:, MASK] = -torch.inf
        for i in range(1, LENGTH + 1):
            if x[i - 1] != MASK:
                logits[i, x[i - 1]] -= penalty
        p, token = logits.softmax(-1).max(-1)
        i = max((i for i in range(1, LENGTH + 1) if x[i] == MASK), key=lambda i: float(p[i]))
        x[i] = int(token[i])
        seen.append(list(x))
    assert ours("llada2", threshold=None, penalty_lambda=penalty, block_length=16) == seen


def test_penalty_breaks_repetition():
    answer = tiny.constant(1, 5, by=2.0)
    model = lab.wrap(answer, tiny.card(5))
    settings = {"gen_length": 6, "threshold": None, "block_length": 8}
    (plain,) = lab.run("llada2", model, [[1]], **settings)
    (less,) = lab.run("llada2", model, [[1]], penalty_lambda=3.0, **settings)
    assert plain.output == [1] * 6 and less.output[0] != 1


def test_spread_fills_far_apart_first():
    assert kernels.far_apart(torch.zeros(1, 8)).argsort(descending=True).tolist() == [
        [0, 4, 2, 6, 1, 5, 3, 7]
    ]
    assert sorted(kernels.far_apart(torch.zeros(2, 5))[1].tolist(), reverse=True) == [
        1, 1 - 1 / 8, 1 - 2 / 8, 1 - 4 / 8, 1 - 6 / 8,
    ]  # fmt: skip
    order = [0, 2, 1, 3]
    for shares in ((1, 1, 1, 1), (2, 2), (2, 1, 1)):

        def next_of(_, masked, call, shares=shares):
            return [i for i in order if i in masked][: shares[call]]

        target = law_of_order(next_of)
        law = law_of("llada", remasking="spread", steps=len(shares), temperature=1.0)
        assert distance(law, target) == close(0)


@pytest.mark.parametrize("sigma", [0.5, 1.5, 10.0])
def test_certainty_prior_weighs_by_known_neighbours(sigma):
    x, seen = [4] + [MASK] * LENGTH, []
    reach = math.ceil(4 * sigma)
    gauss = {d: math.exp(-0.5 * (d / sigma) ** 2) for d in range(-reach, reach + 1)}
    while MASK in x:
        logits = answer(torch.tensor([x]))[0].double()
        p, token = logits[:, : V - 1].softmax(-1).max(-1)
        score = {}
        for i in (i for i in range(1, LENGTH + 1) if x[i] == MASK):
            known = sum(w for d, w in gauss.items()
                        if i + d < 1 or x[min(i + d, LENGTH)] != MASK)  # fmt: skip
            score[i] = float(p[i]) * known / sum(gauss.values())
        for i in sorted(score, key=lambda i: -score[i])[:2]:
            x[i] = int(token[i])
        seen.append(list(x))
    result = ours("llada", certainty_sigma=sigma, steps=LENGTH // 2, block_length=LENGTH)
    assert result == seen


@pytest.mark.parametrize("size", [2, 4, 5])
def test_sub_blocks_are_filled_left_to_right(size):
    """One block of 16 with the prompt in its first column, seen whole by every call."""
    x, seen = [4] + [MASK] * LENGTH, []
    for start in range(0, 16, size):
        while part := [i for i in range(start, min(start + size, LENGTH + 1)) if x[i] == MASK]:
            logits = answer(torch.tensor([x]))[0].double()
            p, token = logits[:, : V - 1].softmax(-1).max(-1)
            best = max(part, key=lambda i: float(p[i]))
            for i in [i for i in part if i == best or float(p[i]) > 0.3]:
                x[i] = int(token[i])
            seen.append(list(x))
    result = ours("sdar", threshold=0.3, sub_block=size, steps=size, block_length=16,
                  temperature=0.0)  # fmt: skip
    assert result == seen
