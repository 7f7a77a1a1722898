"""Bounds of a model against the truth about the texts that it was trained on."""

import json

import pytest
import torch

from lab.tasks import TASKS, tales
from lab.tasks.tales import process
from lab.tasks.tales.lexicon import INDEX
from lab.train.bounds import bound
from lab.train.held_out import rows_of, task_texts, truth_known
from lab.train.objectives import ar


@pytest.fixture(scope="module")
def held_out():
    return task_texts(tales.TASK, 40)


def test_truth_is_mean_surprise_of_tokens(held_out):
    nats = [-tales.log_prob(row) for row in held_out.rows.tolist()]
    tokens = [row.index(tales.EOS_ID) + 1 for row in held_out.rows.tolist()]
    assert held_out.truth.mean == pytest.approx(sum(nats) / sum(tokens))
    assert held_out.columns_per_token == pytest.approx(40 * tales.LENGTH / sum(tokens))


class Truth:
    """A learner that gives each next token the grammar's own probability."""

    def logits(self, problem):
        rows = []
        for row in problem.inputs.tolist():
            for column in range(len(row) - 1):
                before = row[1 : column + 1]
                chances = torch.zeros(len(tales.TASK.words) + 1)
                if tales.EOS_ID in before:
                    chances[tales.EOS_ID] = 1
                else:
                    for word, chance in process.next_tokens(before).items():
                        chances[INDEX[word]] = chance
                rows.append(chances.log())
        return torch.stack(rows)


def test_bound_of_truth_is_truth(held_out):
    few = held_out._replace(rows=held_out.rows[:3])
    rows, prefix = rows_of({"start_id": len(tales.TASK.words)}, few)
    assert (rows.shape[1], prefix) == (tales.LENGTH + 1, 1)
    nats = [-tales.log_prob(row) for row in few.rows.tolist()]
    tokens = [row.index(tales.EOS_ID) + 1 for row in few.rows.tolist()]

    def problem(part, random):
        return ar(part, 0, random, prefix=prefix)

    value = bound(Truth(), rows, problem)
    assert value.mean * tales.LENGTH * 3 / sum(tokens) == pytest.approx(sum(nats) / sum(tokens))


def test_models_of_two_tasks_have_no_common_truth(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "tales", tales.TASK)
    for name in ("tales", "stories"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab.json").write_text(json.dumps({"task": name}))
    assert truth_known([tmp_path / "tales"]) is tales.TASK
    assert truth_known([tmp_path / "stories"]) is None
    with pytest.raises(ValueError, match=r"one task .* got stories, tales"):
        truth_known([tmp_path / "stories", tmp_path / "tales"])
