"""A little notation for what can be said, and how it becomes a pattern.

Words stand as they are; a|b is one of both, a_b two words; the rest names somebody or something by
a letter (a, b, c: persons; k, m: things; p, q: places; x: the animal):

    S.a subject (he, she or the name)  O.a object (him, her or the name)  N.a the name
    H.a his, her  M.a him, her  Y.a he, she  G.ab both (they, or their names)  G.abc they all
    T.k the thing (it, the ball, the red ball)  D.k the same, never it  A.k a red ball
    C.k its colour  U.k its noun  V.k what one does with it  W.k what several do
    P.p the place  I.p in the place  L.p where in it  B.x the animal  R.x how it moves
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from lab.tasks.tales import lexicon
from lab.tasks.tales.pattern import (
    BEAST,
    COLOUR,
    NAME,
    NOUN,
    PLACE,
    Items,
    Literal,
    Slot,
    Variants,
    text_ids,
)
from lab.tasks.tales.world import Plot

# Connectives of each kind, and how often a sentence begins with one.
LINKS = {
    "": (0.0, ()),
    "then": (0.35, ("then", "now")),
    "late": (0.6, ("soon", "now", "at last")),
    "soon": (0.75, ("soon", "just then ,", "after a while ,", "a little later ,")),
    "sudden": (0.75, ("suddenly ,", "but then", "all at once ,")),
    "so": (0.5, ("so",)),
    "but": (0.5, ("but",)),
    "there": (0.7, ("there",)),
    "night": (0.7, ("that night ,", "at bedtime ,")),
}


class Context(NamedTuple):
    """What the words of a pattern depend on besides the binding, for those it speaks of.

    sexes: of the persons by number; clear: the persons he or she may stand for; both: whether
    "they" means its two; new: the letters of those it brings in; kinds: of the new things.
    """

    sexes: tuple[tuple[int, str], ...]
    clear: frozenset[int]
    both: bool
    it: int
    new: frozenset[str]
    kinds: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, before: Plot, after: Plot, roles: Mapping[str, int]) -> Context:
        """The context of a sentence that leads from one plot to the next."""
        people = {number for letter, number in roles.items() if letter in "abc"}
        things = {number for letter, number in roles.items() if letter in "km"}
        counts = {"abc": len(before.cast), "pq": before.places, "km": len(before.things)}
        new = {
            letter
            for letters, count in counts.items()
            for letter, number in roles.items()
            if letter in letters and number >= count
        }
        if after.taker == "beast" != before.taker:
            new.add("x")
        return cls(
            tuple((number, after.cast[number].sex) for number in sorted(people)),
            frozenset(number for number in people if before.may_mean(number)),
            people == {*before.seen},
            before.it if before.it in things else -1,
            frozenset(new),
            tuple((roles[c], after.things[roles[c]].kind) for c in sorted(new & {*"km"})),
        )


Roles = Mapping[str, int]


def domain(form: str, letter: str, ctx: Context, number: int) -> tuple[int, ...]:
    """The words a slot is free to choose from; none where what it names is known."""
    if letter not in ctx.new:
        return ()
    discovered: tuple[str, ...]
    if form == "N":
        discovered = lexicon.NAMES[dict(ctx.sexes)[number]]
    elif form in "CUVW":
        kind = dict(ctx.kinds)[number]
        colours = lexicon.TASTES if kind == "food" else lexicon.COLOURS
        discovered = colours if form == "C" else tuple(lexicon.THINGS[kind])
    else:
        discovered = tuple(lexicon.PLACES if form in "PIL" else lexicon.BEASTS)
    return tuple(lexicon.INDEX[word] for word in discovered)


def slot(form: str, letter: str, roles: Roles, ctx: Context) -> Slot:
    """The slot of one form for a person, place, thing or animal."""
    number = roles[letter]
    first, end = {
        "N": (NAME, PLACE), "P": (PLACE, COLOUR), "I": (PLACE, COLOUR), "L": (PLACE, COLOUR),
        "C": (COLOUR, NOUN), "B": (BEAST, BEAST), "R": (BEAST, BEAST),
    }.get(form, (NOUN, BEAST))  # fmt: skip
    return Slot(first + number, form, domain(form, letter, ctx, number), range(first, end))


def literal(text: str) -> Items:
    return (Literal(text_ids(text)),) if text else ()


def either(share: float, first: Items, second: Items) -> Items:
    """The first with this probability, else the second."""
    return (Variants(((share, first), (1 - share, second))),)


def thing(form: str, letter: str, roles: Roles, ctx: Context) -> Items:
    """A thing: it, the ball, the red ball, or as new: a red ball."""
    colour, noun = slot("C", letter, roles, ctx), slot("U", letter, roles, ctx)
    if form == "A":
        return (*literal("a"), colour, noun)
    named = either(0.5, (*literal("the"), noun), (*literal("the"), colour, noun))
    known = form == "T" and ctx.it == roles[letter]
    return either(0.4, literal("it"), named) if known else named


def person(form: str, letter: str, roles: Roles, ctx: Context) -> Items:
    """A person as a subject, an object or an owner; a pronoun only where it is clear."""
    number = roles[letter]
    she, her, hers = lexicon.PRONOUNS[dict(ctx.sexes)[number]]
    if form in "HMY":
        return literal({"H": hers, "M": her, "Y": she}[form])
    name = (slot("N", letter, roles, ctx),)
    clear = number in ctx.clear
    return either(0.75, literal(she if form == "S" else her), name) if clear else name


def reference(form: str, letters: str, roles: Roles, ctx: Context) -> Items:
    """The items of one reference of the notation."""
    if form == "G" and len(letters) == 3:
        return literal("they all")
    if form == "G":
        first, second = (slot("N", letter, roles, ctx) for letter in letters)
        names = (first, *literal("and"), second)
        return either(0.7, literal("they"), names) if ctx.both else names
    if form in "SOHMY":
        return person(form, letters, roles, ctx)
    if form in "TDA":
        return thing(form, letters, roles, ctx)
    return (slot(form, letters, roles, ctx),)


def parse(part: str, roles: Roles, ctx: Context) -> Items:
    """The items of one part of a text, which has no spaces."""
    if "|" in part:
        options = part.split("|")
        return (Variants(tuple((1 / len(options), parse(o, roles, ctx)) for o in options)),)
    items: Items = ()
    for word in filter(None, part.split("_")):
        form, dot, letters = word.partition(".")
        items += reference(form, letters, roles, ctx) if dot and form else literal(word)
    return items


def joined(items: Items) -> Items:
    """The same with neighbouring words in one."""
    discovered: list[Literal | Slot | Variants] = []
    for item in items:
        if discovered and isinstance(item, Literal) and isinstance(discovered[-1], Literal):
            discovered[-1] = Literal(discovered[-1].ids + item.ids)
        else:
            discovered.append(item)
    return tuple(discovered)


def upper(word: str) -> str:
    return word[0].upper() + word[1:]


def capital(items: Items) -> Items:
    """The same with a capital at its beginning."""
    first, rest = items[0], items[1:]
    if isinstance(first, Literal):
        head = lexicon.INDEX[upper(lexicon.WORDS[first.ids[0]])]
        return (Literal((head, *first.ids[1:])), *rest)
    if isinstance(first, Variants):
        options = tuple((share, capital(option)) for share, option in first.options)
        return (Variants(options), *rest)
    return items  # a name


@cache
def compiled(text: str, roles: tuple[tuple[str, int], ...], link: str, ctx: Context) -> Items:
    """The pattern of a text, with or without a connective of the kind `link` before it."""
    items: Items = ()
    for part in text.split():
        items += parse(part, dict(roles), ctx)
    items = joined(items)
    share, links = LINKS[link]
    if not links:
        return capital(items)
    options = [(1 - share, capital(items))]
    options += [(share / len(links), joined((*literal(upper(one)), *items))) for one in links]
    return (Variants(tuple(options)),)


@cache
def mentions(text: str, roles: tuple[tuple[str, int], ...]) -> tuple[tuple[int, ...], int]:
    """The persons a text names or means, and the one thing it names.

    The thing is -1 where there is none or several, and where an animal might be meant by "it".
    """
    number = dict(roles)
    parts = [word.partition(".") for part in text.split() for word in re.split("[|_]", part)]
    discovered = [(form, letters) for form, dot, letters in parts if dot and form]
    people = {number[c] for form, letters in discovered if form in "SONGHMY" for c in letters}
    things = {number[letters] for form, letters in discovered if form in "TDACU"}
    beast = any(form == "B" for form, _ in discovered)
    return tuple(sorted(people)), things.pop() if len(things) == 1 and not beast else -1
