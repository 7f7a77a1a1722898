"""Lists of names and what is done to them: one right answer, or many that bind each other.

After the tasks of ParallelBench (arXiv:2510.04767); the lists are drawn here. Every question with
every answer is one table, so the denoiser is exact and the error is the sampler's alone.
"""

import math
import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations
from typing import NamedTuple

from lab.tasks.score import Score
from lab.tasks.task import Instance, Listing, Task, template

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eve")
SIZE = 4  # names of a list
POSITIONS = ("first", "second", "third", "fourth")
EOS = "<eos>"
CASES = {
    "copy": "say the same list again (one right answer)",
    "sort": "put the names in the order of the alphabet (one right answer)",
    "reverse": "say the list from its end (one right answer)",
    "insert": "put a name at a given place of a list of three (one right answer)",
    "remove": "leave out the name at a given place (one right answer)",
    "replace": "put a name in place of the one at a given place (one right answer)",
    "replace_any": "put a name in place of any other (four right answers)",
    "shuffle": "say the names in any order (24 right answers)",
}
COLON = ":"


class Question(NamedTuple):
    """A question in words, up to and with its colon, and every right answer to it."""

    words: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]


@cache
def questions(case: str) -> tuple[Question, ...]:
    """Every question of a case."""
    return tuple(_ask(case))


def _ask(case: str) -> Iterator[Question]:
    size = SIZE - (case == "insert")
    for line in permutations(NAMES, size):
        if case in ("copy", "sort", "reverse", "shuffle"):
            yield Question((case, *line, COLON), _whole(case, line))
            continue
        others = [name for name in NAMES if name not in line]
        if case == "remove":
            others = [""]
        for name in others:
            if case == "replace_any":
                answers = tuple((*line[:i], name, *line[i + 1 :]) for i in range(size))
                yield Question(("replace", "any", "by", name, *line, COLON), answers)
                continue
            for i, place in enumerate(POSITIONS):
                yield _placed(case, line, name, i, place)


def _whole(case: str, line: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if case == "shuffle":
        return tuple(permutations(line))
    changed = {"copy": line, "sort": tuple(sorted(line)), "reverse": line[::-1]}
    return (changed[case],)


def _placed(case: str, line: tuple[str, ...], name: str, i: int, place: str) -> Question:
    if case == "remove":
        return Question(("remove", place, *line, COLON), ((*line[:i], *line[i + 1 :]),))
    rest = line[i:] if case == "insert" else line[i + 1 :]
    return Question((case, name, place, *line, COLON), ((*line[:i], name, *rest),))


LENGTH = 4 + SIZE + 1 + SIZE + 1  # the longest question, its answer, one EOS


@cache
def sequences() -> Listing:
    """Every question with every right answer, padded with EOS; each case weighs the same."""
    lines, weights = [], []
    for case in CASES:
        for question in questions(case):
            for answer in question.answers:
                words = (*question.words, *answer)
                lines.append((*words, *[EOS] * (LENGTH - len(words))))
                share = len(CASES) * len(questions(case)) * len(question.answers)
                weights.append(1 / share)
    return Listing(tuple(lines), tuple(weights))


@cache
def _right() -> dict[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    return {question.words: question.answers for case in CASES for question in questions(case)}


def instances(case: str, count: int, seed: int) -> list[Instance]:
    """Questions of a case, drawn with replacement; nothing trains on them."""
    if case not in CASES:
        raise ValueError(f"a case of lists must be one of {', '.join(CASES)}, got {case!r}")
    chance = random.Random(f"{case} {seed}")
    return [_instance(question, chance) for question in chance.choices(questions(case), k=count)]


def case_of(words: Sequence[str | None]) -> str | None:
    """What is to be done with the list."""
    return "replace_any" if list(words[:2]) == ["replace", "any"] else next(iter(words), None)


def _instance(question: Question, chance: random.Random) -> Instance:
    answer = chance.choice(question.answers)
    solution = (*question.words, *answer)
    solution = (*solution, *[EOS] * (LENGTH - len(solution)))
    masked = [None] * (LENGTH - len(question.words))
    return Instance(template([*question.words, *masked]), solution)


def check(words: Sequence[str], columns: int) -> Score:
    """Value 1 for a right answer, else 0 with the names that differ from the nearest one."""
    if COLON not in words:
        return Score(0.0, "not a question: it has no colon", tuple(range(len(words)))[:1])
    start = list(words).index(COLON) + 1
    question, answer = tuple(words[:start]), tuple(words[start:])
    right = _right().get(question)
    if right is None:
        return Score(0.0, "not one of the questions", tuple(range(start)))
    if answer in right:
        return Score(1.0, "a right answer", ())
    nearest = max(right, key=lambda line: sum(a == b for a, b in zip(line, answer, strict=False)))
    wrong = [
        start + i
        for i in range(max(len(answer), len(nearest)))
        if answer[i : i + 1] != nearest[i : i + 1]
    ]
    places = tuple(i for i in wrong if i < columns) or (columns - 1,)
    return Score(0.0, f"the nearest right answer is {' '.join(nearest)}", places)


def least_kl(case: str) -> float:
    """The KL (nats) to the truth of an answer whose names are all drawn in one call, at best.

    That is the total correlation of the answer's names: 0 for one right answer; for a list of n
    names (n - 1) log(n / (n - 1)) where any one is replaced, n log n - log n! for a shuffle
    (arXiv:2510.04767).
    """
    if case == "replace_any":
        return (SIZE - 1) * math.log(SIZE / (SIZE - 1))
    return SIZE * math.log(SIZE) - math.log(math.factorial(SIZE)) if case == "shuffle" else 0.0


TASK = Task(
    name="lists",
    title="Lists",
    summary="Lists of four names to copy, sort, reverse, change or shuffle, whose exact posterior "
    "is the model. Where one answer is right every sampler can write it in one call; where many "
    "are, names that are drawn together repeat each other.",
    examples=(
        "shuffle Ann Ben Cleo Dan :[MASK]*8",
        "sort Dan Ann Eve Ben :[MASK]*8",
        "reverse Dan Ann Eve Ben :[MASK]*8",
        "replace any by Eve Ann Ben Cleo Dan :[MASK]*5",
        "[MASK]*14",
    ),
    models=("lists", "lists-hybrid", "lists-uniform", "lists-causal"),
    words=(
        *NAMES, *POSITIONS, "copy", "sort", "reverse", "insert", "remove", "replace", "any", "by",
        "shuffle", COLON, EOS,
    ),
    eos=EOS,
    length=LENGTH,
    cases=CASES,
    instances=instances,
    checker=check,
    exact=sequences,
    case_of=case_of,
    bounds={case: least_kl(case) for case in CASES},
)  # fmt: skip
