"""How likely a written token is right: exact models say it, heads beside checkpoints learned it."""

import json
import shutil
from itertools import product

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

import lab
import samplers
from lab.models.errors import ModelError
from lab.models.model import Opened
from lab.models.transformers.quality_head import QualityHead, read_head, save_head
from lab.run.probe import Probe
from lab.study.cells import fingerprint
from samplers.canvas import Canvas
from tests.kit import tiny
from tests.kit.chain import DATA, MASK, SEQUENCES, chain, posterior

KIND = tiny.HEADED


def opened(model, tokens, visible=None):
    visible = torch.ones_like(tokens, dtype=torch.bool) if visible is None else visible
    return model.open(Canvas(tokens, visible, visible, model.card.mask_id))


@pytest.mark.parametrize("make", ["oracle", "table"])
def test_exact_quality_is_chance_given_all_others(make):
    canvases = torch.tensor(list(product(range(4), repeat=4)))
    model = chain() if make == "oracle" else lab.table(SEQUENCES, DATA)
    run = opened(model, canvases)
    logits, quality = run.with_quality(canvases, window=slice(1, 4))
    torch.testing.assert_close(logits, run(canvases, window=slice(1, 4)))
    for canvas, answer in zip(canvases, quality, strict=True):
        for i in (1, 2, 3):
            others = torch.tensor([j for j in range(4) if j != i])
            seen = canvas[others]
            fits = ((seen == MASK) | (seen == SEQUENCES[:, others])).all(-1)
            known = [*posterior(DATA * fits, 4)[i].tolist(), 0.0]
            assert float(answer[i - 1]) == pytest.approx(known[canvas[i]], abs=1e-6)


def two_rows():
    """Two rows of unequal length, the second behind three pads, some columns masked."""
    ids = tiny.prompts([14, 11])
    tokens = torch.tensor([ids[0], [77] * 3 + ids[1]])
    tokens[:, 8] = tiny.networks()[KIND].card.mask_id
    visible = torch.ones_like(tokens, dtype=torch.bool)
    visible[1, :3] = False
    return tokens, visible


def test_quality_is_what_head_makes_of_hidden_states():
    model, (tokens, visible) = tiny.networks()[KIND], two_rows()
    run, plain = opened(model, tokens, visible), opened(model, tokens, visible)
    logits, quality = run.with_quality(tokens, window=slice(6, 12))
    torch.testing.assert_close(logits, plain(tokens, window=slice(6, 12)))
    assert run.columns_fed.tolist() == plain.columns_fed.tolist() == [14, 11]
    weights = model.head.state_dict()
    for row, first in enumerate((0, 3)):
        with torch.no_grad():
            out = model.network(
                input_ids=tokens[row : row + 1, first:],
                attention_mask=torch.zeros(1, 1, 14 - first, 14 - first),
                output_hidden_states=True, use_cache=False,
            )  # fmt: skip
        for column in range(6, 12):
            parts = [functional.layer_norm(each[0, column - first], each.shape[-1:])
                     for each in out.hidden_states[1:]]  # fmt: skip
            inner = weights["inner.weight"] @ torch.cat(parts) + weights["inner.bias"]
            odds = weights["outer.weight"] @ functional.gelu(inner) + weights["outer.bias"]
            assert float(quality[row, column - 6]) == pytest.approx(float(odds.sigmoid()), abs=1e-5)
    assert quality.std() > 0.05, "a head that says the same of all shows nothing"


def test_call_with_quality_is_one_call_of_rows_that_want_it():
    tokens, visible = two_rows()
    card = tiny.card(9, attention="full")
    wrapped = lab.wrap(tiny.constant(1, 9), card, quality=tiny.judgement)
    for model, ids in ((tiny.networks()[KIND], tokens), (wrapped, tokens % 9)):
        run = opened(model, ids, visible)
        probe, rows = Probe(run, 2), torch.tensor([False, True])
        logits, quality = probe.with_quality(run.canvas.tokens, window=slice(6, 12), rows=rows)
        assert probe.calls.tolist() == [0, 1] and probe.answered.tolist() == [False, True]
        assert not quality[0].any() and quality[1].all() and quality.dtype == torch.float64
        assert not logits[0].any() and torch.equal(probe.answer.logits, logits)
        nobody = run.with_quality(run.canvas.tokens, window=slice(6, 12), rows=rows & False)
        assert not nobody[0].any() and nobody[1].shape == (2, 6) and not nobody[1].any()


