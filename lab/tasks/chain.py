"""Letter chain: an exact oracle, to measure distances to the truth on (arXiv:2602.19619)."""

from lab.tasks import letters

TASK = letters.task(
    "chain",
    "Letter chain",
    "Letters that follow the pairs of old children's books, a Markov chain of 27 "
    "letters whose exact posterior is the model. Letters that are committed together "
    "make pairs that English has not: the distance to the truth is measured, not "
    "judged.",
    letters.bigrams,
)
