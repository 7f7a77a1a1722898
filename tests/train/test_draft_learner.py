"""Objective dflash: what a block sees, what its loss weighs, what trains, the files it writes."""

import itertools
import json
import math
import re

import pytest
import torch
from torch.nn import functional

import lab
from lab.record.metrics import metrics
from lab.train import evaluate, main, regenerate
from lab.train.acceptance import acceptance, accuracy_by_place
from lab.train.corpus import read_corpus
from lab.train.draft_learner import GAMMA, Blocks, DraftLearner, build_draft_model, dflash
from lab.train.regenerate import regenerated
from tests.kit import stories, tiny
from tests.kit.stories import STORIES, command

BLOCK = 4


@pytest.fixture
def learner():
    model = tiny.networks()[tiny.DRAFTED]
    draft_model = build_draft_model(
        model.network, model.tokenizer, layers=2, draft_length=BLOCK, seed=3
    )
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in draft_model.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=random))
    return DraftLearner(draft_model, model.network, (model.card.mask_id, model.card.pad_id))


def problem(tokens, *anchors):
    return Blocks(tokens, torch.tensor(anchors), BLOCK, 0)


TOKENS = torch.tensor(tiny.prompts([16, 16]))


@torch.no_grad()
def test_draft_block_sees_its_anchor_and_what_stands_left_of_it(learner):
    base = learner.logits(problem(TOKENS, 5, 9))
    assert base.shape == (2, 2, BLOCK - 1, len(tiny.tokenizer()))
    for column in range(16):
        changed = TOKENS.clone()
        changed[:, column] += 9
        moved = (learner.logits(problem(changed, 5, 9)) - base).nan_to_num(0).abs().amax((0, 2, 3))
        assert ((moved > 1e-4) == torch.tensor([column <= 5, column <= 9])).all(), column
    alone = learner.logits(problem(TOKENS, 9))
    assert torch.allclose(alone[:, 0], base[:, 1], atol=1e-5), "blocks see each other"
    assert (base[..., [0, 1]] == -torch.inf).all()


def test_loss_falls_off_within_block(learner):
    task = problem(TOKENS, 3, 8)
    logits = learner.logits(task)
    total = weights = 0.0
    for row, (place, anchor), k in itertools.product(range(2), enumerate((3, 8)), range(1, BLOCK)):
        weight = math.exp(-(k - 1) / (BLOCK / 2))
        nats = functional.cross_entropy(logits[row, place, k - 1], TOKENS[row, anchor + k])
        total, weights = total + weight * float(nats.detach()), weights + weight
    assert float(learner(task).detach()) == pytest.approx(total / weights, rel=1e-5)
    assert GAMMA == {16: 7, 10: 5, 8: 4}


@pytest.mark.parametrize("block_length", [2, 5, 8])
def test_anchors_are_different_and_leave_room_for_their_block(block_length):
    seen = set()
    for seed in range(60):
        random = torch.Generator().manual_seed(seed)
        blocks = dflash(TOKENS, 0, random, block_length=block_length)
        places = blocks.anchors.tolist()
        assert len(set(places)) == len(places) == -(-16 // block_length)
        seen |= set(places)
    assert seen == set(range(1, 16 - block_length + 1))


def test_draft_model_trains_and_target_stays(learner):
    target = dict(learner.target.named_parameters())
    before = {name: value.clone() for name, value in target.items()}
    names = {name for name, _ in learner.named_parameters()}
    assert names == {f"network.{name}" for name, _ in learner.network.named_parameters()}
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    first = None
    for step in range(40):
        loss = learner(dflash(TOKENS, 0, torch.Generator().manual_seed(step), block_length=BLOCK))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        first = first or float(loss.detach())
    assert float(loss.detach()) < 0.8 * first
    assert all(
        torch.equal(value, before[name]) for name, value in learner.target.named_parameters()
    )
    assert all(value.grad is None for value in learner.target.parameters())


def test_acceptance_is_one_plus_chances_to_get_further():
    model = lab.oracle([0.5, 0.5], [[0.9, 0.1], [0.3, 0.7]], length=65, draft_length=BLOCK)
    rows = torch.zeros(8, 65, dtype=torch.int64)
    sampled = acceptance(model, rows[:, : 1 + 64], 1.0)
    assert len(sampled.at_least) == BLOCK - 1 and sampled.at_least == sorted(sampled.at_least)[::-1]
    assert sampled.length == pytest.approx(1 + sum(sampled.at_least), abs=0.1)  # but for cut blocks
    greedy = acceptance(model, rows, 0.0)
    assert greedy.length > sampled.length


# --- the commands


def drafting(data, work, target, *more):
    flags = command(data, work, "--objective", "dflash", "--draft-length", str(BLOCK), *more)
    flags[flags.index("--out") + 1] = str(target.parent / "draft_model")
    return [*flags, "--init-from", str(target)]


def test_train_resume_load_and_evaluate(data, tmp_path, capsys):
    work = tmp_path / "work"
    assert main(command(data, work, "--objective", "ar", "--steps", "40")) == 0
    target = stories.folder(work)
    weights = (target / "model.safetensors").read_bytes()
    assert main(drafting(data, tmp_path / "whole", target, "--steps", "14")) == 0
    folder = target.parent / "draft_model"
    whole = (folder / "model.safetensors").read_bytes()
    assert (target / "model.safetensors").read_bytes() == weights
    facts = json.loads((folder / "lab.json").read_text())
    assert facts["target"] == "model" and facts["draft_length"] == BLOCK
    model = lab.load(str(folder))
    assert model.card.draft_length == BLOCK == model.draft_model.config.block_size
    runs = [lab.run(name, model, "One day", gen_length=18, seed=1)[0]
            for name in ("dflash", "autoregressive")]  # fmt: skip
    assert runs[0].output == runs[1].output and metrics(runs[0]).acceptance_length >= 1
    state = tmp_path / "whole" / "state"
    saved = [file for file in state.iterdir() if file.suffix == ".safetensors"]
    assert sum(file.stat().st_size for file in saved) < 5 * len(whole), "the target was saved too"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "fills blocks of 4 tokens in one step for the model `model`" in card
    assert "tokens kept per draft" in (tmp_path / "whole" / "samples.txt").read_text()
    (folder / "model.safetensors").write_bytes(b"")
    again = drafting(data, tmp_path / "whole", target, "--steps", "14", "--resume")
    assert main(again) == 0 and (folder / "model.safetensors").read_bytes() == whole

    capsys.readouterr()
    arguments = [str(folder), "--data", str(data), "--length", "24", "--windows", "3", "--card"]
    assert evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "tokens kept per draft, of at most 4" in printed and "| 3 |" in printed
    assert "tokens kept per draft, of at most 4" in (folder / "README.md").read_text("utf-8")
    rows = torch.tensor([model.tokenizer("One day, Tom saw a ball. Tom said").input_ids])
    assert all(0 <= share <= 1 for share in accuracy_by_place(model, rows))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], r"name its folder by --init-from"),
        (["--init-from", "nowhere"], r"must be a folder written by `python -m lab train`, got"),
        (["--draft-length", "1"], r"--draft-length must be at least 2, .* got 1"),
        (["--draft-length", "0"], r"--draft-length must be greater than 0, got 0"),
        (["--draft-length", "16"], r"--lengths must be above --draft-length, 16, got 16"),
    ],
)
def test_what_no_draft_model_could_use_is_refused(data, tmp_path, capsys, more, words):
    flags = command(data, tmp_path / "work", "--objective", "dflash", "--steps", "3", *more)
    assert main(flags) == 2
    assert re.search(words, capsys.readouterr().err)


