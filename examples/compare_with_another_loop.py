"""Another decoding loop beside a sampler, on one model: an official one, from a clone of yours.

With LLaDA's repository on your path `theirs` is two lines:

    from generate import generate
    theirs = lambda model, ids: generate(model, ids, steps=6, gen_length=12, mask_id=MASK)
"""

from typing import Any

import torch

import lab
from lab.bench.another_loop import compare

model = lab.load("chain")
LENGTH, MASK = 12, model.card.mask_id or 0


def theirs(network, ids):
    """Stands for that official loop: the two most confident tokens at a time, all at once."""
    x = torch.cat([ids, torch.full((1, LENGTH), MASK)], 1)
    while (masked := torch.eq(x, MASK)).any():
        logits = network(x).logits
        confidence, best = logits.softmax(-1).max(-1)
        most = confidence.where(masked, -1.0).topk(min(2, int(masked.sum()))).indices
        x = x.scatter(1, most, best.gather(1, most))
    return x


settings: dict[str, Any] = {"gen_length": LENGTH, "block_length": LENGTH, "eos_early_stop": False}
for steps in (6, 4):  # 2 a call as the loop does; then 3, and the two part
    print(f"llada in {steps} steps beside the loop")
    print(compare(theirs, "llada", model, "once upon a ", steps=steps, **settings), "\n")
