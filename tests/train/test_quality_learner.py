"""Objective quality_head: what is filled, what its loss says, what trains, the files it writes."""

import json
import math
import re

import pytest
import torch

import lab
from lab.models.card import read_card
from lab.models.transformers.quality_head import QualityHead, states
from lab.train import evaluate, main
from lab.train.corpus import generator
from lab.train.objectives import quality_head
from lab.train.quality_evaluation import Verdicts
from lab.train.quality_learner import QualityLearner, build_head
from lab.train.trainer import TrainingRun
from samplers.canvas import Canvas
from tests.kit import stories, tiny
from tests.kit.stories import command

MASK = 0
TOKENS = torch.tensor(tiny.prompts([16, 16, 16, 16]))


@pytest.fixture
def learner():
    model = tiny.networks()[tiny.HEADED]
    head = build_head(model.network, 8, seed=3)
    torch.nn.init.normal_(head.inner.weight)
    return QualityLearner(head, model.network, (model.card.mask_id, model.card.pad_id))


def test_so_many_masked_positions_of_row_are_filled():
    seen, counts = torch.zeros(4, 16), set()
    for seed in range(300):
        problem = quality_head(TOKENS, MASK, torch.Generator().manual_seed(seed), fills=3)
        masked = problem.noisy == MASK
        assert torch.equal(problem.noisy[~masked], TOKENS[~masked]) and not masked[:, 0].any()
        assert not (problem.filled & ~masked).any()
        assert torch.equal(problem.filled.sum(1), masked.sum(1).clamp(max=3))
        counts |= set(masked.sum(1).tolist())
        seen += problem.filled
    assert counts == set(range(1, 16))
    share = seen[:, 1:] / seen[:, 1:].mean()
    assert not seen[:, 0].any() and float((share - 1).abs().max()) < 0.35
    every = quality_head(TOKENS, MASK, generator(1), fills=99, level=0.5, prefix=0)
    assert torch.equal(every.filled, every.noisy == MASK) and (every.filled.sum(1) == 8).all()


def test_draws_follow_model(learner):
    """By inverse CDF of the model's own answer at each masked position, the mask's left out."""
    model = tiny.networks()[tiny.HEADED]
    problem = quality_head(TOKENS, MASK, generator(4))
    text = learner.text(problem)
    assert torch.equal(text[~problem.filled], problem.noisy[~problem.filled])
    logits = model.denoise(problem.noisy)
    assert problem.filled.sum() > 8
    for row, column in problem.filled.nonzero().tolist():
        edges = logits[row, column].double().softmax(0).cumsum(0)
        below = int((edges <= problem.chance[row, column]).sum())
        assert int(text[row, column]) == below not in (model.card.mask_id, model.card.pad_id)


def test_loss_is_cross_entropy_of_being_right(learner):
    problem = quality_head(TOKENS, MASK, generator(4))
    odds, right = learner.judge(problem)
    text, total = learner.text(problem), 0.0
    assert right.tolist() == (text == TOKENS)[problem.filled].tolist()
    right = torch.arange(len(odds)) % 2 == 0
    mixed = problem._replace(tokens=TOKENS.masked_scatter(
        problem.filled, torch.where(right, text[problem.filled], 250)))  # fmt: skip
    for each, good in zip(odds.tolist(), right.tolist(), strict=True):
        quality = 1 / (1 + math.exp(-each))
        total -= math.log(quality if good else 1 - quality)
    assert float(learner(mixed).detach()) == pytest.approx(total / len(odds), rel=1e-5)


def test_head_is_trained_on_what_it_reads_in_run(learner):
    model = tiny.networks()[tiny.HEADED]
    problem = quality_head(TOKENS, MASK, generator(4))
    text = learner.text(problem)
    whole = torch.ones_like(text, dtype=torch.bool)
    other = tiny.changed(model)
    other.head = learner.network
    _, quality = other.open(Canvas(text, whole, whole, MASK)).with_quality(
        text, window=slice(0, 16)
    )
    torch.testing.assert_close(
        quality[problem.filled].float(), learner.read(problem, text).detach().sigmoid()
    )


def test_head_trains_and_model_stays(learner):
    target = dict(learner.target.named_parameters())
    before = {name: value.clone() for name, value in target.items()}
    names = {name for name, _ in learner.named_parameters()}
    assert names == {f"network.{name}" for name, _ in learner.network.named_parameters()}
    first = float(learner(problem_of(0)).detach())
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    for step in range(60):
        loss = learner(problem_of(step))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(learner(problem_of(0)).detach()) < 0.8 * first
    assert all(torch.equal(value, before[name]) for name, value in target.items())
    assert all(value.grad is None for value in learner.target.parameters())


def problem_of(step):
    return quality_head(TOKENS, MASK, torch.Generator().manual_seed(step))


def test_states_of_every_layer_count_alike():
    """Each layer's states are brought to one scale, and the embedding is left out."""
    head = QualityHead(2, 4, 3)
    hidden = [torch.randn(1, 5, 4, generator=generator(i)) for i in range(3)]
    with torch.no_grad():
        odds = head(states(hidden))
        other = head(states([hidden[0] * 0, hidden[1] * 100, hidden[2] * 0.1]))
    torch.testing.assert_close(odds, other, atol=1e-2, rtol=1e-2)


