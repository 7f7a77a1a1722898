"""Hidden chain: an exact oracle, to measure distances to the truth on (arXiv:2602.19619)."""

from functools import partial

from lab.tasks import letters
from lab.tasks.task import Task

TASK = Task(
    name="hidden",
    title="Hidden chain",
    summary="Letters emitted by four hidden states, so that a letter depends on all letters "
    "before it. The posterior is exact all the same, and the distance to the truth is "
    "in the probability of the whole text.",
    examples=("[MASK]*64", "once upon a time ", "the[MASK]*12 and the[MASK]*20"),
    models=("hidden", "hidden-hybrid", "hidden-uniform", "hidden-causal"),
    words=letters.LETTERS,
    length=letters.LENGTH,
    cases=letters.CASES,
    instances=partial(letters.instances, "hidden", letters.hidden),
    checker=partial(letters.check, letters.hidden),
    exact=letters.hidden,
    log_prob=partial(letters.log_prob, letters.hidden),
)
