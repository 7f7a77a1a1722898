"""Judge a tale: which sentences do not follow from what came before, and in one line why."""

import math
from collections.abc import Sequence

from lab.tasks.score import Score
from lab.tasks.tales.lexicon import CLASS, EOS, INDEX, PLACES, SEX, WORDS
from lab.tasks.tales.pattern import NAME, NOUN, PLACE
from lab.tasks.tales.reading import Mistake, read
from lab.tasks.tales.world import HOME

MASKS = ("[MASK]", "<mask>")
RIGHT = "every sentence follows"


def check(tale: Sequence[int] | Sequence[str]) -> Score:
    """Judge a tale, given as words or as ids; what follows the first end is not looked at.

    value: the share of sentences that follow, where a missing end counts as one that does not;
    NaN where positions are still masked. wrong: the first wrong word of each bad sentence.
    """
    words = [str(word) if isinstance(word, str) else named(int(word)) for word in tale]
    visible = words[: words.index(EOS)] if EOS in words else words
    masked = sum(word in MASKS for word in visible)
    if masked:
        return Score(math.nan, f"not finished: {masked} masked positions", ())
    text = tuple(INDEX.get(word, -1) for word in visible)
    bounds, reading = read(text)
    discovered = [(mistake.at, why(mistake, visible)) for mistake in reading.mistakes]
    total = len(bounds)
    unfinished = not text or text[-1] not in (INDEX["."], INDEX["”"])
    if reading.state.plot.beat != "end" and not (
        unfinished and discovered and discovered[-1][0] >= bounds[-1][0]
    ):
        discovered.append((len(visible), "the story does not end"))
        total += 1
    if not discovered:
        return Score(1.0, RIGHT, ())
    more = f" (and {len(discovered) - 1} more)" if len(discovered) > 1 else ""
    last = max(len(words) - 1, 0)
    return Score(
        max(0.0, 1 - len(discovered) / max(total, 1)),
        discovered[0][1] + more,
        tuple(sorted({min(at, last) for at, _ in discovered})),
    )


def named(number: int) -> str:
    """The word of an id; what lies outside the vocabulary is taken for a masked position."""
    return WORDS[number] if 0 <= number < len(WORDS) else MASKS[0]


def why(mistake: Mistake, words: Sequence[str]) -> str:
    """What is wrong with a sentence, for people."""
    if not mistake.expected:
        return "the story goes on after its end"
    here = words[mistake.at] if mistake.at < len(words) else ""
    if not here or mistake.at >= mistake.start + len(mistake.sentence):
        return "a sentence breaks off"
    if here not in INDEX:
        return f'"{here}" is not a word of these tales'
    expected = (
        WORDS[mistake.expected[mistake.place]] if mistake.place < len(mistake.expected) else "."
    )
    if mistake.distance > max(2, len(mistake.sentence) // 3):
        return f"{quoted(mistake.sentence)} cannot come here"
    kinds = CLASS.get(expected), CLASS.get(here)
    people = ("girl", "boy")
    if kinds[0] in people and kinds[1] in people:
        return wrong_person(mistake, expected, here)
    if "pronoun" in kinds and {*kinds} <= {"pronoun", *people}:
        return wrong_pronoun(mistake, expected, here)
    if kinds == ("place", "place"):
        return wrong_place(mistake, expected, here)
    if kinds[0] == kinds[1] and kinds[0] in ("colour", "taste"):
        noun = WORDS[mistake.expected[mistake.place + 1]]
        return f"the {noun} is {expected}, not {here}"
    if kinds[0] == kinds[1] and kinds[0] in ("toy", "food", "animal"):
        return f"it is the {expected}, not the {here}"
    return f'"{here}" does not fit in {quoted(mistake.sentence)}'


def quoted(sentence: Sequence[int]) -> str:
    """A sentence as it is printed."""
    return f"“{spaced([WORDS[word] if word >= 0 else '?' for word in sentence])}”"


def spaced(words: Sequence[str]) -> str:
    """Words as a text, no space before punctuation or within quotation marks."""
    text = ""
    for word in words:
        closing = word in (".", ",", "”")
        text += word if closing or not text or text.endswith("“") else f" {word}"
    return text


def _holder(mistake: Mistake, noun: int) -> str | None:
    """Who holds a thing, by its noun."""
    plot, binding = mistake.state.plot, mistake.state.binding
    for k, thing in enumerate(plot.things):
        if binding[NOUN + k] == noun and thing.at < len(plot.cast):
            return WORDS[binding[NAME + thing.at]]
    return None


def wrong_person(mistake: Mistake, expected: str, here: str) -> str:
    """A name that does not fit."""
    plot, binding = mistake.state.plot, mistake.state.binding
    names = [WORDS[binding[NAME + i]] for i in range(len(plot.cast))]
    if here not in names:
        return f"{here} is not in the story, {expected} is"
    verb = (
        WORDS[mistake.expected[mistake.place + 1]]
        if mistake.place + 1 < len(mistake.expected)
        else ""
    )
    for noun in mistake.expected[mistake.place :]:
        if CLASS.get(WORDS[noun]) in ("toy", "food") and _holder(mistake, noun) == expected:
            verb = verb if verb in ("gives", "takes", "puts", "has") else "has"
            return f"{here} {verb} the {WORDS[noun]}, but {expected} holds it"
    person = plot.cast[names.index(here)]
    if person.at == HOME and expected in names:
        return f"{here} is at home, it is {expected} who is here"
    return f"{expected} is meant here, not {here}"


def wrong_pronoun(mistake: Mistake, expected: str, here: str) -> str:
    """A pronoun, or a name where one should stand, that does not fit."""
    plot, binding = mistake.state.plot, mistake.state.binding
    sex = SEX.get(expected.lower())
    meant = [WORDS[binding[NAME + i]] for i in plot.seen if sex in (None, plot.cast[i].sex)]
    if CLASS[expected] != "pronoun":
        meant = [expected]
    if len(meant) == 1 and CLASS[here] != "pronoun":
        return wrong_person(mistake, meant[0], here)
    if not meant:
        return f'"{here}" does not fit here, "{expected}" would'
    return (
        f'"{here}" does not fit: {" and ".join(meant)} {"is" if len(meant) == 1 else "are"} meant'
    )


def wrong_place(mistake: Mistake, expected: str, here: str) -> str:
    """Somebody or something is in two places."""
    plot, binding = mistake.state.plot, mistake.state.binding
    for i, person in enumerate(plot.cast):
        if person.at >= 0 and WORDS[binding[PLACE + person.at]] == expected:
            where = f"{PLACES[expected][0]} the {expected}"
            return f"{WORDS[binding[NAME + i]]} is {where}, not {PLACES[here][0]} the {here}"
    return f"it is the {expected}, not the {here}"
