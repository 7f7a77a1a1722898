"""True sentences on capitals: 188 sequences of words, so every posterior is known exactly."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lab.tasks.score import Score
from lab.tasks.task import Instance, Listing, Task, template

FILE = Path(__file__).parents[2] / "assets" / "capitals.tsv"
EOS = "<eos>"
CASES = {
    "sentence": "write a true sentence from nothing",
    "capital": "name the capital of a country",
    "country": "name the country of a capital",
}


@cache
def capitals() -> dict[str, str]:
    """Country -> capital, both as one writes them in a sentence ("the Netherlands").

    Countries whose capital is disputed or shared between cities are left out.
    """
    lines = FILE.read_text(encoding="utf-8").splitlines()[1:]
    return {country: capital for country, capital in (line.split("\t") for line in lines)}


def sentence(country: str, capital: str) -> list[str]:
    """The words of "The capital of France is Paris ."; the full stop is a word of its own."""
    return ["The", "capital", "of", *country.split(), "is", *capital.split(), "."]


@cache
def sentences() -> tuple[tuple[str, ...], ...]:
    """Every true sentence, padded with EOS to one length; each ends in at least one EOS."""
    every = [sentence(country, capital) for country, capital in capitals().items()]
    length = max(map(len, every)) + 1
    return tuple((*words, *[EOS] * (length - len(words))) for words in every)


@cache
def vocabulary() -> tuple[str, ...]:
    """The words in order of first appearance, EOS last."""
    words = dict.fromkeys(word for line in sentences() for word in line)
    return (*(word for word in words if word != EOS), EOS)


def instances(case: str, count: int, seed: int) -> list[Instance]:
    """Templates of a case, countries drawn with replacement; nothing trains on them."""
    if case not in CASES:
        raise ValueError(f"a case of capitals must be one of {', '.join(CASES)}, got {case!r}")
    chance = random.Random(f"{case} {seed}")
    pairs = chance.choices(list(capitals().items()), k=count)
    return [_instance(case, *pair) for pair in pairs]


def case_of(words: Sequence[str | None]) -> str | None:
    """Which part of a sentence is left open."""
    if not any(words):
        return "sentence"
    if not all(words[:3]):
        return None
    if None in words and words[-1] is not None:
        return "country" if words.index(None) == 3 else None
    rest = words[words.index("is") + 1 :] if "is" in words else ["?"]
    return None if any(rest) else "capital"


def _instance(case: str, country: str, capital: str) -> Instance:
    words: Sequence[str] = sentence(country, capital)
    verb = words.index("is", 3 + len(country.split()))
    known: list[str | None] = list(words)
    if case == "country":
        known[3:verb] = [None] * (verb - 3)
        return Instance(template(known), tuple(words))
    start = 0 if case == "sentence" else verb + 1
    words = next(line for line in sentences() if list(line[: len(words)]) == words)
    known = [*known[:start], *[None] * (len(words) - start)]
    return Instance(template(known), tuple(words))


def check(words: Sequence[str], columns: int) -> Score:
    """Value 1 for a true sentence, else 0 with the words that make it false."""
    country_of = {capital: country for country, capital in capitals().items()}
    if words[:3] == ["The", "capital", "of"] and words[-1:] == ["."] and words.count("is") == 1:
        verb = words.index("is")
        country, capital = " ".join(words[3:verb]), " ".join(words[verb + 1 : -1])
        if capitals().get(country) == capital:
            return Score(1.0, "a true sentence", ())
        if country in capitals():
            truth = sentence(country, capitals()[country])
            named = capital or "nothing"
            reason = f"the capital of {country} is {capitals()[country]}, not {named}"
        elif capital in country_of:
            truth = sentence(country_of[capital], capital)
            named = country or "nothing"
            reason = f"{capital} is the capital of {country_of[capital]}, not of {named}"
        else:
            places = (*range(3, verb), *range(verb + 1, len(words) - 1))
            reason = f"there is no country {country or 'named'} here and no capital {capital}"
            return Score(0.0, f"not a true sentence: {reason}", places)
    else:
        truth = _nearest(words)
        reason = f"the nearest one is {' '.join(truth[:-1])}."
    return Score(0.0, f"not a true sentence: {reason}", _different(words, truth, columns))


def _nearest(words: Sequence[str]) -> list[str]:
    """The true sentence that shares the most positions."""
    every = [sentence(country, capital) for country, capital in capitals().items()]
    return max(every, key=lambda line: sum(a == b for a, b in zip(line, words, strict=False)))


def _different(words: Sequence[str], truth: list[str], columns: int) -> tuple[int, ...]:
    """Positions of `words` that are not in `truth`, once what both begin and end with is set aside.

    Where words are missing and none is wrong, the position they should have stood at.
    """
    start = next(
        (i for i, (a, b) in enumerate(zip(words, truth, strict=False)) if a != b),
        min(len(words), len(truth)),
    )
    stop = len(words)
    tail = len(truth)
    while stop > start and tail > start and words[stop - 1] == truth[tail - 1]:
        stop, tail = stop - 1, tail - 1
    return tuple(range(start, stop)) or tuple(range(columns)[min(start, columns - 1) :][:1])


TASK = Task(
    name="capitals",
    title="Capitals",
    summary="188 true sentences such as “The capital of France is Paris.”, whose exact posterior "
    "is the model. Tokens that are committed together may name a country and the capital of "
    "another one: the price of parallel decoding, and of nothing else.",
    examples=(
        "The capital of",
        "[MASK]*12",
        "The capital of [MASK] is [MASK].",
        "The capital of [MASK] is Paris.",
        "[MASK]*5 Lima.",
        "The capital of France is",
    ),
    models=("capitals", "capitals-hybrid", "capitals-uniform", "capitals-causal"),
    words=vocabulary(),
    eos=EOS,
    length=len(sentences()[0]),
    cases=CASES,
    instances=instances,
    checker=check,
    case_of=case_of,
    exact=lambda: Listing(sentences()),
)