def test_auc_counts_pairs():
    odds, right = torch.tensor([3.0, 1.0, 1.0, -2.0]), torch.tensor([True, True, False, False])
    assert Verdicts(odds, right).auc == (2 + 1.5) / 4
    assert math.isnan(Verdicts(odds, right | True).auc)
    assert Verdicts(odds, right).blind == pytest.approx(math.log(2))
    chances = [1 / (1 + math.exp(-each)) for each in odds.tolist()]
    nats = -sum(math.log(p if good else 1 - p) for p, good in zip(chances, right, strict=True)) / 4
    assert Verdicts(odds, right).nats == pytest.approx(nats)


# --- the commands

SHAPE = ["--task", "sudoku4", "--lengths", "16", "--layers", "1", "--heads", "3", "--context", "16",
         "--intermediate", "24", "--tokens-per-batch", "64", "--warmup", "1", "--precision", "no",
         "--hidden", "24"]  # fmt: skip


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "sudoku4" / "mdlm"
    assert main([*SHAPE, "--work", str(tmp_path / "first"), "--out", str(folder), "--steps", "9",
                 "--name", "four"]) == 0  # fmt: skip
    return folder


def heading(target, work, name, *more):
    out = target.parent / name
    return [*SHAPE, "--objective", "quality_head", "--init-from", str(target), "--out", str(out),
            "--work", str(work), "--steps", "12", "--save-every", "0.00001", *more]  # fmt: skip


def test_board_trains_head_resumes_and_is_measured(target, tmp_path, capsys, monkeypatch):
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    assert main(heading(target, tmp_path / "whole", "whole", "--fills", "2")) == 0
    whole = target.parent / "whole"
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    assert {file.name for file in whole.iterdir()} == {
        "config.json", "model.safetensors", "lab.json", "training.json", "README.md"
    }  # fmt: skip
    facts, stages = (json.loads((whole / f"{name}.json").read_text())
                     for name in ("lab", "training"))  # fmt: skip
    assert facts["target"] == "mdlm" and "--fills 2" in stages[-1]["command"]
    assert [stage["objective"] for stage in stages] == ["mdlm", "quality_head"]
    card = (whole / "README.md").read_text("utf-8")
    assert "for the model `mdlm` beside it" in card and "two linear layers that read" in card

    saves, save = [], TrainingRun.save

    def stopped(run):
        save(run)
        saves.append(run.progress.step)
        if len(saves) == 5:
            raise RuntimeError("the machine is gone")

    half = heading(target, tmp_path / "half", "half", "--fills", "2")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="is gone"):
        patch.setattr(TrainingRun, "save", stopped)
        main(half)
    assert saves == [1, 2, 3, 4, 5]
    assert main([*half, "--resume"]) == 0
    weights = [target.parent / name / "model.safetensors" for name in ("whole", "half")]
    assert weights[0].read_bytes() == weights[1].read_bytes()

    texts = (tmp_path / "whole" / "samples.txt").read_text("utf-8").strip().split("\n\n")
    assert len(texts) == 13 and texts[0].startswith("step 1: ")
    model = lab.load(str(whole))
    assert model.card == read_card(whole) and model.card.quality_head and model.card.length == 16
    runs = lab.run("prism", model, template="[MASK]*16", rows=3, preset="sudoku")
    assert all(run.remasks.any() for run in runs)
    capsys.readouterr()
    assert evaluate.main([str(whole), "--windows", "40", "--card"]) == 0
    printed = capsys.readouterr().out
    assert "40 held-out texts of sudoku4." in printed and "| AUC |" in printed
    assert re.search(r"^\| 0\.5 \| \d+\.\d% \| 0\.\d{3} \| 0\.\d{3} \| 0\.\d{3} \|$", printed, re.M)
    card = (whole / "README.md").read_text("utf-8")
    assert printed.strip() in card and "`prism` (block_length=128" in card


def test_stories_train_head_too(data, tmp_path, capsys):
    assert main(command(data, tmp_path / "work", "--steps", "2")) == 0
    model = stories.folder(tmp_path / "work")
    flags = command(data, tmp_path / "next", "--objective", "quality_head", "--steps", "2")
    flags[flags.index("--out") + 1] = str(model.parent / "head")
    assert main([*flags, "--init-from", str(model)]) == 0
    (run,) = lab.run("prism", str(model.parent / "head"), "One day", gen_length=12, steps=4)
    assert run.output
    capsys.readouterr()
    where = [str(model.parent / "head"), "--data", str(data), "--length", "16", "--card"]
    assert evaluate.main(where) == 0
    assert "the first column (bos) is known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], r"name its folder by --init-from"),
        (["--init-from", "nowhere"], r"must be a folder written by `python -m lab train`, got"),
        (["--fills", "0"], r"--fills must be greater than 0, got 0"),
    ],
)
def test_what_no_head_could_use_is_refused(tmp_path, capsys, more, words):
    flags = [*SHAPE, "--objective", "quality_head", "--steps", "3", "--work", str(tmp_path / "w")]
    assert main([*flags, *more]) == 2
    assert re.search(words, capsys.readouterr().err)


def test_model_of_another_kind_or_place_is_refused(target, tmp_path, capsys):
    causal = tiny.write(target.parent / "causal", "causal-absorbing")
    assert main(heading(causal, tmp_path / "w", "head")) == 2
    assert "needs a model of full attention and absorbing corruption, got one of causal" in (
        capsys.readouterr().err
    )
    head = tiny.write_head(target.parent / "judge", target)
    assert main(heading(head, tmp_path / "w", "head")) == 2
    assert "got one of a quality head" in capsys.readouterr().err
    flags = heading(target, tmp_path / "w", "head")
    flags[flags.index("--out") + 1] = str(tmp_path / "elsewhere" / "head")
    assert main(flags) == 2 and "--out must lie beside its target" in capsys.readouterr().err
