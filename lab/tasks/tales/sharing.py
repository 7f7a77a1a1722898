"""What friends give, lend, trade and eat; a beat's focus is as in trouble.py."""

from lab.tasks.tales.moves import Moves, move, new_toy, newcomer
from lab.tasks.tales.world import EATEN, Plot


def hungry(plot: Plot, stage: int) -> Moves:
    """Somebody is alone and hungry: a friend comes with food."""
    (a,) = plot.focus
    at, m = plot.cast[a].at, len(plot.things)
    for share, b, after in newcomer(plot, at):
        after = after.gain("food", b).to("feed", b, a, m)
        texts = (
            "N.b comes to the P.p with A.m .",
            "N.b comes along with A.m .",
            "N.b comes along and has A.m .",
        )
        yield move(share, after, *texts, link="soon", b=b, m=m, p=at)


def famished(plot: Plot, stage: int) -> Moves:
    """Somebody who has come is hungry: the other has food."""
    b, a = plot.focus
    m = len(plot.things)
    after = plot.gain("food", a).to("feed", a, b, m)
    texts = "S.a has A.m in H.a bag|basket .", "S.a takes A.m out of H.a bag|basket ."
    yield move(1, after, *texts, a=a, m=m)


def feed(plot: Plot, stage: int) -> Moves:
    """One has food, the other is hungry."""
    a, b, m = plot.focus
    if stage < 2:
        yield move(1, plot.to("hand", a, b, m), "“ You can have it , ” says N.a .", a=a)
    yield from hand(plot, stage)


def hand(plot: Plot, stage: int) -> Moves:
    """The food changes hands, or is shared."""
    a, b, m = plot.focus
    handed = plot.put(m, b).to("eat", b, a, m)
    yield move(3, handed, "S.a gives T.m to O.b .", "S.a gives O.b D.m .", a=a, b=b, m=m)
    eaten = plot.put(m, EATEN).feel("happy", a, b).to("thanks", b, a)
    yield move(2, eaten, "G.ab share D.m .", "S.a gives O.b half of T.m .", a=a, b=b, m=m)


def eat(plot: Plot, stage: int) -> Moves:
    """Who was hungry eats."""
    b, a, m = plot.focus
    after = plot.put(m, EATEN).feel("happy", b).to("thanks", b, a)
    yield move(1, after, "S.b eats T.m .", "S.b eats T.m up .", b=b, m=m)


def lonely(plot: Plot, stage: int) -> Moves:
    """Somebody is alone: a friend comes with a toy."""
    (a,) = plot.focus
    at = plot.cast[a].at
    for half, b, met in newcomer(plot, at):
        for share, m, after in new_toy(met, b):
            texts = (
                "N.b comes to the P.p with A.m .",
                "N.b comes along with A.m .",
                "S.a sees N.b with A.m .",
            )
            after = after.to("share", b, a, m)
            yield move(half * share, after, *texts, link="soon", a=a, b=b, m=m, p=at)


def share(plot: Plot, stage: int) -> Moves:
    """One has a toy, the other has none."""
    b, a, m = plot.focus
    texts: tuple[str, ...]
    if stage < 2:
        texts = (
            "“ Let us play , ” says N.b .",
            "“ You can W.m it too , ” says N.b .",
            "S.b wants to play with O.a .",
        )
        yield move(3, plot.to("together", b, a, m), *texts, a=a, b=b, m=m)
    yield from together(plot, stage)
    texts = "S.a likes T.m .", "S.a would like to W.m D.m too ."
    yield move(1, plot.to("wish", a, b, m), *texts, a=a, m=m)


def together(plot: Plot, stage: int) -> Moves:
    """Two play with one toy."""
    b, a, m = plot.focus
    after = plot.feel("happy", a, b).once("play").to("calm")
    yield move(
        1, after, "G.ab W.m T.m together .", "G.ab take turns with T.m .", link="so", a=a, b=b, m=m
    )


def wish(plot: Plot, stage: int) -> Moves:
    """One would like to have the other's toy."""
    b, a, k = plot.focus
    if stage < 2:
        texts = "“ You can have it , ” says N.a .", "“ I have other toys , ” says N.a ."
        yield move(2, plot.to("give", b, a, k), *texts, a=a)
        texts = "“ Let us play together , ” says N.a .", "“ You can W.k it too , ” says N.a ."
        yield move(2, plot.to("together", a, b, k), *texts, a=a, k=k)
    yield from give(plot, stage)
    yield from together(plot.to("wish", a, b, k), stage)


def give(plot: Plot, stage: int) -> Moves:
    """A present."""
    b, a, k = plot.focus
    after = plot.put(k, b).feel("happy", b).to("thanks", b, a)
    yield move(2, after, "S.a gives T.k to O.b .", "S.a gives O.b D.k .", link="so", a=a, b=b, k=k)


def both(plot: Plot, stage: int) -> Moves:
    """Each has a toy: they trade, or play."""
    a, k, b, m = plot.focus
    if stage < 2:
        after = plot.to("trade", a, k, b, m)
        yield move(3, after, "N.a likes D.m , and N.b likes D.k .", a=a, b=b, k=k, m=m)
    after = plot.feel("happy", a, b).once("play").to("calm")
    yield move(
        2, after, "G.ab play together .", "G.ab play together all day .", link="so", a=a, b=b
    )


def trade(plot: Plot, stage: int) -> Moves:
    """Each gets what the other had."""
    a, k, b, m = plot.focus
    after = plot.put(k, b).put(m, a).feel("happy", a, b).to("traded", a, k, b, m)
    texts = "N.a gives D.k to N.b and gets D.m .", "N.b gives D.m to N.a and gets D.k ."
    yield move(1, after, *texts, link="so", a=a, b=b, k=k, m=m)


def traded(plot: Plot, stage: int) -> Moves:
    """They have traded."""
    a, k, b, m = plot.focus
    after = plot.to("calm")
    if stage < 2:
        yield move(2, after, "now N.a has D.m , and N.b has D.k .", a=a, b=b, k=k, m=m)
    yield move(1, after, "both are happy .", "they are both happy .", a=a, b=b)
