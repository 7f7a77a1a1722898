"""What stands at a position given all but its token: exact models, and copies that no one sees."""

from copy import deepcopy
from itertools import product

import pytest
import torch

import lab
import samplers
from lab.models.attention import with_shadow
from lab.models.model import Opened
from samplers.canvas import Canvas
from tests.kit import published, tiny
from tests.kit.chain import DATA, MASK, SEQUENCES, chain, posterior

LAYERS = {
    "bert": lambda network: (network.base_model.encoder, "layer"),
    "distilbert": lambda network: (network.base_model.transformer, "layer"),
    "modernbert": lambda network: (network.base_model, "layers"),
    "llada": lambda network: (network.model, "layers"),
    "qwen3-mdlm": lambda network: (network.model, "layers"),
}


def opened(model, tokens, visible=None):
    visible = torch.ones_like(tokens, dtype=torch.bool) if visible is None else visible
    return model.open(Canvas(tokens, visible, visible, model.card.mask_id))


@pytest.mark.parametrize("make", ["oracle", "table"])
def test_exact_models_leave_one_out(make):
    canvases = torch.tensor(list(product(range(4), repeat=4)))
    model = chain() if make == "oracle" else lab.table(SEQUENCES, DATA)
    logits = opened(model, canvases)(canvases, window=slice(1, 4), leave_one_out=True)
    for canvas, answer in zip(canvases, logits, strict=True):
        for i in (1, 2, 3):
            others = torch.tensor([j for j in range(4) if j != i])
            seen = canvas[others]
            fits = ((seen == MASK) | (seen == SEQUENCES[:, others])).all(-1)
            expected = posterior(DATA * fits, 4)[i]
            assert torch.allclose(answer[i - 1, :3].exp().double(), expected, atol=1e-6)


def one_layer(kind):
    model = published.load(kind)
    model.network = deepcopy(model.network)
    place, name = LAYERS[kind](model.network)
    setattr(place, name, getattr(place, name)[:1])
    return model


@pytest.mark.parametrize("kind", LAYERS)
def test_copy_answers_as_mask_in_its_place(kind):
    """Of one layer, exactly: two rows of unequal length, some columns masked already."""
    model, mask = one_layer(kind), published.load(kind).card.mask_id
    ids = tiny.prompts([14, 11])
    tokens = torch.tensor([ids[0], [77] * 3 + ids[1]])
    tokens[:, 8] = mask
    visible = torch.ones_like(tokens, dtype=torch.bool)
    visible[1, :3] = False
    run, window = opened(model, tokens, visible), slice(6, 12)
    together = run(tokens, window=window, leave_one_out=True)
    assert run.columns_fed.tolist() == [14 + 6, 11 + 6]
    for column in range(6, 12):
        alone = tokens.clone()
        alone[:, column] = mask
        expected = run(alone, window=slice(column, column + 1))[:, 0]
        torch.testing.assert_close(together[:, column - 6], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
def test_copies_of_masks_answer_as_masks_do(kind):
    """At any depth, and nobody sees them: what is masked is answered for as without copies."""
    model = published.load(kind)
    tokens = torch.tensor(tiny.prompts([14]))
    tokens[:, 5:9] = model.card.mask_id
    run = opened(model, tokens)
    plain = run(tokens, window=slice(5, 9))
    torch.testing.assert_close(run(tokens, window=slice(5, 9), leave_one_out=True), plain)


def test_shadow_is_seen_by_itself_alone():
    mask = with_shadow(torch.ones(1, 1, 3, 3, dtype=torch.bool), slice(1, 3))
    assert mask[0, 0].int().tolist() == [
        [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 0, 0, 1],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["dream", "sdar-b8", "mdlm", "diffusion-gemma"])
def test_model_that_cannot_is_refused_before_work(kind):
    model = published.load(kind)
    assert not model.card.leave_one_out and samplers.get("wino").misfit(model.card)
    tokens = torch.tensor(tiny.prompts([8]))
    with pytest.raises(ValueError, match="cannot leave a token out; choose"):
        Opened(model, opened(model, tokens).canvas)(tokens, window=slice(0, 8), leave_one_out=True)


def test_wrapped_callable_needs_another_one():
    def flat(ids):
        return torch.zeros(*ids.shape, 5)

    card = tiny.card(5, attention="full")
    with pytest.raises(
        ValueError, match="needs answers that leave a token out, this model gives none; choose"
    ):
        lab.run("wino", lab.wrap(flat, card), [[1]], gen_length=2)
    model = lab.wrap(flat, card, leave_one_out=flat)
    assert model.card.leave_one_out and lab.run("wino", model, [[1]], gen_length=2)
    with pytest.raises(ValueError, match="needs a callable as leave_one_out, got int"):
        lab.wrap(flat, card, leave_one_out=3)


def test_checkpoint_cannot_claim_it(tmp_path):
    folder = tiny.write(tmp_path / "block", "block-absorbing", leave_one_out=True)
    assert not lab.load(str(folder)).card.leave_one_out
    full = tiny.write(tmp_path / "full", "full-absorbing", leave_one_out=False)
    assert lab.load(str(full)).card.leave_one_out
