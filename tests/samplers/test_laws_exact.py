"""The exact law of each of the first samplers on the chain of 81 sequences, by reference values.

Distances are total variation to the data; the values were computed apart from this code, by
transition matrices over all 256 canvases.
"""

from dataclasses import replace

import pytest
import torch

import samplers
from lab.study.enumeration import canvas_of
from samplers.noise import Noise
from tests.kit.chain import BLANK, DATA, MASK, SEQUENCES, chain, close, distance, law_of

torch.set_num_threads(1)
LLADA = {"block_length": 4, "temperature": 1.0}  # one block: the share is 4 // steps


def test_reference_chain_has_its_entropy_and_mode():
    entropy = -float((DATA * DATA.log()).sum())
    assert (entropy, float(DATA.max())) == (close(3.50701), close(0.1715))
    assert SEQUENCES[DATA.argmax()].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("steps", "schedule", "target"),
    [
        (1, "loglinear", 0.4917),
        (2, "loglinear", 0.2576),
        (4, "loglinear", 0.1346),
        (8, "loglinear", 0.0690),
        (4, "cosine", 0.1567),
    ],
)
def test_mdlm_error_falls_as_one_over_n(steps, schedule, target):
    assert distance(law_of("mdlm", steps=steps, schedule=schedule)) == close(target)


def test_mdlm_calls_only_after_change():
    """A row asks again only after a step that changed it: fewer calls than steps."""
    law = law_of("mdlm", steps=8, count_calls=True)
    mean = law.mean_calls
    steps_with_a_change = 8 * (1 - (1 - 1 / 8) ** 4)  # each token opens at a uniform step
    assert mean == close(steps_with_a_change)
    assert law.calls.max() <= 8


@pytest.mark.parametrize("steps", [1, 4])
def test_mdlm_one_token_stride_is_exact(steps):
    assert distance(law_of("mdlm", steps=steps, stride=1)) == close(0)


@pytest.mark.parametrize("posterior", ["loo", "full"])
@pytest.mark.parametrize(
    ("p_uniform", "steps", "target"),
    [(0.0, 4, 0.1346), (0.1, 4, 0.1409), (0.5, 4, 0.3407)],
)
def test_hybrid_plug_in_equals_mixture(p_uniform, steps, target, posterior):
    """Plug-in on loo and mixture on full are one kernel; p_uniform 0 is MDLM's law."""
    model = chain(corruption="hybrid", posterior=posterior, p_uniform=p_uniform)
    law = law_of("hybrid", model, steps=steps, p_uniform=p_uniform)
    assert distance(law) == close(target)
    assert float(law.of(SEQUENCES).sum()) == pytest.approx(1, abs=1e-9)  # nothing left over


@pytest.mark.parametrize(
    ("p_uniform", "target"),
    [(0.0, 0.0690), (0.1, 0.0722), pytest.param(0.5, 0.2632, marks=pytest.mark.slow)],
)
def test_hybrid_error_falls_at_eight_steps(p_uniform, target):
    model = chain(corruption="hybrid", posterior="loo", p_uniform=p_uniform)
    assert distance(law_of("hybrid", model, steps=8, p_uniform=p_uniform)) == close(target)


def test_hybrid_published_grid_is_late_and_leaves_noise():
    """One point late and ending where it stands: .1811 instead of .1409, and noise left."""
    model = chain(corruption="hybrid", posterior="loo")
    law = law_of("hybrid", model, steps=4, grid="published")
    assert distance(law) == close(0.1811)
    assert float(law.of(SEQUENCES).sum()) < 0.9996


def test_hybrid_plug_in_on_full_posterior_is_biased():
    """What the rule's check prevents, seen through it: the published .224 (ours to s = 0 .2233)."""

    class Lying:
        card = replace(chain(corruption="hybrid").card, posterior="loo")

        def open(self, canvas, block_length=None):
            denoise = chain(corruption="hybrid").open(canvas, block_length)
            denoise.card = self.card
            return denoise

    assert distance(law_of("hybrid", Lying(), steps=4)) == close(0.2233)
    with pytest.raises(ValueError, match="posterior loo"):
        law_of("hybrid", chain(corruption="hybrid"), steps=4, rule="plug_in")


@pytest.mark.parametrize("block_length", [1, 2, 3, 4])
def test_first_hitting_is_exact_at_every_block_size(block_length):
    law = law_of("bd3lm", block_length=block_length, count_calls=True)
    assert distance(law) == close(0)
    assert (law.calls == 4).all()


@pytest.mark.parametrize(
    ("steps", "target"),
    [(1, 0.49171), (2, 0.17388), (4, 0.0)],
)
def test_random_subsets_have_their_known_error(steps, target):
    """First-hitting squeezed into fewer calls opens random subsets of 4 / steps masked
    positions."""
    assert distance(law_of("bd3lm", block_length=4, steps=steps)) == close(target)


@pytest.mark.parametrize(("block_length", "target"), [(1, 0.0), (2, 0.1075), (4, 0.1346)])
def test_bd3lm_grid_of_one_block_is_mdlm(block_length, target):
    """One block of everything is MDLM; a block of one token is the chain itself."""
    law = law_of("bd3lm", first_hitting=False, steps=4, block_length=block_length)
    assert distance(law) == close(target)


