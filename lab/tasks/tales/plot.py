"""How a tale opens, what somebody has or finds, who comes along, and what may come next.

The longer a tale already is (its stage, from 0 to 3), the straighter it goes to its end. Each beat
is a function of the plot and the stage that yields the moves that may follow.
"""

from lab.tasks.tales import ending, trouble
from lab.tasks.tales.moves import Moves, going, move, new_toy, newcomer, room
from lab.tasks.tales.world import Plot


def opening(plot: Plot, stage: int) -> Moves:
    """Somebody is somewhere."""
    for sky, weight, kinds in (("fair", 3, "sunny|warm|bright|quiet"), ("windy", 1, "windy")):
        for sex in "fm":
            after = plot.place().enter(sex, 0)._replace(sky=sky).to("start")
            yield move(
                weight,
                after,
                f"One {kinds} day|morning , N.a is I.p .",
                f"One {kinds} day|morning , N.a goes|walks to the P.p .",
                f"it is a {kinds} day|morning , and N.a is I.p .",
                f"on a {kinds} day|morning , N.a goes|walks to the P.p .",
                a=0,
                p=0,
            )


def start(plot: Plot, stage: int) -> Moves:
    """The first has something, finds something, or lacks something."""
    for share, k, after in new_toy(plot, 0):
        own = after.to("enjoy", 0, k)
        yield move(2.5 * share, own, "S.a has A.k .", "S.a has A.k with M.a .", a=0, k=k)
        yield move(1.5 * share, after.to("turn", 0, k), "S.a V.k A.k .", a=0, k=k)
        discovered = after.feel("happy", 0).to("enjoy", 0, k)
        places = "S.a finds A.k .", "S.a finds A.k L.p .", "S.a sees A.k L.p and picks it up ."
        yield move(4 * share, discovered, *places, link="there", a=0, k=k, p=0)
    lonely = plot.feel("lonely", 0).to("lonely", 0)
    texts: tuple[str, ...] = (
        "S.a has nobody to play with .",
        "S.a is all alone .",
        "S.a wants to play , but nobody is there .",
    )
    yield move(2, lonely, *texts, a=0)
    hungry = plot.feel("hungry", 0).to("hungry", 0)
    yield move(1.5, hungry, "S.a is hungry .", "S.a is very hungry .", a=0)
    for share, b, after in newcomer(plot.place(), plot.places):
        texts = ("H.a friend N.b is I.q .", "S.a knows that N.b is I.q .")
        yield move(2 * share, after.to("visit", 0, b), *texts, a=0, b=b, q=plot.places)


def visit(plot: Plot, stage: int) -> Moves:
    """One goes to where the other is."""
    a, b = plot.focus
    q = plot.cast[b].at
    after = plot.move(q, a).to("meet", b, a)
    texts = (
        "S.a goes|walks|runs to the P.q to meet O.b .",
        "S.a goes|walks|runs to the P.q to play with O.b .",
    )
    yield move(1, after, *texts, link="so", a=a, b=b, q=q)


def enjoy(plot: Plot, stage: int) -> Moves:
    """Somebody has a toy and is glad of it."""
    a, k = plot.focus
    after = plot.feel("happy", a).to("turn", a, k)
    if plot.cast[a].mood == "happy":
        yield move(
            3, after, "S.a is happy .", "S.a is very happy .", "S.a smiles .", "S.a laughs .", a=a
        )
    else:
        yield move(2, after, "S.a loves|likes T.k very much .", a=a, k=k)
        yield move(1, after, "S.a loves|likes T.k more than all H.a other toys .", a=a, k=k)
    texts = "S.a V.k T.k .", "S.a V.k T.k all day .", "S.a wants to W.k T.k ."
    yield move(3, after, *texts, a=a, k=k)
    for turning in turn(plot, stage):
        yield turning._replace(weight=turning.weight / 4)


def turn(plot: Plot, stage: int) -> Moves:
    """Something happens to one who is alone with a toy."""
    a, k = plot.focus
    yield from trouble.loss(plot, a, k)
    yield from trouble.breaking(plot, a, k)
    yield from arrival(plot, a, 4)


def arrival(plot: Plot, host: int, weight: float) -> Moves:
    """A friend comes to where somebody is."""
    at = plot.cast[host].at
    if room(plot, people=1):
        for share, b, after in newcomer(plot, at):
            texts = "N.b comes to the P.p .", "N.b comes along .", "S.a sees N.b ."
            yield move(
                weight * share, after.to("meet", b, host), *texts, link="soon", a=host, b=b, p=at
            )


