"""FK steering: its law by recursion over particles, and the tilted law that many of them reach."""

import math
from collections import defaultdict
from itertools import product

import pytest
import torch

import lab
import samplers
from lab.models.rewards import rewards
from lab.run.plan import plan
from lab.run.request import RunRequest
from lab.study.enumeration import exact_law
from lab.study.measure import run
from lab.study.truth import distance, frequencies, noise_floor
from tests.kit import tiny
from tests.kit.chain import MASK, SEQUENCES, chain, law_of
from tests.kit.laws import record

FIRST, NEXT = [0.6, 0.4], [[0.7, 0.3], [0.2, 0.8]]
BLANK = 2
PAIRS = list(product(range(2), repeat=2))
REWARD = {pair: 0.8 * (pair == (0, 1)) + 0.3 * (pair[0] == 1) for pair in PAIRS}


def rewarded(model, reward):
    """The model with a reward of whole texts, a function of a tuple of ids."""
    lines = lambda texts: torch.tensor([reward(tuple(line)) for line in texts.tolist()])  # noqa: E731
    model.reward = lambda texts, name: lines(texts).double()
    return tiny.changed(model, rewards=("score",))


def posterior(pair, place):
    """p(x at place | the other token, if it is there) of a pair with masks."""
    weights = [0.0] * 2
    for x in PAIRS:
        if all(token in (BLANK, v) for token, v in zip(pair, x, strict=True)):
            weights[x[place]] += FIRST[x[0]] * NEXT[x[0]][x[1]]
    return [w / sum(weights) for w in weights]


def openings(pair, stay):
    """[(pair, chance)] of a particle after a step in which a mask stays with chance `stay`."""
    options = [
        [(token, 1.0)] if token != BLANK
        else [(BLANK, stay), *((v, (1 - stay) * p) for v, p in enumerate(posterior(pair, i)))]
        for i, token in enumerate(pair)
    ]  # fmt: skip
    return [((a, b), pa * pb) for (a, pa), (b, pb) in product(*options) if pa * pb > 0]


def law_of_particles(start, steps, every, strength, potential):
    """{pair: chance} of the first of two; a particle is (pair, log potentials, largest, sum)."""

    def opened(states, stay):
        after = defaultdict(float)
        for particles, chance in states.items():
            both = [openings(particle[0], stay) for particle in particles]
            for (one, p), (two, q) in product(*both):
                after[(one, *particles[0][1:]), (two, *particles[1][1:])] += chance * p * q
        return after

    def selected(states, weigh):
        after = defaultdict(float)
        for particles, chance in states.items():
            logs, marked = zip(*(weigh(*each) for each in particles), strict=True)
            weights = [math.exp(each - max(logs)) for each in logs]
            for i, j in product((0, 1), repeat=2):
                share = weights[i] * weights[j] / sum(weights) ** 2
                after[marked[i], marked[j]] += chance * share
        return after

    def judged(states):
        """Each particle with the reward of its masked positions filled at once."""
        after = defaultdict(float)
        for particles, chance in states.items():
            both = [openings(particle[0], 0.0) for particle in particles]
            for (one, p), (two, q) in product(*both):
                marked = tuple((*x, REWARD[y]) for x, y in zip(particles, (one, two), strict=True))
                after[marked] += chance * p * q
        return after

    def weigh(pair, spent, most, total, reward):
        most, total = max(most, reward), total + reward
        rise = strength * {"difference": reward, "max": most, "sum": total}[potential]
        rise -= spent if potential == "difference" else 0.0
        return rise, (pair, round(spent + rise, 9), most, round(total, 9))

    states = {((start, 0.0, -math.inf, 0.0),) * 2: 1.0}
    for number in range(steps):
        stay = (1 - (number + 1) / steps) / (1 - number / steps)
        if number and number % every == 0:
            # Once both particles of the row are filled there is nothing left to select.
            live = {k: v for k, v in states.items() if any(BLANK in one[0] for one in k)}
            done = {k: v for k, v in states.items() if k not in live}
            states = defaultdict(float, done)
            for particles, chance in selected(judged(live), weigh).items():
                states[particles] += chance
        states = opened(states, stay)
    law = defaultdict(float)
    last = selected(states, lambda pair, spent, *_: (strength * REWARD[pair] - spent, pair))
    for (pair, _), chance in last.items():
        law[pair] += chance
    return law


