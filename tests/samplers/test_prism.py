"""PRISM: its law on the exact chain by recursion, its canvases beside plain loops."""

import math
from itertools import combinations, product

import pytest
import torch

import lab
from samplers.prism import _middle_share
from tests.kit import tiny
from tests.kit.chain import DATA, MASK, SEQUENCES, close, distance, law_of, marginals_of, posterior
from tests.kit.golden import MASK as LAST
from tests.kit.golden import V, answer

LENGTH = 12


def support(canvas, i):
    """The chance of the token at place i given all others: what a perfect head says."""
    seen = torch.tensor([MASK if j == i else token for j, token in enumerate(canvas)])
    fits = ((seen == MASK) | (seen == SEQUENCES)).all(-1)
    return float(posterior(DATA * fits, 4)[i, canvas[i]])


def shares(count, steps, step):
    """How many masked positions a step fills, and how many written ones it may mask again."""
    fill, more = divmod(count[0], steps)
    back, left = divmod(count[1], steps)
    first = (steps - left) // 2
    return fill + (step < more), back + (first <= step < first + left)


def law_of_prism(steps, remask_count, order):
    """{sequence: chance}, step by step."""
    law = {(MASK,) * 4: 1.0}
    for step in range(steps):
        after: dict[tuple[int, ...], float] = {}
        for canvas, chance in law.items():
            masked = [i for i in range(4) if canvas[i] == MASK]
            count, most = shares((4, remask_count), steps, step)
            weak = {i: round(support(canvas, i), 6) for i in range(4) if i not in masked}
            most = max(0, min(most, len(masked) - count))
            back = sorted(weak, key=lambda i: (weak[i], i))[:most]
            for places, share in choices(canvas, masked, count + len(back), order):
                line = [places.get(i, MASK if i in back else canvas[i]) for i in range(4)]
                after[tuple(line)] = after.get(tuple(line), 0.0) + chance * share
        law = after
    return law


def choices(canvas, masked, size, order):
    """({place: token} of what is filled, chance) of a step that fills so many places."""
    p, size = marginals_of(canvas), min(size, len(masked))
    for tokens in product(range(3), repeat=len(masked)):
        drawn = dict(zip(masked, tokens, strict=True))
        weight = math.prod(float(p[i, v]) for i, v in drawn.items())
        if weight < 1e-15:
            continue
        ranked = sorted(masked, key=lambda i: (-round(float(p[i, drawn[i]]), 6), i))
        sets = list(combinations(masked, size)) if order == "random" else [ranked[:size]]
        for places in sets:
            yield {i: drawn[i] for i in places}, weight / len(sets)


@pytest.mark.parametrize("order", ["confidence", "random"])
@pytest.mark.parametrize(("steps", "remask_count"), [(2, 0), (3, 1), (3, 6), (4, 2), (4, 40)])
def test_prism_masks_again_what_others_support_least(steps, remask_count, order):
    target, plain = (law_of_prism(steps, count, order) for count in (remask_count, 0))
    law = law_of("prism", steps=steps, remask_count=remask_count, order=order, temperature=1.0)
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5
    assert any(abs(chance - plain.get(line, 0)) > 1e-3 for line, chance in target.items()) == (
        remask_count > 0
    )


def judgement(tokens):
    """A quality that is least at the first column, which is the prompt's."""
    return tiny.judgement(tokens).masked_fill(torch.arange(tokens.shape[1]) == 0, 0.0)


def model():
    return lab.wrap(answer, tiny.card(V, attention="full"), quality=judgement)


def by_loops(block_length, steps, remask_count):
    """The canvases of one row, each with its prompt."""
    x, seen = [4] + [LAST] * LENGTH, []
    for start in range(1, LENGTH + 1, block_length):
        block = range(start, min(start + block_length, LENGTH + 1))
        for step in range(steps):
            masked = [i for i in block if x[i] == LAST]
            if not masked:
                break
            count, most = shares((len(block), remask_count), steps, step)
            ids = torch.tensor([x])
            top, best = answer(ids)[0, :, : V - 1].double().softmax(-1).max(-1)
            quality = judgement(ids)[0]
            written = sorted((i for i in block if x[i] != LAST), key=lambda i: float(quality[i]))
            back = written[: min(most, len(masked) - count)]
            commit = sorted(masked, key=lambda i: (-float(top[i]), i))[: count + len(back)]
            for i in commit:
                x[i] = int(best[i])
            for i in back:
                x[i] = LAST
            seen.append(list(x))
    return seen


@pytest.mark.parametrize("remask_count", [0, 3, 8, 100])
@pytest.mark.parametrize("steps", [1, 3, 6, 20])
@pytest.mark.parametrize("block_length", [5, 12])
def test_prism_remasks_and_fills_as_plain_loops_do(block_length, steps, remask_count):
    (one,) = lab.run("prism", model(), [[4]], gen_length=LENGTH, block_length=block_length,
                     steps=steps, remask_count=remask_count)  # fmt: skip
    assert one.tokens[1:].tolist() == by_loops(block_length, steps, remask_count)
    assert one.remasks.any() == (remask_count > 0) or steps in (1, 20)
    assert (one.tokens[-1] != LAST).all() and (one.tokens[:, 0] == 4).all()


@pytest.mark.parametrize("steps", [2, 5])
def test_prism_without_remasking_is_llada(steps):
    settings = {"gen_length": LENGTH, "block_length": 6, "steps": steps, "temperature": 0.0}
    prism, llada = (
        lab.run(name, model(), [[4], [1, 2, 3]], **settings, **more)
        for name, more in (("prism", {"remask_count": 0}), ("llada", {}))
    )
    assert [one.tokens.tolist() for one in prism] == [one.tokens.tolist() for one in llada]


def test_remasks_are_shared_out_with_remainder_in_middle():
    """12 in 32 steps: one each in steps 10 to 21, as the official code has them."""
    assert [s for s in range(32) if _middle_share(12, 32, s)] == list(range(10, 22))
    for steps, count in ((1, 5), (4, 1), (5, 2), (7, 30), (51, 204)):
        each = [_middle_share(count, steps, step) for step in range(steps)]
        assert sum(each) == count and max(each) - min(each) <= 1
        near = sorted(range(steps), key=lambda s: (abs(s - (steps - 1) / 2), s))[: count % steps]
        assert count % steps == 0 or {s for s in range(steps) if each[s] == max(each)} == {*near}


def test_prism_has_known_error():
    """One token a call: at random exact, until some are masked again by what others support."""
    errors = {
        (order, count): distance(
            law_of("prism", steps=4, remask_count=count, order=order, temperature=1.0)
        )
        for order in ("confidence", "random")
        for count in (0, 12)
    }
    assert errors["random", 0] == close(0) and errors["random", 12] == close(0.1201)
    assert errors["confidence", 0] == close(0.5469) and errors["confidence", 12] == close(0.3709)