def meet(plot: Plot, stage: int) -> Moves:
    """Two have met: the one who came, or was visited, wants or has something."""
    b, a = plot.focus
    toys = plot.toys(a)
    for k in toys:
        after = plot.to("wish", b, a, k)
        texts: tuple[str, ...] = (
            "S.b likes T.k .",
            "S.b has no toy .",
            "S.b is sad because Y.b has no toy .",
            "S.b would like to W.k D.k too .",
            "S.b looks at D.k .",
        )
        yield move(4 / len(toys), after, *texts, a=a, b=b, k=k)
    if stage < 2 and room(plot, things=1):
        yield from _toys_of_a_friend(plot, b, a)
        sad = plot.feel("sad", b)
        if room(plot, places=1):
            texts = "S.b is sad .", "S.b is very sad .", "S.b does not smile ."
            yield move(3, sad.to("gloom", b, a), *texts, link="but", b=b)
        hungry = plot.feel("hungry", b).to("famished", b, a)
        yield move(2, hungry, "S.b is hungry .", "S.b is very hungry .", b=b)
    play = plot.feel("happy", a, b).once("play").to("calm")
    weight = 0.5 if toys else 1
    yield move(weight, play, "G.ab play together .", "G.ab play all day .", a=a, b=b)


def _toys_of_a_friend(plot: Plot, b: int, a: int) -> Moves:
    mine = plot.toys(a)
    for share, m, after in new_toy(plot, b):
        beat = ("both", a, mine[0], b, m) if mine else ("share", b, a, m)
        yield move(3 * share, after.to(*beat), "S.b has A.m .", "S.b has brought A.m .", b=b, m=m)
        if after.things[m].kind == "frail":
            after = after.feel("sad", b).to("broken", b, a, m)
            yield move(2 * share, after, "S.b has A.m , but it is broken .", b=b, m=m)


def calm(plot: Plot, stage: int) -> Moves:
    """All is well: another turn, or home."""
    present = plot.present
    if stage < 2:
        yield from _another_turn(plot, stage)
    if stage < 3 and len(present) > 1:
        for b in present:
            after = plot.move(-1, b).to("calm")
            texts = "S.b says goodbye and goes home .", "S.b has to go home ."
            yield move(1 / len(present), after, *texts, link="then", b=b)
    if stage > 0:
        yield from ending.close(plot, stage)


def _another_turn(plot: Plot, stage: int) -> Moves:
    present = plot.present
    holders = [(i, k) for i in present for k in plot.toys(i)]
    yield from arrival(plot, holders[0][0] if holders else present[0], 3)
    if stage == 0 and len(present) < 3:
        for i, k in holders:
            yield from trouble.loss(plot, i, k)
            yield from trouble.breaking(plot, i, k)
    if "trip" not in plot.used and room(plot, places=1):
        q = plot.places
        after = plot.place().move(q, *present).once("trip").to("trip")
        text, roles = going(plot, "go|walk to the P.q .", "goes|walks to the P.q .")
        yield move(2, after, text, link="then", q=q, **roles)
    if "play" not in plot.used and holders and len(present) < 3:
        k = holders[0][1]
        after = plot.once("play").feel("happy", *present).to("calm")
        text, roles = going(plot, "W.k T.k .", "V.k T.k .")
        yield move(2, after, text, link="then", k=k, **roles)


def trip(plot: Plot, stage: int) -> Moves:
    """They have come to another place: somebody finds something there, or somebody is there."""
    at = plot.cast[plot.present[0]].at
    if room(plot, things=1):
        for i in plot.present:
            for share, k, after in new_toy(plot, i):
                after = after.feel("happy", i).to("calm")
                texts = (
                    "S.a finds A.k .",
                    "S.a finds A.k L.p .",
                    "S.a sees A.k L.p and picks it up .",
                )
                weight = 3 * share / len(plot.present)
                yield move(weight, after, *texts, link="there", a=i, k=k, p=at)
    yield from trip_meeting(plot, at)


def trip_meeting(plot: Plot, at: int) -> Moves:
    """A friend is already there, or else they play."""
    present = plot.present
    if room(plot, people=1):
        host = next((i for i in present if plot.toys(i)), present[0])
        for share, b, after in newcomer(plot, at):
            after = after.to("meet", b, host)
            yield move(2 * share, after, "N.b is there too .", "S.a sees N.b there .", a=host, b=b)
    if not room(plot, things=1):
        text, roles = going(plot, "play in the sun .", "plays in the sun .")
        yield move(1, plot.feel("happy", *present).to("calm"), text, link="there", **roles)
