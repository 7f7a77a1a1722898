"""What a sampler is asked for: held-out tales of which words are missing or wrong."""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from lab.tasks.score import Score
from lab.tasks.tales.checker import MASKS, check, named
from lab.tasks.tales.drawing import draw
from lab.tasks.tales.lexicon import CLASS, EOS, INDEX, NAMES, WORDS
from lab.tasks.tales.process import EOS_ID, log_prob
from lab.tasks.tales.reading import sentences

MASK = MASKS[0]
WRONG_WORDS = 3
CASES = {
    "continue": "go on from the first sentence",
    "middle": "fill in what lies between the first and the last sentence",
    "names": "fill in every name",
    "repair": f"put a story right in which {WRONG_WORDS} words are wrong",
}


class TaleInstance(NamedTuple):
    """text: a prompt (continue), a template with [MASK] (middle, names) or a draft (repair).

    solution: the held-out story behind it, one of those that score 1.
    """

    case: str
    text: str
    solution: str


def instances(case: str, count: int, seed: int) -> list[TaleInstance]:
    """Instances of a case, from stories that are held out by content. ValueError: no such case."""
    if case not in CASES:
        raise ValueError(f"no case {case!r}; there are {', '.join(CASES)}")
    chance = random.Random(seed)
    discovered = []
    for row in draw(count, seed, held_out=True).tolist():
        ids = tuple(row[: row.index(EOS_ID)])
        discovered.append(TaleInstance(case, _text(case, ids, chance), _words(ids)))
    return discovered


def _words(ids: Sequence[int]) -> str:
    return " ".join(WORDS[i] for i in ids)


def _text(case: str, ids: tuple[int, ...], chance: random.Random) -> str:
    bounds = sentences(ids)
    first, last = bounds[0][1], bounds[-1][0]
    if case == "continue":
        return _words(ids[:first])
    if case == "repair":
        return _words(damaged(ids, WRONG_WORDS, chance))
    words = [WORDS[i] for i in ids]
    if case == "middle":
        return " ".join([*words[:first], *[MASK] * (last - first), *words[last:]])
    names = {*NAMES["f"], *NAMES["m"]}
    return " ".join(MASK if word in names else word for word in words)


def swaps(word: str) -> list[str]:
    """The other words of its class that may stand by mistake for a name, a colour, a pronoun."""
    groups = (("girl", "boy"), ("colour",), ("place",), ("toy",), ("food",), ("pronoun",))
    group = next((group for group in groups if CLASS.get(word) in group), ())
    same = [other for other, kind in CLASS.items() if kind in group and other != word]
    return [other for other in same if other[0].isupper() == word[0].isupper()]


def damaged(ids: tuple[int, ...], count: int, chance: random.Random) -> tuple[int, ...]:
    """The story with so many words exchanged, each of which alone makes it impossible."""
    words = list(ids)
    places = [i for i, word in enumerate(ids) if swaps(WORDS[word])]
    for at in chance.sample(places, len(places)):
        other = INDEX[chance.choice(swaps(WORDS[ids[at]]))]
        alone = (*ids[:at], other, *ids[at + 1 :], EOS_ID)
        if log_prob(alone) == -math.inf:
            words[at] = other
            count -= 1
        if count == 0:
            break
    return tuple(words)


def score(tale: Sequence[int] | Sequence[str], instance: TaleInstance | None = None) -> Score:
    """Judge a tale; a sentence in which a given word is changed counts as wrong too.

    A draft (repair) gives no word that must stay.
    """
    judged = check(tale)
    if instance is None or instance.case == "repair" or math.isnan(judged.value):
        return judged
    words = [word if isinstance(word, str) else named(int(word)) for word in tale]
    handed = instance.text.split()
    if instance.case != "continue" and len(words) > len(handed):
        handed.append(EOS)  # a template says how long the story is
    padded = [*words, *[""] * (len(handed) - len(words))]
    changed = [i for i, word in enumerate(handed) if word not in (MASK, padded[i])]
    if not changed:
        return judged
    visible = words[: words.index(EOS)] if EOS in words else words
    bounds = sentences(tuple(INDEX.get(word, -1) for word in visible))
    wrong = {min(i, len(words) - 1) for i in (*judged.wrong, *changed)}
    bad = {next((n for n, (_, end) in enumerate(bounds) if i < end), len(bounds)) for i in wrong}
    value = max(0.0, 1 - len(bad) / max(len(bounds), len(bad), 1))
    first = changed[0]
    message = f'"{handed[first]}" was given, the story has "{padded[first] or EOS}"'
    return Score(value, message, tuple(sorted(wrong)))
