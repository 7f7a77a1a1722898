"""Read a tale that may be wrong: sentence by sentence, against every state it may be in so far.

Where no state allows a sentence, the nearest sentences that could stand there say which word is
wrong, and the tale goes on from each of the states they lead to: what follows decides among them.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

from lab.tasks.tales.lexicon import CLASS, INDEX, NAMES, SEX, WORDS
from lab.tasks.tales.pattern import spell
from lab.tasks.tales.process import State, follow, offers
from lab.tasks.tales.world import Plot

STOP, CLOSE = INDEX["."], INDEX["”"]
LIKELY = frozenset(INDEX[word] for word, kind in CLASS.items() if kind in ("place", "toy", "food"))
KEPT = 40  # readings that are followed at once
NEAREST = 60  # sentences whose distance is measured exactly


class Mistake(NamedTuple):
    """at: the position of the first wrong word; start: of its sentence; state: before it.

    expected: the sentence that could stand there; place: where in it the two part; distance: in
    how many words.
    """

    at: int
    start: int
    sentence: tuple[int, ...]
    expected: tuple[int, ...]
    place: int
    distance: int
    state: State


class Interpretation(NamedTuple):
    """One way to understand a tale so far; weight: the log of its probability."""

    state: State
    weight: float
    mistakes: tuple[Mistake, ...] = ()


def sentences(text: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where each sentence begins and ends; what is left after the last full stop is one too."""
    matches, start = [], 0
    for i, word in enumerate(text):
        stop = word == STOP and text[i + 1 : i + 2] != (CLOSE,)
        if stop or (word == CLOSE and text[i - 1] == STOP) or i + 1 == len(text):
            matches.append((start, i + 1))
            start = i + 1
    return matches


def read(text: tuple[int, ...]) -> tuple[list[tuple[int, int]], Interpretation]:
    """The sentences of a text, and the reading that fits it best."""
    bounds = sentences(text)
    readings = [Interpretation(State(), 0.0)]
    for start, end in bounds:
        readings = step(readings, text, start, end)
    best = max(
        readings,
        key=lambda r: (r.state.plot.beat == "end", -sum(m.distance for m in r.mistakes), r.weight),
    )
    return bounds, best


def step(
    readings: list[Interpretation], text: tuple[int, ...], start: int, end: int
) -> list[Interpretation]:
    """The readings after one more sentence."""
    matches: dict[State, Interpretation] = {}
    for reading in readings:
        for share, word, after in follow(reading.state, text[:end]):
            if word < 0 and after.length == end:
                keep(
                    matches,
                    reading._replace(state=after, weight=reading.weight + math.log(share)),
                )
    return best_of(matches) if matches else repair(readings, text, start, end)


def keep(matches: dict[State, Interpretation], reading: Interpretation) -> None:
    """Of two readings that lead to one state, the better one."""
    other = matches.get(reading.state)
    if other is None or reading.weight > other.weight:
        matches[reading.state] = reading


def best_of(matches: dict[State, Interpretation]) -> list[Interpretation]:
    return sorted(matches.values(), key=lambda reading: -reading.weight)[:KEPT]


def repair(
    readings: list[Interpretation], text: tuple[int, ...], start: int, end: int
) -> list[Interpretation]:
    """Go on after a sentence that no reading allows, from the nearest that could stand there."""
    sentence = text[start:end]
    candidates = nearby(readings, sentence, frozenset(text) | LIKELY)
    rough = nsmallest(NEAREST, candidates, key=lambda candidate: candidate[0])
    measured = [(*apart(said, sentence), said, reading, after) for _, said, reading, after in rough]
    least = min((distance for distance, *_ in measured), default=0)
    matches: dict[State, Interpretation] = {}
    for distance, place, here, said, reading, after in measured:
        if distance > least:
            continue
        mistake = Mistake(start + here, start, sentence, said, place, distance, reading.state)
        after = after._replace(state=after.state._replace(length=start + len(sentence)))
        after = after._replace(mistakes=(*reading.mistakes, mistake))
        keep(matches, after)
        if place < len(said) and here < len(sentence):
            keep(matches, rebound(after, reading.state, said[place], sentence[here]))
    if matches:
        return best_of(matches)
    lost = Mistake(
        start, start, sentence, (), 0, len(sentence), readings[0].state
    )  # the tale is over
    return [
        reading._replace(
            state=reading.state._replace(length=start + len(sentence)),
            mistakes=(*reading.mistakes, lost),
        )
        for reading in readings
    ]


