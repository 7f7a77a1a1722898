"""Hidden chain: an exact oracle, to measure distances to the truth on (arXiv:2602.19619)."""

from lab.tasks import letters

TASK = letters.task(
    "hidden",
    "Hidden chain",
    "Letters emitted by four hidden states, so that a letter depends on all letters "
    "before it. The posterior is exact all the same, and the distance to the truth is "
    "in the probability of the whole text.",
    letters.hidden,
)
