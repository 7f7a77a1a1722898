"""How a tale ends: evening or rain, the way home, the night, and a last word."""

from itertools import pairwise

from lab.tasks.tales.moves import Moves, going, move
from lab.tasks.tales.world import HOME, Person, Plot


def close(plot: Plot, stage: int) -> Moves:
    """The day ends, or they just go home."""
    if stage < 3:
        texts = "evening comes .", "the sun goes down .", "it is getting dark|late ."
        yield move(3, plot._replace(sky="dark").to("dusk"), *texts, link="late")
        yield move(
            1, plot._replace(sky="rain").to("dusk"), "it begins|starts to rain .", link="sudden"
        )
    yield from home(plot, stage)


def dusk(plot: Plot, stage: int) -> Moves:
    """It is dark or wet: somebody may be afraid."""
    present = plot.present
    if plot.sky == "dark" and stage < 3 and len(present) == 2:
        for a, b in (present, present[::-1]):
            after = plot.feel("afraid", b).to("fear", a, b)
            yield move(
                0.4, after, "N.b is afraid of the dark .", "N.b does not like the dark .", b=b
            )
    yield from home(plot, stage)


def fear(plot: Plot, stage: int) -> Moves:
    """One is afraid, the other is not."""
    a, b = plot.focus
    after = plot.feel("happy", b)._replace(sky="").to("home")
    yield move(1, after, "S.a takes O.b by the hand .", link="so", a=a, b=b)
    yield move(1, after, "“ I am with you , ” says N.a .", a=a)


def home(plot: Plot, stage: int) -> Moves:
    """Whoever is not at home goes there."""
    present = plot.present
    after = forgetful(plot.move(HOME, *present)).to("night")
    link = "so" if plot.sky in ("dark", "rain") else "then"
    verbs, single = ("run", "runs") if plot.sky == "rain" else ("go|walk", "goes|walks")
    text, roles = going(plot, f"{verbs} home .", f"{single} home .")
    yield move(1, after, text, link=link, **roles)
    if len(present) == 1:
        for k in plot.toys(present[0])[:1]:
            both = "S.a takes T.k home .", f"S.a {single} home with D.k ."
            yield move(1, after, *both, link=link, a=present[0], k=k)


def forgetful(plot: Plot) -> Plot:
    """Without what can no longer matter once all are at home."""
    cast = tuple(Person(person.sex, HOME) for person in plot.cast)
    return plot._replace(cast=cast, places=0, taker="", sky="", used=())


def night(plot: Plot, stage: int) -> Moves:
    """At home, each with what they have."""
    holders = [(i, k) for i in range(len(plot.cast)) for k in plot.toys(i)]
    for i, k in holders:
        weight, texts = (
            3 / len(holders),
            ["N.a dreams of D.k .", "N.a falls asleep with D.k in H.a arms ."],
        )
        yield move(
            weight,
            plot.to("last"),
            *texts,
            "N.a puts D.k next to H.a bed .",
            link="night",
            a=i,
            k=k,
        )
    for (i, k), (j, m) in pairwise(holders):
        if i != j:
            text = "now N.a has D.k , and N.b has D.m ."
            yield move(1.5, plot.to("last"), text, a=i, b=j, k=k, m=m)
    for i in plot.seen[:2]:
        yield move(
            0.5,
            plot.to("last"),
            "S.a is soon fast asleep .",
            "S.a falls asleep with a smile .",
            a=i,
        )
    yield from last(plot, stage)


def last(plot: Plot, stage: int) -> Moves:
    """The last word."""
    end = plot.to("end")
    texts = "it was a good|lovely|happy day .", "what a good|lovely|happy day it was ."
    yield move(1, end, *texts)
    for i in plot.seen[:2]:
        yield move(0.4, end, "“ What a good|lovely|happy day , ” says N.a .", a=i)
    friends = [(0, 1), (1, 2)][: len(plot.cast) - 1]
    for a, b in friends:
        texts = (
            "from that day on , N.a and N.b are good|best friends .",
            "N.a and N.b are good|best friends now .",
        )
        yield move(1.5 / len(friends), end, *texts, a=a, b=b)
