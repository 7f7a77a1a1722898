"""How far the rows of a setting are from the truth of their task, where it is known."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy import ndarray

from lab.study.cells import instances_of
from lab.study.truth import distance, frequencies, noise_floor, transition_rates
from lab.tasks import TASKS
from lab.tasks.task import Chain, Listing, Task

UNKNOWN = {name: math.nan for name in ("kl_rate", "tv_rate", "tv", "tv_floor")}


def distances(task: str, case: str, texts: Sequence[str]) -> dict[str, float]:
    """The distances of lab.study.points.DISTANCES of these rows, and `tv_floor`.

    Of a Markov chain: the transitions within the texts, in nats and total variation a transition.
    Of a list of sequences, where a case asks for all of them: total variation of the frequencies,
    and what as many perfect rows would show. NaN where the truth is not known.
    """
    truth = _truth(task)
    if truth is None or not texts:
        return UNKNOWN
    if isinstance(truth, Chain):
        return UNKNOWN if truth.emission is not None else UNKNOWN | _rates(task, truth, texts)
    if not _asks_for_all(task, case):
        return UNKNOWN
    sequences, weights = _numbered(task)
    rows = _ids(TASKS[task], texts, sequences.shape[1])
    return UNKNOWN | {
        "tv": distance(frequencies(rows, sequences), weights).total_variation,
        "tv_floor": _floor(task, len(texts)),
    }


@cache
def _truth(task: str) -> Chain | Listing | None:
    exact = TASKS[task].exact if task in TASKS else None
    return None if exact is None else exact()


@cache
def _asks_for_all(task: str, case: str) -> bool:
    known = TASKS[task].known(instances_of(task, case, 1)[0].text)
    return all(word is None for word in known)


def _rates(task: str, chain: Chain, texts: Sequence[str]) -> dict[str, float]:
    rates = transition_rates(_ids(TASKS[task], texts, None), np.array(chain.transition))
    return {"kl_rate": rates.kl_rate, "tv_rate": rates.tv_rate}


@cache
def _numbered(task: str) -> tuple[ndarray, ndarray]:
    """Every sequence of a task as ids [M, T], -1 after its end, and their probabilities [M]."""
    listing, words = _truth(task), TASKS[task].words or ()
    assert isinstance(listing, Listing)
    number = {word: -1 if word == TASKS[task].eos else i for i, word in enumerate(words)}
    sequences = np.array([[number[word] for word in line] for line in listing.sequences])
    weights = listing.weights or (1 / len(sequences),) * len(sequences)
    return sequences, np.array(weights)


@cache
def _floor(task: str, rows: int) -> float:
    return noise_floor(_numbered(task)[1], rows).mean.total_variation


def _ids(task: Task, texts: Sequence[str], length: int | None) -> ndarray:
    """Texts as ids [N, length], -1 after their end and where a word is not the task's."""
    number = {word: i for i, word in enumerate(task.words or ())}
    lines = [[number.get(word or "", -1) for word in task.known(text)] for text in texts]
    width = length or max(map(len, lines))
    return np.array([(line + [-1] * width)[:width] for line in lines])
