"""DiffusionGemma on a tiny model of its own class: what is read, what is seen, what is refused."""

import pytest
import torch

import lab
from lab.models.model import Opened
from samplers.canvas import Canvas
from tests.kit import published, tiny
from tests.kit.laws import record


def close(left, right):
    torch.testing.assert_close(left, right, atol=2e-5, rtol=1e-4)


def network():
    return published.load(published.GEMMA)


def canvas_of(ids, first):
    tokens = torch.tensor(ids)
    writable = (torch.arange(tokens.shape[1]) >= first).expand(tokens.shape)
    return Canvas(tokens, writable, torch.ones_like(writable), None, (3,))


def theirs(model, read, canvas):
    """The class's own forward: encoder and decoder in one call."""
    with torch.no_grad():
        out = model.network(
            input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([canvas]),
            decoder_position_ids=torch.arange(len(canvas))[None] + len(read),
        )  # fmt: skip
    return out.logits.index_fill(-1, torch.tensor([1, 280]), -torch.inf)


@pytest.mark.parametrize("caches", [True, False])
def test_encoder_reads_what_is_left_of_canvas_and_decoder_all(caches):
    model, ids = network(), tiny.prompts([30])[0]
    for first in (1, 5, 20):
        opened = Opened(model, canvas_of([ids], first), caches=caches)
        for _ in range(2):
            ours = opened(torch.tensor([ids]), window=slice(first, 30))
            close(ours, theirs(model, ids[:first], ids[first:]))
        other = [*ids[:-1], 99]
        ours = opened(torch.tensor([other]), window=slice(first, 30))
        close(ours, theirs(model, other[:first], other[first:]))
        assert (ours - theirs(model, ids[:first], ids[first:])).nan_to_num().abs().max() > 1e-3


def test_without_prompt_start_token_is_read():
    model, ids = network(), tiny.prompts([9])[0]
    close(model.denoise(torch.tensor([ids])), theirs(model, [2], ids))


def test_prompt_is_read_once_run():
    model, read = network(), []
    plain = model.network.model.encoder.forward
    try:
        model.network.model.encoder.forward = lambda **inputs: (
            read.append(inputs["input_ids"].shape) or plain(**inputs)
        )
        (one, two) = lab.run("uniform", model, ["One day the dog", "a"], gen_length=6, steps=4)
    finally:
        del model.network.model.encoder.forward
    assert len(read) == 2 and one.calls[-1] == two.calls[-1] == 4


def test_images_and_pads_are_never_said_and_noise_is_every_id():
    model = network()
    assert model.card.mask_id is None and model.card.noise_ids is None
    assert (model.card.corruption, model.card.attention) == ("uniform", "full")
    assert model.card.vocab_size == model.network.config.text_config.vocab_size
    logits = model.denoise(torch.tensor(tiny.prompts([6])))
    assert (logits == -torch.inf).all(1)[0].nonzero().flatten().tolist() == [1, 280]


def test_more_than_canvas_is_refused_before_any_call(monkeypatch):
    model = network()
    assert len(record("uniform", model, "a", gen_length=24, steps=1).frames) == 3
    monkeypatch.setattr(model, "forward", lambda *inputs: pytest.fail("a call was made"))
    with pytest.raises(ValueError, match=r"canvases of at most 24 tokens, got 25; lower gen_"):
        lab.run("uniform", model, "a", gen_length=25, steps=1)