@pytest.mark.parametrize(("steps", "left"), [(4, 0.1172), (8, 0.0240)])
def test_bd3lm_published_grid_leaves_masks(steps, left):
    law = law_of("bd3lm", first_hitting=False, steps=steps, grid="published", block_length=4)
    assert float((law.probability * (law.tokens == MASK).double().mean(-1)).sum()) == close(left)


@pytest.mark.parametrize(
    ("steps", "temperature", "target"),
    [(4, 1.0, 0.54693), (2, 1.0, 0.38391), (1, 1.0, 0.49171), (4, 0.5, 0.7093)],
)
def test_low_confidence_has_its_known_bias(steps, temperature, target):
    values = {**LLADA, "temperature": temperature}
    law = law_of("llada2", steps=steps, threshold=None, **values)
    assert distance(law) == close(target)
    if (steps, temperature) == (4, 1.0):
        chance = law.of(SEQUENCES)
        assert -float(chance.xlogy(chance).sum()) == close(1.6951)


@pytest.mark.parametrize(
    ("threshold", "target", "tokens_per_call"),
    [
        (0.3, 0.52002, 1.8173),  # pi(1) = .3 is not above .3, whatever float32 makes of it
        (0.5, 0.588, 1.2652),
        (0.7, 0.5518, 1.0097),
        (0.9, 0.5469, 1.0),
    ],
)
def test_threshold_on_sampled_probability_is_biased(threshold, target, tokens_per_call):
    law = law_of("llada2", steps=4, threshold=threshold, count_calls=True, **LLADA)
    assert distance(law) == close(target)
    assert 4 / law.mean_calls == close(tokens_per_call)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_temperature_zero_is_point_mass(steps):
    law = law_of("llada2", steps=steps, block_length=4, temperature=0.0)
    assert law.tokens.tolist() == [[0, 0, 0, 0]]
    assert distance(law) == close(1 - 0.1715)


@pytest.mark.parametrize("row", [[0, 3, 3, 3], [3, 3, 3, 1], [2, 3, 3, 0], [3, 1, 3, 3]])
def test_prompt_and_infill_condition_law(row):
    """First-hitting gives the exact conditional law; one step gives its marginals' product."""
    observed = torch.tensor(row)
    fits = ((observed == MASK) | (observed == SEQUENCES)).all(-1)
    target = DATA * fits / (DATA * fits).sum()
    assert distance(law_of("bd3lm", row=row, block_length=4), target) == close(0)
    product_law = fits.double()
    for i in range(4):
        marginal = torch.stack([target[SEQUENCES[:, i] == v].sum() for v in range(3)])
        product_law = product_law * marginal[SEQUENCES[:, i]]
    assert distance(law_of("mdlm", row=row, steps=1), product_law) == close(0)
    hybrid = [
        law_of("hybrid", chain(corruption="hybrid", posterior=posterior), row, steps=4)
        for posterior in ("full", "loo")
    ]
    assert all((law.tokens == observed)[:, observed != MASK].all() for law in hybrid)
    assert distance(hybrid[0], hybrid[1].of(SEQUENCES)) == close(0)
    assert distance(hybrid[0], target) < 0.11


def test_eos_keeps_law_of_text_before_it():
    """With token 2 as EOS, output up to it has the chain's law, whatever is left unfilled."""
    law = law_of("bd3lm", chain(eos_id=2), block_length=4, count_calls=True)

    def cut(row):
        return tuple(row[: row.index(2) + 1] if 2 in row else row)

    target, result = {}, {}
    for row, p in zip(SEQUENCES.tolist(), DATA.tolist(), strict=True):
        target[cut(row)] = target.get(cut(row), 0) + p
    for row, p in zip(law.tokens.tolist(), law.probability.tolist(), strict=True):
        result[cut(row)] = result.get(cut(row), 0) + p
    assert result.keys() == target.keys()
    assert all(result[text] == close(target[text]) for text in target)
    assert law.mean_calls < 4


@pytest.mark.parametrize(
    ("name", "values"),
    [("mdlm", {"steps": 4}), ("bd3lm", {"block_length": 2}), ("llada2", {"steps": 4, **LLADA})],
)
def test_real_noise_follows_exact_law(name, values):
    """20,000 rows drawn with the real noise: chi-square within 4 sigma of its 80 degrees."""
    rows, sampler, model = 20_000, samplers.get(name), chain()
    canvas = canvas_of(sampler, model, BLANK, rows, values.get("block_length"))
    denoise = model.open(canvas, values.get("block_length"))
    *_, last = sampler(denoise, canvas, Noise(7, range(rows)), **values)
    place = (last.tokens * torch.tensor([27, 9, 3, 1])).sum(-1)
    count = place.bincount(minlength=81).double()
    target = law_of(name, **values).of(SEQUENCES) * rows
    common = target >= 5
    count = torch.cat([count[common], count[~common].sum()[None]])
    target = torch.cat([target[common], target[~common].sum()[None]])
    size = len(target) - 1
    assert float(((count - target) ** 2 / target.clamp(min=1)).sum()) < size + 4 * (2 * size) ** 0.5