def nearby(
    readings: list[Interpretation], sentence: tuple[int, ...], likely: frozenset[int]
) -> Iterator[tuple[int, tuple[int, ...], Interpretation, Interpretation]]:
    """What could stand in place of a sentence: (how many words differ at least, words, from, to).

    likely: the words of which what is not known yet is taken.
    """
    words = Counter(sentence)
    for reading in readings:
        if reading.state.plot.beat == "end":
            continue
        for option in offers(reading.state):
            for share, said, binding in spell(option.items, reading.state.binding, likely):
                least = max(len(said), len(sentence)) - (words & Counter(said)).total()
                weight = reading.weight + math.log(option.share * share)
                state = State(option.after, binding, 0)
                yield least, said, reading, Interpretation(state, weight)


def apart(said: Sequence[int], sentence: Sequence[int]) -> tuple[int, int, int]:
    """In how many words two sentences differ, and where in each of them they first do."""
    rows, columns = len(said), len(sentence)
    cost = [[i + j if not i * j else 0 for j in range(columns + 1)] for i in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        cost[i + 1][columns] = rows - i - 1
    cost[rows] = [columns - j for j in range(columns + 1)]
    for i in range(rows - 1, -1, -1):
        cost[i][columns] = rows - i
        for j in range(columns - 1, -1, -1):
            same = cost[i + 1][j + 1] + (said[i] != sentence[j])
            cost[i][j] = min(same, cost[i + 1][j] + 1, cost[i][j + 1] + 1)
    i = j = 0
    while i < rows and j < columns and said[i] == sentence[j]:
        i, j = i + 1, j + 1
    return cost[0][0], i, j


def rebound(after: Interpretation, before: State, expected: int, word: int) -> Interpretation:
    """The same reading as if the word that stands there were right, where both name the like.

    Another name, colour, place or thing takes the place of the one that was expected; a pronoun or
    a name may change whether somebody is a girl or a boy.
    """
    (plot, binding, _), here = after.state, WORDS[word] if word >= 0 else ""
    kinds = CLASS.get(WORDS[expected]), CLASS.get(here)
    people = {*kinds} <= {"girl", "boy"}
    if kinds[0] is None or not (people or kinds[0] == kinds[1]):
        return after
    if expected in binding and word not in binding:
        at = binding.index(expected)
        binding = (*binding[:at], word, *binding[at + 1 :])
        if people and at < len(plot.cast):
            plot = with_sex(plot, "m" if here in NAMES["m"] else "f", at)
    sexes = SEX.get(WORDS[expected].lower()), SEX.get(here.lower())
    if sexes[0] and sexes[1] and sexes[0] != sexes[1]:
        meant = [i for i in before.plot.seen if before.plot.cast[i].sex == sexes[0]]
        if meant and meant[0] < len(plot.cast):
            plot = with_sex(plot, sexes[1], meant[0])
    state = after.state._replace(plot=plot, binding=binding)
    return after._replace(state=state, weight=after.weight - 1)


def with_sex(plot: Plot, sex: str, who: int) -> Plot:
    """The plot with somebody as a girl or as a boy."""
    cast = (*plot.cast[:who], plot.cast[who]._replace(sex=sex), *plot.cast[who + 1 :])
    return plot._replace(cast=cast)
