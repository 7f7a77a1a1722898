"""The reference chain of the exact tests: V = 3, L = 4, entropy 3.50701 nats (docs/samplers.md)."""

import itertools

import torch

FIRST = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
NEXT = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]], dtype=torch.float64)
MASK = 3
X = torch.tensor(list(itertools.product(range(3), repeat=4)))
P = FIRST[X[:, 0]] * NEXT[X[:, 0], X[:, 1]] * NEXT[X[:, 1], X[:, 2]] * NEXT[X[:, 2], X[:, 3]]
