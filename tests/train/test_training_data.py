"""What a task's own data looks like to a model: where it starts, and how it tells positions."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel, Qwen3ForCausalLM

from lab.models.transformers.checkpoint import load_checkpoint
from lab.tasks import TASKS, tales
from lab.tasks.split import held_out
from lab.train import drawn_once
from lab.train.export import card_fields, export
from lab.train.learner import Learner, banned_ids
from lab.train.problem import Problem, everything
from lab.train.settings import TrainSettings
from lab.train.training_data import open_data

END = tales.EOS_ID


@pytest.fixture(autouse=True)
def _tales(monkeypatch):
    monkeypatch.setitem(TASKS, "tales", tales.TASK)


def data_of(folder, task, objective, **more):
    length = TASKS[task].length
    settings = TrainSettings(
        task=task, objective=objective, work=folder / "w", steps=1, lengths=(length,),
        context=length + 1, tokens_per_batch=length + 1, **more,
    )  # fmt: skip
    return open_data(settings)


SHAPE = {"hidden": 96, "layers": 1, "heads": 3, "intermediate": 16, "context": 128}


@pytest.mark.parametrize(
    ("task", "objective", "start", "network"),
    [
        ("tales", "mdlm", END, Qwen3ForCausalLM),
        ("tales", "uniform", END, Qwen3ForCausalLM),
        ("tales", "ar", END, Qwen3ForCausalLM),
        ("tales", "joint", END, Qwen3ForCausalLM),
        ("tales", "bd3lm", None, GPT2LMHeadModel),
        ("sudoku9", "mdlm", None, GPT2LMHeadModel),
        ("addition", "mdlm", None, GPT2LMHeadModel),
    ],
)
def test_text_starts_behind_end_and_knows_distances(tmp_path, task, objective, start, network):
    data = data_of(tmp_path, task, objective)
    rows = data.windows(3, TASKS[task].length, torch.Generator().manual_seed(0))
    assert rows.shape[1] == TASKS[task].length + (start is not None)
    assert data.start_id == start
    if start is not None:
        assert (rows[:, 0] == start).all() and data.prefix == 1
    assert isinstance(data.build(data.tokenizer, **SHAPE), network)


def test_full_attention_model_runs_behind_its_start(tmp_path):
    """The denoiser puts the start before the canvas, as training did."""
    data = data_of(tmp_path, "tales", "mdlm")
    network = data.build(data.tokenizer, **SHAPE)
    rows = data.windows(2, tales.LENGTH, torch.Generator().manual_seed(1))
    fields = card_fields("mdlm", "tiny", "tales", 128, 0.1)
    fields |= {"start_id": data.start_id, "length": tales.LENGTH}
    export(tmp_path / "model", network, fields)
    data.tokenizer.save_pretrained(tmp_path / "model")
    model = load_checkpoint(tmp_path / "model")
    noisy = rows.clone()
    noisy[:, 5:40] = data.tokenizer.mask_token_id
    scored = torch.ones_like(noisy, dtype=torch.bool)
    scored[:, 0] = False
    size = noisy.shape[1]
    problem = Problem(
        noisy, torch.arange(size), everything(size), scored, rows, torch.ones(rows.shape), 1
    )
    learner = Learner(network.to(torch.bfloat16).float(), banned_ids(data.tokenizer)).eval()
    with torch.no_grad():
        trained = learner.logits(problem).view(2, tales.LENGTH, -1).softmax(-1)
    sampled = model.denoise(noisy[:, 1:]).softmax(-1)
    torch.testing.assert_close(sampled, trained, atol=1e-4, rtol=1e-3)


def test_sequences_drawn_once_train_again_and_again(tmp_path, monkeypatch):
    """They are the same whoever draws them, are drawn by one run alone, and nothing else trains."""
    monkeypatch.setattr(drawn_once, "PART", 3)
    data = data_of(tmp_path, "addition", "mdlm", sequences=8)
    length = TASKS["addition"].length
    assert data.facts["data_tokens"] == 8 * length
    (file,) = tmp_path.glob("*.safetensors")
    stored = load_file(file)["ids"]
    parts = [
        drawn_once._part("addition", 0, start, rows) for start, rows in ((0, 3), (3, 3), (6, 2))
    ]
    assert stored.shape == (8, length) and torch.equal(stored, torch.cat(parts))
    assert len(stored.unique(dim=0)) == 8 and not held_out(stored.long()).any()
    rows = data.windows(200, length, torch.Generator().manual_seed(0))
    assert {*map(tuple, rows.tolist())} == {*map(tuple, stored.tolist())}
    again = data.windows(200, length, torch.Generator().manual_seed(0))
    assert torch.equal(rows, again) and rows.dtype == torch.int64
    monkeypatch.setattr(drawn_once, "ProcessPoolExecutor", None)
    assert data_of(tmp_path, "addition", "mdlm", sequences=8).facts == data.facts
