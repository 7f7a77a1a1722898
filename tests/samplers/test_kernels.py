"""Shared steps: ranks and shares."""

import torch

from samplers.kernels import share, top_k

torch.set_num_threads(1)


def test_top_k_marks_best_and_never_minus_infinity():
    score = torch.tensor([[0.1, -torch.inf, 0.9, 0.5], [-torch.inf] * 4, [1.0, 1.0, 1.0, 1.0]])
    assert top_k(score, 2).int().tolist() == [[0, 0, 1, 1], [0] * 4, [1, 1, 0, 0]]
    assert top_k(score, torch.tensor([9, 9, 0])).sum(-1).tolist() == [3, 0, 0]


def test_shares_add_up_and_no_step_is_idle():
    for count in range(0, 40):
        for steps in (1, 2, 3, 8, 32, 50):
            taken = [int(share(torch.tensor([count]), steps, i)) for i in range(steps)]
            assert sum(taken) == count and taken == sorted(taken, reverse=True)
            assert all(n > 0 for n in taken[: min(count, steps)])
            assert max(taken) - min(taken[: max(1, min(count, steps))]) <= 1