def test_model_without_head_is_refused_before_work(tmp_path):
    folder = tiny.write(tmp_path / "full", "full-absorbing", quality_head=True)
    model = lab.load(str(folder))
    assert not model.card.quality_head, "a folder cannot claim it"
    assert "prism needs a quality head" in samplers.get("prism").misfit(model.card)
    with pytest.raises(ValueError, match=r"has none; choose .* --objective quality_head"):
        lab.run("prism", model, "Once", gen_length=4)
    tokens = torch.tensor(tiny.prompts([8]))
    with pytest.raises(ValueError, match="has no quality head; choose a model that has one"):
        Opened(model, opened(model, tokens).canvas).with_quality(tokens, window=slice(0, 8))


def test_wrapped_callable_needs_quality_of_its_own():
    card = tiny.card(9, attention="full")
    answer = tiny.constant(1, 9)
    assert not lab.wrap(answer, card).card.quality_head
    model = lab.wrap(answer, card, quality=tiny.judgement)
    assert model.card.quality_head and lab.run("prism", model, [[1]], gen_length=2)
    with pytest.raises(ValueError, match="needs a callable as quality, got int"):
        lab.wrap(answer, card, quality=3)
    broken = lab.wrap(answer, card, quality=lambda ids: ids.sum(-1))
    with pytest.raises(ValueError, match=r"must be numbers of shape \[1, 3\] \(rows, columns\)"):
        lab.run("prism", broken, [[1]], gen_length=2)


@pytest.fixture
def head(tmp_path):
    """The folder of a head, its model beside it."""
    target = tiny.write(tmp_path / "model", KIND)
    return tiny.write_head(tmp_path / "head", target, name="judged")


def test_head_is_written_and_read_back(head):
    model = lab.load(str(head))
    assert model.card.quality_head and model.card.name == "judged"
    again = read_head(head)
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.head.state_dict()[name]) and value.dtype == torch.float32
    plain = lab.load(str(head.parent / "model"))
    for name, values in (("llada", {}), ("wino", {}), ("pc", {}), ("first_hitting", {})):
        one, other = (lab.run(name, each, "Once", gen_length=6, **values)[0]
                      for each in (model, plain))  # fmt: skip
        assert one.tokens.tolist() == other.tokens.tolist()
    (run,) = lab.run("prism", model, "Once", gen_length=20, block_length=20, steps=10)
    assert run.remasks.any()


def test_head_leaves_fingerprint_of_its_model(head, tmp_path):
    alone = tiny.write(tmp_path / "alone" / "model", KIND)
    before = fingerprint(str(head.parent / "model"))
    assert before == fingerprint(str(alone)) != fingerprint(str(head))


@pytest.mark.parametrize("fact", ["attention", "vocab_size", "mask_id", "context", "draft_length"])
def test_lab_json_of_head_changes_its_name_alone(head, fact):
    facts = json.loads((head / "lab.json").read_text())
    value = "causal" if fact == "attention" else 3
    (head / "lab.json").write_text(json.dumps({**facts, fact: value}))
    card = lab.load(str(head)).card
    assert getattr(card, fact) == getattr(lab.load(str(head.parent / "model")).card, fact)


@pytest.mark.parametrize("size", ["layers", "hidden_size", "width"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None, True, [8], 10**30, 1 << 20])
def test_absurd_size_of_head_is_refused(head, size, value):
    config = json.loads((head / "config.json").read_text())
    (head / "config.json").write_text(json.dumps({**config, size: value}))
    with pytest.raises(ModelError, match=rf"{size}( in config.json of head must be| \d+)"):
        lab.load(str(head))


def test_weights_that_are_no_head_are_refused(head):
    weights = load_file(head / "model.safetensors")
    for changed in (
        {**weights, "more": torch.zeros(2)},
        {name: value for name, value in weights.items() if name != "outer.bias"},
        {**weights, "outer.weight": torch.zeros(1, 9)},
    ):
        save_file(changed, head / "model.safetensors")
        with pytest.raises(ModelError, match="weights in head do not fit a quality head of lay"):
            lab.load(str(head))
    (head / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ModelError, match=r"model\.safetensors .*fetch it again"):
        lab.load(str(head))
    (head / "model.safetensors").rename(head / "head.bin")
    with pytest.raises(ModelError, match="no safetensors weights in head: pickled weights"):
        lab.load(str(head))


def test_head_of_another_model_is_refused(head, tmp_path):
    save_head(head, QualityHead(3, 32, 8))
    with pytest.raises(ModelError, match=r"trained for another model than .*: it reads 3 layers"):
        lab.load(str(head))
    shutil.rmtree(head)
    for kind in ("causal-absorbing", "block-absorbing", "full-hybrid"):
        target = tiny.write(tmp_path / kind, kind)
        other = tiny.write_head(tmp_path / f"head of {kind}", target)
        with pytest.raises(ModelError, match="needs a model of full attention and absorbing"):
            lab.load(str(other))
    (other / "lab.json").write_text('{"target": "gone"}')
    with pytest.raises(ModelError, match="goes with gone, which is not beside it; put that model"):
        lab.load(str(other))
