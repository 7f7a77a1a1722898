"""Letter chain: an exact oracle, to measure distances to the truth on (arXiv:2602.19619)."""

from functools import partial

from lab.tasks import letters
from lab.tasks.task import Task

TASK = Task(
    name="chain",
    title="Letter chain",
    summary="Letters that follow the pairs of old children's books, a Markov chain of 27 "
    "letters whose exact posterior is the model. Letters that are committed together "
    "make pairs that English has not: the distance to the truth is measured, not "
    "judged.",
    examples=("[MASK]*64", "once upon a time ", "the[MASK]*12 and the[MASK]*20"),
    models=("chain", "chain-hybrid", "chain-uniform", "chain-causal"),
    words=letters.LETTERS,
    length=letters.LENGTH,
    cases=letters.CASES,
    instances=partial(letters.instances, "chain", letters.bigrams),
    checker=partial(letters.check, letters.bigrams),
    exact=letters.bigrams,
    log_prob=partial(letters.log_prob, letters.bigrams),
)
