"""How far is a sampler from the truth? Total variation to an exact distribution, by steps."""

from collections import Counter
from itertools import pairwise, product
from math import pi, sqrt

import lab

INITIAL = [0.6, 0.4]
TRANSITION = [[0.9, 0.1], [0.3, 0.7]]
LENGTH, ROWS = 4, 4000


def truth(word: tuple[int, ...]) -> float:
    """The probability of a word under the chain."""
    probability = INITIAL[word[0]]
    for before, after in pairwise(word):
        probability *= TRANSITION[before][after]
    return probability


model = lab.oracle(INITIAL, TRANSITION, length=LENGTH)
words = list(product(range(2), repeat=LENGTH))

print("sampler        steps  calls  total variation")
for name, steps in [("mdlm", 1), ("mdlm", 2), ("mdlm", 4), ("mdlm", 16), ("first_hitting", LENGTH)]:
    runs = lab.run(name, model, rows=ROWS, seed=0, steps=steps)
    counts = Counter(tuple(run.output) for run in runs)
    distance = sum(abs(counts[word] / ROWS - truth(word)) for word in words) / 2
    calls = sum(int(run.calls[-1]) for run in runs) / ROWS
    print(f"{name:14} {steps:5}  {calls:5.1f}  {distance:.3f}")
spread = sum(sqrt(truth(word) * (1 - truth(word))) for word in words)
print(f"{ROWS} rows of the truth itself would show about {spread / sqrt(2 * pi * ROWS):.3f}")
