"""BD3LM's entropy stop, against plain loops."""

import math
from collections import Counter

import torch

from samplers.bd3lm import ENTROPY_WINDOW, _low_entropy
from samplers.canvas import Canvas


def test_entropy_is_of_latest_visible_tokens():
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(9, (6, 300), generator=random)
    tokens[1, 60:] = 4
    visible = torch.ones_like(tokens, dtype=torch.bool)
    visible[2, :30] = False  # as many are left as the window has
    visible[3, :40] = False  # too few
    visible[4, 100:200] = False
    canvas = Canvas(tokens, visible, visible, 9)
    target = []
    for line, seen in zip(tokens[:, :290], visible[:, :290], strict=True):
        text = line[seen].tolist()[-ENTROPY_WINDOW:]
        shares = [count / len(text) for count in Counter(text).values()]
        entropy = -sum(share * math.log(share) for share in shares)
        target.append((len(text), entropy))
    for floor in (0.5, 2.17, 2.19, 9.0):
        low = [length == ENTROPY_WINDOW and entropy < floor for length, entropy in target]
        assert _low_entropy(canvas, tokens, 290, floor).tolist() == low
    assert not _low_entropy(canvas, tokens, 100, 9.0).any()
    assert 0 < sum(length < ENTROPY_WINDOW for length, _ in target) < len(target)
