"""Checkpoints by hub id, against a local fake of the hub: pinned, sized, refused before work."""

import pytest
import torch

import lab
from lab.models.hub import download
from lab.models.load import _OPEN
from lab.models.transformers import families
from tests.kit import fake_hub, published, tiny
from tests.kit.fake_hub import COMMIT, refused


def test_id_is_fetched_opened_and_run_and_its_commit_kept(bert, capfd):
    seen = []
    model = lab.load("google-bert/bert-base-uncased", progress=lambda *now: seen.append(now))
    assert model.card.name == "google-bert/bert-base-uncased" and model.card.revision == COMMIT
    (run,) = lab.run("max_prob", model, "Once upon", gen_length=5)
    assert run.card["revision"] == COMMIT and len(run.output) <= 5
    total = seen[-1][1]
    sizes = {name: len(data) for name, data in bert.repositories[model.card.name].items()}
    assert total == sum(sizes.values()) and seen[0] == (0, total) and seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(bert.fetched("model.safetensors")) == 1
    seen.clear()
    _OPEN.clear()
    lab.load("google-bert/bert-base-uncased", progress=lambda *now: seen.append(now))
    assert (0, total) == seen[0] and seen[-1] == (total, total), "the cache's files count as done"
    assert len(bert.fetched("model.safetensors")) == 1, "what the cache holds is not fetched again"
    out, error = capfd.readouterr()
    assert not out and "%" not in error, "a load shows no bar of its own"


def test_id_stays_open_from_run_to_run(bert, monkeypatch):
    name = "google-bert/bert-base-uncased"
    runs = [lab.run("max_prob", name, "Once upon", gen_length=5, seed=1)[0] for _ in range(2)]
    assert runs[0].same_tokens(runs[1]) and len(bert.fetched("model.safetensors")) == 1
    count = len(bert.requests)
    model = lab.load(name)
    assert lab.load(name) is model and len(bert.requests) == count, "the hub was asked once"
    assert lab.load(name, COMMIT) is not model, "another question, another answer"
    monkeypatch.setenv("SPACE_ID", "owner/space")
    refused(r"a revision must be a commit of 40 hexadecimal digits", name)


def test_what_is_open_makes_room_for_what_is_asked_for(bert, monkeypatch):
    name, free = "google-bert/bert-base-uncased", iter([0, 10**12])
    lab.load(name)
    monkeypatch.setattr(download, "free_memory", lambda: next(free))
    assert lab.load(name, COMMIT).card.revision == COMMIT and len(_OPEN) == 1
    _OPEN.clear()
    monkeypatch.setattr(download, "free_memory", lambda: 0)
    refused(r"of memory, 0\.00 MB are free", name)


def test_file_that_is_no_part_of_model_is_left_there(server, tmp_path):
    folder = published.write(tmp_path / "network", "distilbert")
    for name in ("pytorch_model.bin", "training_args.bin", "modeling_x.py", "notes.md"):
        (folder / name).write_bytes(b"x" * 9)
    server.add("some/model", folder)
    assert lab.load("some/model").card.revision == COMMIT
    assert not [a for a in server.requests if a.endswith((".bin", ".py", ".md"))]


def test_network_of_this_lab_is_opened_as_its_lab_json_says(server, tmp_path):
    server.add("me/mine", tiny.write(tmp_path / "network", "block-absorbing"))
    model = lab.load("me/mine", "main")
    assert model.card.attention == "block_causal" and model.card.name == "me/mine"
    assert lab.run("llada2", model, "One day", gen_length=8, block_length=4)[0].output


def test_autoregressive_network_comes_in_by_its_id(server, tmp_path):
    server.add("Qwen/Qwen3-0.6B", published.write(tmp_path / "network", "qwen3"))
    model = lab.load("Qwen/Qwen3-0.6B")
    assert model.card.attention == "causal"
    assert lab.run("autoregressive", model, "One day", gen_length=6)[0].output


PAIR = "z-lab/Qwen3-4B-DFlash-b16"