def test_target_of_another_kind_or_place_is_refused(data, tmp_path, capsys):
    full = tiny.write(tmp_path / "models" / "full", "full-absorbing")
    assert main(drafting(data, tmp_path / "work", full, "--steps", "3")) == 2
    assert "dflash needs a causal model to draft for, got one with full" in capsys.readouterr().err
    causal = tiny.write(tmp_path / "models" / "causal", "causal-absorbing")
    flags = drafting(data, tmp_path / "work", causal, "--steps", "3")
    flags[flags.index("--out") + 1] = str(tmp_path / "elsewhere" / "draft_model")
    assert main(flags) == 2
    assert "--out must lie beside its target" in capsys.readouterr().err


def test_corpus_is_continued_by_target_itself(data, tmp_path, capsys):
    target = tiny.write(tmp_path / "target", "causal-absorbing")
    model = lab.load(str(target))
    many_ends = tiny.eos_rich(model)
    settings = {"temperature": 0.0, "rows": 4, "seed": 2}
    batches = list(regenerated(many_ends, STORIES[:10], **settings))
    assert len(batches) == 3 and sum(map(len, batches)) >= 3
    for text in (text for batch in batches for text in batch):
        ids = model.tokenizer(text, add_special_tokens=False).input_ids
        stories = model.tokenizer(STORIES[:10], add_special_tokens=False).input_ids
        assert any(ids[:4] == story[:4] for story in stories), "not the beginning of a story"
    assert batches == list(regenerated(many_ends, STORIES[:10], **settings))
    warm = {**settings, "temperature": 1.0}
    seeds = [list(regenerated(many_ends, STORIES[:4], **{**warm, "seed": i})) for i in range(12)]
    assert len({str(texts) for texts in seeds}) == 12

    out = tmp_path / "new.jsonl"
    flags = [str(target), str(out), "--data", str(data), "--rows", "8", "--stories", "16"]
    assert regenerate.main(flags) == 0
    old, new = read_corpus(str(data)), [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["text"] for line in new if line["split"] == "valid_v2"] == old.held_out
    assert {line["split"] for line in new} <= {"valid_v2", "train"}
    assert regenerate.main(flags) == 2
    assert "is there already; choose another name" in capsys.readouterr().err
    refused = {
        "--rows": ("0", "--rows must be at least 1, got 0"),
        "--temperature": ("9", "temperature must be a number from 0 to 2"),
    }
    for flag, (value, words) in refused.items():
        other = [*flags[:1], str(tmp_path / "x.jsonl"), *flags[2:], flag, value]
        assert regenerate.main(other) == 2 and not (tmp_path / "x.jsonl").exists()
        assert words in capsys.readouterr().err
    full = tiny.write(tmp_path / "full", "full-absorbing")
    assert regenerate.main([str(full), str(tmp_path / "x.jsonl"), "--data", str(data)]) == 2
    assert "autoregressive needs attention causal" in capsys.readouterr().err
