"""What a published folder must hold, and that its class looks where its card says (P8)."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import lab
from lab.models import attention
from lab.models.self_test import check_attention
from lab.models.transformers import checkpoint
from lab.run.prompts import encode
from tests.kit import published, tiny
from tests.models.test_families import banned, close, manual


def test_draft_model_is_not_opened_alone(tmp_path):
    folder = published.write(tmp_path / "network", "qwen3")
    published.change(folder, architectures=["DFlashDraftModel"])
    with pytest.raises(
        ValueError, match=r"network cannot be opened alone: .* its target, or give one"
    ):
        lab.load(str(folder))


CUSTOM = {"auto_map": {"AutoTokenizer": ["tokenization_theirs.Theirs", None]},
          "tokenizer_class": "Theirs", "bos_token": "<|bos|>", "eos_token": "<|eos|>",
          "mask_token": "<|mask|>", "pad_token": "<|pad|>"}  # fmt: skip


@pytest.mark.parametrize("kind", ["dream", "sdar-b8"])
def test_tokenizer_of_remote_code_is_read_without_it(kind, tmp_path):
    """Dream brings vocab.json and merges.txt, SDAR a whole tokenizer.json; both name a class."""
    folder = published.write(tmp_path / kind, kind)
    published.change(folder, auto_map=None)  # here the tokenizer alone names code
    whole = json.loads((folder / "tokenizer.json").read_text())
    settings = dict(CUSTOM)
    if kind == "dream":
        added = {t.pop("id"): t for t in whole["added_tokens"]}
        settings["added_tokens_decoder"] = {str(token): facts for token, facts in added.items()}
        merges = [" ".join(pair) for pair in whole["model"]["merges"]]
        (folder / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
        (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model, known = lab.load(str(folder)), published.load(kind)
    for text in ("Once upon a time <|mask|>", "One day the dog"):
        assert encode(model, text) == encode(known, text)
    assert model.card.mask_id == 0 and model.card.eos_ids == (3,)
    assert model.tokenizer.decode(encode(model, "a big red ball")) == "a big red ball"


@pytest.mark.parametrize("kind", ["bert", "modernbert", "dream", "sdar-b8"])
def test_half_precision_answers_nearly_same(kind, tmp_path):
    folder = str(published.write(tmp_path / kind, kind))
    model = lab.load(folder, dtype="bfloat16")
    assert model.network.dtype == torch.bfloat16
    ids = torch.tensor(tiny.prompts([16]))
    ours, whole = (m.denoise(ids).softmax(-1) for m in (model, lab.load(folder)))
    assert ours.dtype == torch.float32
    assert 0 < (ours - whole).abs().sum(-1).mean() < 0.5, "1.9 were two unrelated models"


def test_weights_that_lack_tensor_are_refused(tmp_path):
    folder = published.write(tmp_path / "network", "dream")
    file = folder / "model.safetensors"
    state = load_file(file)
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"do not fit Qwen2ForCausalLM: 1 tensors are missing"):
        lab.load(str(folder))


def test_layers_of_another_attention_are_refused(tmp_path):
    folder = published.write(tmp_path / "network", "qwen3-mdlm")
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    published.change(folder, layer_types=kinds, use_sliding_window=True, sliding_window=4)
    with pytest.raises(ValueError, match=r"layers of full_attention and sliding_attention"):
        lab.load(str(folder))


def test_folder_without_tokenizer_or_config_is_refused(tmp_path):
    folder = published.write(tmp_path / "network", "bert")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"network has no tokenizer; put its files"):
        lab.load(str(folder))


@pytest.mark.parametrize("order", ["full", "block_causal", "causal"])
def test_stock_class_looks_where_its_card_says(order):
    """Its mask is built from the card, so a stock model may stand under any of the three."""
    check_attention(
        tiny.changed(tiny.networks()["full-absorbing"], attention=order, block_lengths=(4,))
    )


@pytest.mark.parametrize(
    ("card", "mask", "reason"),
    [
        ("causal", "full", "attends to what comes later"),
        ("block_causal", "full", "attends to what comes later"),
        ("full", "causal", "does not attend to the right"),
        ("block_causal", "causal", "does not attend to the right within a block"),
    ],
)
def test_class_that_looks_elsewhere_is_found_out(card, mask, reason, monkeypatch):
    model = tiny.changed(tiny.networks()["full-absorbing"], attention=card, block_lengths=(4,))
    honest = attention.allowed
    monkeypatch.setattr(
        checkpoint,
        "allowed",
        lambda seen, order, block, queries, keys: honest(seen, mask, block, queries, keys),
    )
    with pytest.raises(ValueError, match=rf"{reason}, but its attention is {card}"):
        check_attention(model)


def test_class_that_looks_at_pads_is_found_out(monkeypatch):
    model, honest = tiny.networks()["full-absorbing"], attention.allowed
    monkeypatch.setattr(
        checkpoint,
        "allowed",
        lambda seen, *others: honest(torch.ones_like(seen), *others),
    )
    with pytest.raises(ValueError, match=r"attends to padding"):
        check_attention(model)


def test_broken_weights_are_found_out(tmp_path):
    folder = published.write(tmp_path / "network", "bert")
    file = folder / "model.safetensors"
    state = load_file(file)
    state["cls.predictions.bias"] = torch.full_like(state["cls.predictions.bias"], torch.nan)
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"numbers that are not finite"):
        lab.load(str(folder))


REMOTE = """
import transformers


class Config(transformers.Qwen3Config):
    model_type = "lladamoe"


class Model(transformers.Qwen3ForCausalLM):
    config_class = Config
"""


def test_remote_code_runs_when_it_is_switched_on_and_only_then(tmp_path, monkeypatch):
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = published.write(tmp_path / "LLaDA-MoE-tiny", "qwen3")
    (folder / "remote_net.py").write_text(REMOTE)
    published.change(
        folder, model_type="lladamoe", architectures=["LLaDAMoEModelLM"],
        auto_map={"AutoConfig": "remote_net.Config", "AutoModelForCausalLM": "remote_net.Model"},
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"runs only with the Python code that comes with"):
        lab.load(str(folder))
    switch = json.loads("true")
    monkeypatch.setenv("SPACE_ID", "owner/space")
    with pytest.raises(ValueError, match=r"on this public page no code beside weights is run"):
        lab.load(str(folder), trust_remote_code=switch)
    monkeypatch.delenv("SPACE_ID")
    model = lab.load(str(folder), trust_remote_code=switch)
    assert type(model.function.network).__name__ == "Model" and model.card.attention == "full"
    ids = tiny.prompts([64])[0]
    expected = banned(model, manual(model.function.network, ids))
    close(model.denoise(torch.tensor([ids])), expected)
    (run,) = lab.run("llada", model, "One day", gen_length=6, steps=4)
    assert run.output


def test_published_word_tokenizer_reads_as_its_own_class_does(tmp_path):
    """One word a token and no normalizer, as protein models have it: nothing of ours is needed."""
    folder = published.write(tmp_path / "proteins", "bert")
    words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3, "A": 4, "B": 5}
    backend = Tokenizer(models.WordLevel(words, unk_token="[MASK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    special = {name: token for name, token in published.SPECIAL.items() if token}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    model = lab.load(str(folder))
    assert encode(model, "ABBA") == [4, 5, 5, 4]
