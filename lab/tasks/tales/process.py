"""The tale as a process from left to right: from a state, sentence by sentence, to the next state.

Everything is exact: the options of a state can be listed, the probability of a text is a sum over
all derivations of its words, and so is the distribution of the next word.
"""

import math
from bisect import bisect, bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from lab.tasks.tales import ending, sharing, trouble
from lab.tasks.tales import plot as plots
from lab.tasks.tales.lexicon import EOS, INDEX, WORDS
from lab.tasks.tales.pattern import EMPTY, Binding, Items, Literal, longest, spell, walk
from lab.tasks.tales.wording import Context, compiled, mentions
from lab.tasks.tales.world import EATEN, GROUND, LOST, Plot

LENGTH = 96
STAGES = (37, 47, 64)  # how many tokens a tale has when it must turn towards its end
LATE = len(STAGES)
EOS_ID = INDEX[EOS]
BEATS = {
    name: beat
    for module in (plots, trouble, sharing, ending)
    for name, beat in vars(module).items()
    if callable(beat) and getattr(beat, "__module__", "") == module.__name__
}


class State(NamedTuple):
    """plot: the state in numbers; binding: their names and colours; length: tokens so far."""

    plot: Plot = Plot()
    binding: Binding = EMPTY
    length: int = 0


class Option(NamedTuple):
    """One wording of one move."""

    share: float
    items: Items
    after: Plot


def stage(length: int) -> int:
    return bisect(STAGES, length)


def settled(plot: Plot) -> Plot:
    """The plot without what can no longer matter, so that there are fewer of them."""
    if plot.beat in ("end", "over"):
        return Plot(plot.beat)
    if plot.beat == "last":
        return plot._replace(things=(), focus=())
    if plot.beat == "calm":
        plot = plot.feel("", *range(len(plot.cast)))
    if plot.sky == "windy" and "loss" in plot.used:
        plot = plot._replace(sky="fair")
    kinds = {
        "food",
        "" if "break" in plot.used else "frail",
        "light" if plot.sky == "windy" else "",
    }
    things = [t if t.kind in kinds else t._replace(kind="firm") for t in plot.things]
    lost = any(GROUND <= thing.at < LOST for thing in plot.things)
    return plot._replace(things=tuple(things), taker=plot.taker if lost else "")


def spoken(plot: Plot, seen: tuple[int, ...], it: int) -> Plot:
    """The plot after a sentence that named these persons (or none) and this thing."""
    if plot.beat in ("end", "over"):
        return plot
    named = 0 <= it < len(plot.things) and plot.things[it].at != EATEN
    return plot._replace(seen=seen or plot.seen, it=it if named else -1)


@cache
def options(plot: Plot, stage: int) -> tuple[Option, ...]:
    """What may follow by the plot, before names and colours are chosen; shares are relative."""
    if plot.beat == "end":
        return (Option(1.0, (Literal((EOS_ID,)),), plot.to("over")),)
    discovered = []
    for move in BEATS[plot.beat](plot, stage):
        ctx, after = Context.of(plot, move.after, dict(move.roles)), settled(move.after)
        for text in move.texts:
            items = compiled(text, move.roles, move.link, ctx)
            then = spoken(after, *mentions(text, move.roles))
            discovered.append(Option(move.weight / len(move.texts), items, then))
    return tuple(discovered)


@cache
def way_out(plot: Plot) -> int:
    """With how many tokens a tale can always be ended from here."""
    if plot.beat == "over":
        return 0
    return min(longest(option.items) + way_out(option.after) for option in options(plot, LATE))


@cache
def latest(plot: Plot, stage: int) -> tuple[int, ...]:
    """For each option the length up to which a tale may take it, so that it ends in LENGTH."""
    return tuple(
        LENGTH - longest(option.items) - way_out(option.after) for option in options(plot, stage)
    )


@cache
def some_offers(plot: Plot, stage: int, closed: int) -> tuple[Option, ...]:
    lengths = latest(plot, stage)
    least = sorted(lengths)[min(closed, len(lengths) - 1)]
    pairs = zip(options(plot, stage), lengths, strict=True)
    open_ones = [option for option, last in pairs if last >= least]
    total = math.fsum(option.share for option in open_ones)
    return tuple(option._replace(share=option.share / total) for option in open_ones)


def closed(plot: Plot, length: int) -> int:
    """How many of the options of a plot are too long for a tale of this length already."""
    return bisect_left(sorted(latest(plot, stage(length))), length)


def offers(state: State) -> tuple[Option, ...]:
    """The options of a state; their shares add up to 1."""
    plot, _, length = state
    return some_offers(plot, stage(length), closed(plot, length)) if plot.beat != "over" else ()


def follow(state: State, tokens: Sequence[int]) -> Iterator[tuple[float, int, State]]:
    """The ways to read the sentence that begins where the state is: (probability, next, state).

    next is -1, or the word that follows where the tokens end within the sentence.
    """
    start = state.length
    for share, items, after in offers(state):
        for part, end, word, binding in walk(items, tokens, start, state.binding):
            yield share * part, word, State(after, binding, end)


def forward(tokens: Sequence[int]) -> tuple[list[dict[State, float]], dict[int, float]]:
    """Sum over the derivations of a text: (at each position the states there, the next words).

    Both with the probability of the whole text up to there.
    """
    states: list[dict[State, float]] = [{} for _ in range(len(tokens) + 1)]
    states[0][State()] = 1.0
    words: dict[int, float] = {}
    for here in states:
        for state, mass in here.items():
            for share, word, after in follow(state, tokens):
                if word < 0:
                    there = states[after.length]
                    there[after] = there.get(after, 0.0) + mass * share
                else:
                    words[word] = words.get(word, 0.0) + mass * share
    return states, words


def text_of(ids: Sequence[int]) -> tuple[int, ...] | None:
    """The ids up to the first end; None where something follows it."""
    ids = tuple(map(int, ids))
    if EOS_ID not in ids:
        return ids
    end = ids.index(EOS_ID) + 1
    return ids[:end] if set(ids[end:]) <= {EOS_ID} else None


def states(ids: Sequence[int]) -> dict[State, float]:
    """The states a text may have led to, with their probabilities given the text."""
    text = text_of(ids)
    here = forward(text)[0][-1] if text is not None else {}
    total = sum(here.values())
    return {state: mass / total for state, mass in here.items()}


def log_prob(ids: Sequence[int]) -> float:
    """The natural log of a text's probability; -inf where the grammar cannot write it.

    A text with its end (and as many more as pad it) is a whole story; without, it is a beginning,
    and all ways to go on are summed.
    """
    text = text_of(ids)
    if text is None:
        return -math.inf
    states, words = forward(text)
    total = sum(states[-1].values()) if text[-1:] == (EOS_ID,) else math.fsum(words.values())
    return math.log(total) if total > 0 else -math.inf


def next_tokens(ids: Sequence[int]) -> dict[str, float]:
    """The exact distribution of the word after a text; empty where nothing can follow."""
    text = text_of(ids)
    _, words = forward(text) if text is not None else ([], {})
    total = math.fsum(words.values())
    return {WORDS[word]: mass / total for word, mass in words.items()}


def expand(state: State) -> list[tuple[float, tuple[int, ...], State]]:
    """Everything that may follow a state, one by one: (probability, words, next state)."""
    return [
        (option.share * share, ids, State(option.after, binding, state.length + len(ids)))
        for option in offers(state)
        for share, ids, binding in spell(option.items, state.binding)
    ]