def test_draft_model_id_opens_it_with_network_that_it_drafts_for(server, tmp_path):
    target = published.write(tmp_path / "target", "qwen3", spare=7)
    draft_model = published.write_draft_model(tmp_path / "draft_model", target)
    server.add("Qwen/Qwen3-4B", target)
    server.add(PAIR, draft_model)
    offer = download.look_up(PAIR)
    sizes = [file.stat().st_size for folder in (target, draft_model) for file in folder.iterdir()]
    assert offer.download == sum(sizes) and offer.memory > offer.target.memory > 0
    seen = []
    model = lab.load(PAIR, progress=lambda *now: seen.append(now))
    assert seen[0] == (0, sum(sizes)) and seen[-1] == (sum(sizes), sum(sizes))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    card = model.card
    assert (card.name, card.revision, card.draft_length) == (PAIR, COMMIT, 4)
    assert model.banned_ids == tuple(range(len(model.tokenizer), len(model.tokenizer) + 7))
    (run,) = lab.run("dflash", model, "One day", gen_length=8, temperature=0.0)
    (alone,) = lab.run(
        "autoregressive", lab.load("Qwen/Qwen3-4B"), "One day", gen_length=8, temperature=0.0
    )
    assert run.output == alone.output and run.output, "a draft model changes no word"
    half = lab.load(PAIR, dtype="bfloat16")
    assert half.network.dtype == half.draft_model.dtype == torch.bfloat16
    assert lab.run("dflash", half, "One day", gen_length=8)[0].output


def test_hub_draft_model_without_target_is_refused_before_fetch(server, tmp_path):
    target = published.write(tmp_path / "target", "qwen3")
    draft_model = published.write_draft_model(tmp_path / "draft_model", target)
    server.add(PAIR, draft_model)
    refused(r"there is no Qwen/Qwen3-4B on the hub", PAIR)
    server.add("some/draft", draft_model)
    refused(r"some/draft cannot be opened alone: .*give one of z-lab/Qwen3-4B", "some/draft")
    assert not server.fetched(".safetensors")
    published.change(draft_model, dflash_config={"mask_token_id": 0, "target_layer_ids": [0, 7]})
    server.add("Qwen/Qwen3-8B", target)
    server.add("z-lab/Qwen3-8B-DFlash-b16", draft_model)
    refused(r"was made for another target than Qwen/Qwen3-8B", "z-lab/Qwen3-8B-DFlash-b16")


def test_dit_takes_tokenizer_that_its_family_names(server, tmp_path, monkeypatch):
    folder = published.write(tmp_path / "network", "mdlm")
    words = tmp_path / "words"
    words.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).rename(words / name)
    name, commit = families.GPT2
    assert len(commit) == 40
    monkeypatch.setattr(fake_hub, "COMMIT", commit)
    server.add(name, words)
    server.add("kuleshov-group/mdlm-owt", folder)
    model = lab.load("kuleshov-group/mdlm-owt")
    assert model.tokenizer is not None and lab.run("mdlm", model, gen_length=4, steps=4)[0].output


class Stopped(Exception):
    """What a page raises when its visitor presses Stop."""


def test_download_is_stopped_by_its_progress(bert):
    def stop(done, total):
        if done:
            raise Stopped

    with pytest.raises(Stopped):
        lab.load("google-bert/bert-base-uncased", progress=stop)
    assert not bert.fetched("model.safetensors")
    assert lab.load("google-bert/bert-base-uncased").card.revision == COMMIT


def test_what_it_is_and_costs_is_known_before_any_weights_move(bert):
    offer = download.look_up("google-bert/bert-base-uncased")
    files = bert.repositories[offer.name]
    assert offer.revision == COMMIT and offer.family.name == "Masked language models"
    assert offer.download == sum(len(data) for data in files.values())
    assert offer.memory == pytest.approx(len(files["model.safetensors"]) * download.SPARE, rel=0.2)
    assert offer.free > 1e8
    half = download.look_up(offer.name, dtype="bfloat16")
    assert half.memory == pytest.approx(offer.memory / 2, rel=0.01)
    assert not bert.fetched(".safetensors")


def test_what_does_not_fit_is_refused_with_numbers(bert, monkeypatch):
    name = "google-bert/bert-base-uncased"
    bert.facts[name] = {"safetensors": {"parameters": {"BF16": 8_000_000_000},
                                        "total": 8_000_000_000}}  # fmt: skip
    monkeypatch.setattr(download, "free_memory", lambda: 16_000_000_000)
    refused(r"needs about 38\.40 GB of memory, 16\.00 GB are free; .*bfloat16", name)
    refused(r"needs about 19\.20 GB of memory", name, dtype="bfloat16")
    bert.facts[name] = {}
    monkeypatch.setattr(download.shutil, "disk_usage", lambda place: type("Left", (), {"free": 10}))
    refused(r"is a download of \d+\.\d\d MB, 0\.00 MB of disk are free", name)
    assert not bert.fetched(".safetensors")
