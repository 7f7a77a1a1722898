"""What texts are worth: the checker's verdict, and the share of positions that it finds right."""

import pytest
import torch

import lab
from lab.models.rewards import rewards, rewards_of
from lab.tasks import TASKS
from samplers.canvas import Canvas
from tests.kit import tiny

GRID = [0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0]


def test_rewards_are_what_checker_says():
    wrong = [*GRID[:15], 3]  # clashes with its row, its column and its box
    texts = torch.tensor([GRID, wrong, [*GRID[:15], 4]])
    assert rewards("sudoku4", "score", texts).tolist() == [1, 0, 0]
    marked = TASKS["sudoku4"].score([str(digit + 1) for digit in wrong]).wrong
    assert rewards("sudoku4", "right", texts).tolist() == [1, 1 - len(marked) / 16, 0]


def test_tasks_with_checker_have_rewards():
    assert rewards_of("stories") == rewards_of("") == rewards_of("nope") == ()
    for name in ("sudoku4", "capitals-uniform", "chain", "sudoku6-mdlm"):
        assert lab.load(name).card.rewards == ("score", "right")
    for task, name in (("stories", "score"), ("sudoku4", "nope")):
        with pytest.raises(ValueError, match=f"no reward '{name}' for texts of {task}"):
            rewards(task, name, torch.tensor([GRID]))


def test_reward_sees_text_without_pads():
    model = lab.load("sudoku4")
    tokens = torch.tensor([[4, 4, *GRID], [*GRID, 0, 0]])
    visible = torch.ones_like(tokens, dtype=torch.bool)
    visible[0, :2] = visible[1, 16:] = False
    run = model.open(Canvas(tokens, visible, visible, 4))
    assert run.reward(tokens.expand(3, -1, -1), "score").tolist() == [[1, 1]] * 3


def test_callable_comes_with_reward_of_its_own():
    answer = tiny.constant(1, 5)
    model = lab.wrap(answer, tiny.card(5, attention="full"), reward=lambda texts: texts.sum(-1))
    assert model.card.rewards == ("score",)
    assert model.reward(torch.tensor([[1, 2], [0, 0]]), "score").tolist() == [3, 0]
    assert lab.wrap(answer, tiny.card(5, task="sudoku4")).card.rewards == ("score", "right")
    broken = lab.wrap(answer, tiny.card(5), reward=lambda texts: texts)
    with pytest.raises(ValueError, match=r"must be 2 finite numbers, one a text, got shape \[2, 2"):
        broken.reward(torch.tensor([[1, 2], [0, 0]]), "score")
    with pytest.raises(ValueError, match="needs a callable as reward, got int"):
        lab.wrap(answer, tiny.card(5), reward=3)
