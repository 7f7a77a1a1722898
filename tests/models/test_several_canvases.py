"""Several canvases of a row in one pass: each is answered as it is alone, and each is a call."""

import pytest
import torch

import lab
from lab.run.probe import Probe
from samplers.canvas import Canvas
from tests.kit import published, tiny
from tests.kit.chain import MASK, chain
from tests.kit.golden import V, answer

MODELS = {
    "chain": lambda: chain(length=8),
    "uniform": lambda: chain(length=8, corruption="uniform"),
    "wrapped": lambda: lab.wrap(answer, tiny.card(V, attention="full")),
    "qwen3": lambda: tiny.networks()["full-absorbing"],
    "bert": lambda: published.load("bert"),
    "dream": lambda: published.load("dream"),
    "mdlm": lambda: published.load("mdlm-timed"),
    "gemma": lambda: published.load(published.GEMMA),
}


def opened(model):
    size = MASK if model.card.vocab_size == MASK + 1 else 13 if model.card.vocab_size == V else 200
    draw = torch.randint(size // 3, size, (3, 2, 8), generator=torch.Generator().manual_seed(3))
    visible = torch.ones(2, 8, dtype=torch.bool)
    visible[0, :2] = False
    writable = visible & (torch.arange(8) >= 3)
    if (mask := model.card.mask_id) is not None:
        draw = draw.masked_fill(writable & (draw % 3 == 1), mask)
    canvas = Canvas(draw[0], writable, visible, mask)
    return model.open(canvas), torch.where(writable, draw, draw[0])


@pytest.mark.parametrize("active", [[[1, 1], [0, 1], [1, 0]], [[1, 0], [0, 0], [1, 0]]], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_canvas_among_several_is_answered_as_alone(name, active):
    model = MODELS[name]()
    run, canvases = opened(model)
    rows = torch.tensor(active).bool()
    t = torch.tensor([0.3, 0.8])
    logits = run.each(canvases, window=slice(3, 7), rows=rows, t=t)
    alone = model.open(run.canvas)
    for copy, own in enumerate(rows):
        expected = alone(canvases[copy], window=slice(3, 7), rows=own, t=t)
        torch.testing.assert_close(logits[copy], expected, atol=2e-5, rtol=1e-4)
    assert run.callers.tolist() == rows.sum(0).tolist()
    if name not in ("wrapped", "gemma"):  # all rows of each pass; what one pass read before
        assert run.columns_fed.tolist() == alone.columns_fed.tolist()


def test_probe_counts_all_and_looks_at_first():
    run, canvases = opened(MODELS["qwen3"]())
    probe = Probe(run, 2)
    for active, calls in (([[1, 1], [0, 1], [0, 1]], [1, 3]), ([[0, 1], [1, 1], [0, 1]], [2, 6])):
        rows = torch.tensor(active).bool()
        logits = probe.each(canvases, window=slice(3, 7), rows=rows)
        assert probe.calls.tolist() == calls
        assert probe.answered.all() and torch.equal(probe.answer.logits[1], logits[0, 1])
    assert probe.answer.logits[0].any(), "a row whose first canvas nobody asked about keeps its own"


@pytest.mark.parametrize("kind", ["causal-absorbing", "block-absorbing"])
def test_model_with_cache_of_prefix_is_refused(kind):
    model = tiny.networks()[kind]
    run, canvases = opened(model)
    with pytest.raises(ValueError, match=r"need full attention, .* one at a time"):
        run.each(canvases, window=slice(3, 7), rows=torch.ones(3, 2, dtype=torch.bool))
