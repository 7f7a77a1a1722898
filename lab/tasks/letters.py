"""Letters after the statistics of old children's books: what the chain tasks share.

26 letters and the space. The truth is a chain, so every posterior is known exactly, however
long the text is; what a sampler gets wrong shows in pairs of letters that English has not.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from lab.tasks.score import Score
from lab.tasks.task import Chain, Instance, Task, template

FILE = Path(__file__).parents[2] / "assets" / "letters.json"
LETTERS = tuple(" abcdefghijklmnopqrstuvwxyz")
LENGTH = 128
CASES = {"64": "64 letters from nothing", "128": "128 letters from nothing"}
RARE = 1e-4  # a pair of letters less likely than this is marked
SMOOTHING = 0.5  # counts added to each pair, so that no pair is impossible


@cache
def statistics() -> dict[str, Any]:
    """Counts of pairs of letters, and a hidden chain fitted to the same text."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def bigrams() -> Chain:
    """The Markov chain of the pairs: p(b | a) in proportion to count(ab) + SMOOTHING."""
    counts = [[count + SMOOTHING for count in row] for row in statistics()["bigrams"]]
    total = sum(map(sum, counts))
    return Chain(
        tuple(sum(row) / total for row in counts),
        tuple(tuple(count / sum(row) for count in row) for row in counts),
    )


@cache
def hidden() -> Chain:
    """Four hidden states that emit letters, fitted by Baum-Welch; a state is a role in a word."""
    stored = statistics()["hidden"]

    def normalised(row: Sequence[float]) -> tuple[float, ...]:
        smoothed = [value + 1e-6 for value in row]
        return tuple(value / sum(smoothed) for value in smoothed)

    return Chain(
        normalised(stored["initial"]),
        tuple(map(normalised, stored["transition"])),
        tuple(map(normalised, stored["emission"])),
    )


def instances(
    name: str, chain: Callable[[], Chain], case: str, count: int, seed: int
) -> list[Instance]:
    """All letters masked, and a text of the chain as a solution; there is nothing to hold out."""
    if case not in CASES:
        raise ValueError(f"a case of {name} must be one of {', '.join(CASES)}, got {case!r}")
    chance = random.Random(f"{name} {case} {seed}")
    text = template([None] * int(case))
    return [Instance(text, draw(chain(), int(case), chance)) for _ in range(count)]


def case_of(words: Sequence[str | None]) -> str | None:
    """How many letters, where all of them are masked."""
    return None if any(words) else str(len(words))


def draw(chain: Chain, length: int, chance: random.Random) -> tuple[str, ...]:
    """A text of the chain, drawn again where it holds a letter that `check` would mark."""
    while True:
        letters, weights = [], chain.initial
        for _ in range(length):
            (state,) = chance.choices(range(len(weights)), weights)
            weights = chain.transition[state]
            letter = state
            if chain.emission is not None:
                (letter,) = chance.choices(range(len(LETTERS)), chain.emission[state])
            letters.append(LETTERS[letter])
        if min(next_letters(chain, letters)) >= RARE:
            return tuple(letters)


def next_letters(chain: Chain, words: Sequence[str]) -> list[float]:
    """The probability of each letter of a text given those before it (the forward algorithm)."""
    states, transition, emission = _arrays(chain)
    result = []
    for word in words:
        joint = states * emission[LETTERS.index(word)]
        total = joint.sum()
        result.append(float(total))
        states = joint @ transition / total
    return result


@cache
def _arrays(chain: Chain) -> tuple[Any, Any, Any]:
    """A chain [S], [S, S], and how likely each state writes each letter [letters, S]."""
    import numpy as np  # not above: a list of the tasks opens without it

    transition = np.array(chain.transition)
    emission = np.eye(len(LETTERS)) if chain.emission is None else np.array(chain.emission)
    return np.array(chain.initial), transition, emission.T


def log_prob(chain: Callable[[], Chain], words: Sequence[str]) -> float:
    """Natural log of a text's probability."""
    return sum(map(math.log, next_letters(chain(), words)))


def check(chain: Callable[[], Chain], words: Sequence[str], columns: int) -> Score:
    """Value 1 unless a letter is less likely than RARE after those before it; those are marked."""
    foreign = tuple(i for i, word in enumerate(words) if word not in LETTERS)
    if foreign:
        return Score(0.0, "not a text of letters", foreign)
    likely = next_letters(chain(), words)
    wrong = tuple(i for i, share in enumerate(likely) if share < RARE)
    if wrong:
        pair = "".join(words[max(0, wrong[0] - 1) : wrong[0] + 1])
        return Score(0.0, f"“{pair}” hardly ever stands in English", wrong)
    nats = -sum(map(math.log, likely)) / max(len(likely), 1)
    return Score(1.0, f"{nats:.2f} nats a letter", ())


def task(name: str, title: str, summary: str, chain: Callable[[], Chain]) -> Task:
    """The task of the letters that a chain writes."""
    return Task(
        name=name, title=title, summary=summary,
        examples=("[MASK]*64", "once upon a time ", "the[MASK]*12 and the[MASK]*20"),
        models=(name, f"{name}-hybrid", f"{name}-uniform", f"{name}-causal"),
        words=LETTERS, length=LENGTH, cases=CASES, instances=partial(instances, name, chain),
        checker=partial(check, chain), exact=chain, log_prob=partial(log_prob, chain),
        case_of=case_of,
    )  # fmt: skip
