"""What the hub does not have, or what is not to be loaded from it."""

import json

import pytest
from huggingface_hub import constants

import lab
from lab.models.hub import download
from lab.models.transformers import families
from tests.kit import published
from tests.kit.fake_hub import COMMIT, refused


def test_id_or_revision_that_is_not_there(bert):
    refused(r"there is no google-bert/none on the hub .* check owner and name", "google-bert/none")
    name = "google-bert/bert-base-uncased"
    refused(r"has no revision 'v9'; give a commit, branch or tag", name, "v9")
    refused(r"has no revision 'ffff", name, "f" * 40)
    refused(r"revision must be a commit, a branch or a tag, got ''", name, "")
    refused(r"dtype must be one of float32, .*got 'int3'", name, dtype="int3")
    bert.gated.add(name)
    refused(r"is gated: accept its terms on the hub and log in", name)


@pytest.mark.parametrize(
    "name", ["owner", "a/b/c", "/etc/passwd", "a/../b", "a b/c", "../no/such", "a/..", "a/b..c"]
)
def test_what_has_not_form_of_id_is_never_asked_for(server, name):
    refused(r"no model .*or its id on the hub, owner/name", name)
    assert not server.requests


def test_no_network(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    refused(r"the hub cannot be reached, so some/model cannot be fetched; check", "some/model")
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(r"the hub cannot be reached", "some/model")


def test_network_that_breaks_between_size_and_weights(bert):
    name = "google-bert/bert-base-uncased"
    offer = download.look_up(name)
    del bert.repositories[name]["model.safetensors"]
    with pytest.raises(ValueError, match=r"could not be fetched"):
        download.fetch(offer)


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.ckpt", "model.pt"])
def test_pickled_weights_are_never_fetched(server, tmp_path, weights):
    folder = published.write(tmp_path / "network", "bert")
    (folder / "model.safetensors").rename(folder / weights)
    server.add("old/model", folder)
    refused(r"no safetensors weights in old/model: pickled weights .* are not opened", "old/model")
    assert not server.fetched("")


def test_unknown_architecture_names_known_ones(server, tmp_path):
    folder = published.write(tmp_path / "network", "bert")
    published.change(folder, architectures=["T5ForConditionalGeneration"], model_type="t5")
    server.add("old/t5", folder)
    refused(r"the architecture 'T5ForC.*it supports dLLM .*LLaDA.*Dream.*lab\.wrap", "old/t5")
    assert not server.fetched(".safetensors")


def test_no_mask_token(server, tmp_path):
    folder = published.write(tmp_path / "network", "bert")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = (folder / "tokenizer.json").read_text()
    text = text.replace("[MASK]", "[HIDE]").replace("<|mask|>", "<|hide|>")
    (folder / "tokenizer.json").write_text(text)
    server.add("old/bert", folder)
    refused(r"old/bert lacks a mask token, which Masked language models needs", "old/bert")


def test_remote_code_is_fetched_only_when_named_and_trusted(server, tmp_path):
    folder = published.write(tmp_path / "network", "qwen3")
    (folder / "modeling_lladamoe.py").write_text("raise SystemExit('it ran')")
    published.change(folder, model_type="lladamoe", architectures=["LLaDAMoEModelLM"])
    server.add("inclusionAI/LLaDA-MoE-7B-A1B-Base", folder)
    refused(r"runs only with the Python code .*trust_remote_code on and a revision",
            "inclusionAI/LLaDA-MoE-7B-A1B-Base")  # fmt: skip
    assert not [a for a in server.requests if a.endswith((".py", ".safetensors"))]
    offer = download.look_up("inclusionAI/LLaDA-MoE-7B-A1B-Base", trust_remote_code=bool(server))
    assert "modeling_lladamoe.py" in offer.files


def test_code_from_third_place_is_refused(server, tmp_path):
    folder = published.write(tmp_path / "network", "qwen3")
    published.change(folder, model_type="lladamoe", architectures=["LLaDAMoEModelLM"],
                     auto_map={"AutoModel": "else/where--modeling.Model"})  # fmt: skip
    server.add("some/lladamoe", folder)
    refused(r"takes its code from another repository \(else/where--modeling\.Model\)",
            "some/lladamoe", trust_remote_code=bool(server))  # fmt: skip


def test_public_space_loads_listed_ids_at_commit_without_code(bert, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    name = "google-bert/bert-base-uncased"
    refused(
        r"on this public page some/model cannot be loaded; it allows .*bert", "some/model", COMMIT
    )
    for revision in (None, "main", COMMIT[:12], COMMIT.upper()):
        refused(r"a revision must be a commit of 40 hexadecimal digits", name, revision)
    refused(r"no code beside weights is run", name, COMMIT, trust_remote_code=bool(bert))
    assert not bert.requests
    assert lab.load(name, COMMIT).card.revision == COMMIT


def test_allowed_ids_need_no_code_and_are_small():
    assert "google-bert/bert-base-uncased" in families.ALLOWED
    for family in families.FAMILIES:
        if set(family.ids) & families.ALLOWED:
            assert family.adapter in ("causal", "masked", "dit")
    assert not [name for name in families.ALLOWED if "7B" in name or "8B" in name]


def test_eight_bits_need_their_package(server, monkeypatch):
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None)
    refused(r"eight_bit needs the package bitsandbytes, which is not installed; install it",
            "some/model", eight_bit=True)  # fmt: skip
    assert not server.requests


@pytest.mark.parametrize("kind", ["LLaDA2.0-mini", "diffusion-gemma"])
def test_eight_bits_that_miss_experts_are_refused(kind, server, tmp_path, monkeypatch):
    server.add(f"some/{kind}", published.write(tmp_path / "network", kind))
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: name)
    refused(rf"eight_bit does not reach the experts of some/{kind}", f"some/{kind}", eight_bit=True)
    assert not server.fetched(".safetensors")


def test_free_memory_heeds_containers_limit(tmp_path, monkeypatch):
    whole = download.free_memory()
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(download, "Path", lambda place: tmp_path)
    assert download.free_memory() == 2_000_000 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert download.free_memory() > 2_000_000


def test_what_ships_asks_no_hub(server):
    assert {lab.load(name).card.name for name in ("capitals", "sudoku4")} == {"capitals", "sudoku4"}
    assert not server.requests