@pytest.mark.parametrize("potential", ["difference", "max", "sum"])
@pytest.mark.parametrize(
    ("start", "steps", "every", "strength"),
    [((BLANK, BLANK), 1, 1, 3.0), ((BLANK, BLANK), 2, 1, 3.0), ((BLANK, BLANK), 2, 5, 1.0),
     ((0, BLANK), 3, 1, 3.0), ((BLANK, 1), 4, 2, 3.0)],
)  # fmt: skip
def test_particles_have_law_of_recursion(start, steps, every, strength, potential):
    model = rewarded(lab.oracle(FIRST, NEXT, length=2), REWARD.__getitem__)
    law = exact_law(
        samplers.get("fk_steering"), model, list(start), join=False, most_rows=2_000_000,
        particles=2, steps=steps, every=every, strength=strength, potential=potential,
        schedule="linear",
    )  # fmt: skip
    target = law_of_particles(start, steps, every, strength, potential)
    assert law.of(torch.tensor(PAIRS)).tolist() == pytest.approx([target[x] for x in PAIRS])


def ends(text):
    """A reward of four letters: the first and the last are alike."""
    return float(text[0] == text[-1])


def test_many_particles_reach_tilted_law():
    model, strength = rewarded(chain(), ends), 2.0
    plain = law_of("mdlm", steps=8).of(SEQUENCES)  # eight steps have an error of their own
    tilted = plain * torch.tensor([math.exp(strength * ends(x)) for x in SEQUENCES.tolist()])
    tilted = (tilted / tilted.sum()).numpy()
    rows, errors = 4000, []
    for particles in (1, 4, 32):
        params = {"steps": 8, "every": 3, "particles": particles, "strength": strength}
        tokens, *_ = run(plan(RunRequest("fk_steering", model, template="[MASK]*4", rows=rows,
                                         params=params)))  # fmt: skip
        shares = frequencies(tokens.numpy(), SEQUENCES.numpy())
        errors.append(distance(shares, tilted).total_variation)
    assert errors[0] > 0.2 and errors[0] > 1.5 * errors[1]
    assert errors[2] < noise_floor(tilted, rows).high.total_variation + 0.03


def test_filled_row_selects_no_more():
    """Its neighbours have masked positions still; the row goes the way it goes alone."""
    short, long = [0, 2, MASK, 1, 1, 1, 1, 1], [MASK] * 8
    model = rewarded(chain(length=8), lambda text: text[2] / 2)
    settings = {"steps": 12, "every": 1, "particles": 3, "strength": 1.0}
    both = lab.run("fk_steering", model, template=[short, long] * 10, **settings)
    for row in range(0, 20, 2):
        alone = lab.run("fk_steering", model, template=[short], first_row=row, **settings)
        assert both[row].tokens[-1].tolist() == alone[0].tokens[-1].tolist()


def test_one_particle_is_mdlm():
    model = rewarded(chain(length=12), ends)
    settings = {"gen_length": 12, "rows": 3, "seed": 4, "steps": 5}
    steered = lab.run("fk_steering", model, particles=1, every=2, **settings)
    for one, other in zip(steered, lab.run("mdlm", model, **settings), strict=True):
        assert one.tokens[-1].tolist() == other.tokens[-1].tolist()
        assert one.calls[-1] == other.calls[-1]


def test_steered_boards_are_right_more_often():
    shares = []
    for particles in (1, 8):
        runs = lab.run("fk_steering", "sudoku4", template="[MASK]*16", rows=60, steps=4, every=1,
                       particles=particles, reward="right")  # fmt: skip
        shares.append(
            sum(rewards("sudoku4", "score", torch.tensor(run.tokens[-1:])).item() for run in runs)
            / 60
        )
    assert shares[1] > shares[0] + 0.3


def test_every_particle_is_call():
    model = rewarded(chain(length=9), ends)
    run = record("fk_steering", model, template="[MASK]*9", steps=1, particles=5)
    assert run.frames[-1].calls.tolist() == [5]


def test_model_without_reward_is_refused():
    with pytest.raises(ValueError, match=r"fk_steering needs a reward, .* checker"):
        record("fk_steering", chain(), template="[MASK]*4")
    with pytest.raises(ValueError, match=r"reward must be one of score .*got 'right'"):
        record("fk_steering", rewarded(chain(), ends), template="[MASK]*4", reward="right")
