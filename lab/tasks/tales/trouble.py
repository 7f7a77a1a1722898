"""What goes wrong in a tale and how friends put it right; what they share, lend and trade.

A beat's focus names first whom it is about, then the friend, then the thing.
"""

from lab.tasks.tales.moves import Moves, going, move, new_toy, newcomer, room
from lab.tasks.tales.world import GROUND, LOST, Plot


def loss(plot: Plot, a: int, k: int) -> Moves:
    """An animal or the wind takes a toy away."""
    if "loss" in plot.used or not room(plot, places=1):
        return
    q, friends = plot.places, [i for i in plot.present if i != a]
    after = plot.place().put(k, GROUND + q).feel("sad", a).once("loss")
    after = after.to("sad", a, friends[0], k) if friends else after.to("grief", a, k)
    texts = "a B.x takes|grabs D.k and R.x to the P.q .", "a B.x R.x away to the P.q with D.k ."
    yield move(2, after._replace(taker="beast"), *texts, link="sudden", k=k, q=q, x=0)
    if plot.sky == "windy" and plot.things[k].kind == "light":
        texts = (
            "the wind blows|carries D.k to the P.q .",
            "the wind takes D.k and carries it to the P.q .",
        )
        yield move(6, after._replace(taker="wind"), *texts, link="sudden", k=k, q=q)


def breaking(plot: Plot, a: int, k: int) -> Moves:
    """A frail toy breaks."""
    if "break" in plot.used or plot.things[k].kind != "frail":
        return
    friends = [i for i in plot.present if i != a]
    after = plot.feel("sad", a).once("break")
    if friends:
        after = after.to("broken", a, friends[0], k)
    elif room(plot, people=1):
        after = after.to("breakage", a, k)
    else:
        return
    texts = "D.k falls down and breaks .", "S.a drops D.k , and it breaks ."
    yield move(4, after, *texts, link="sudden", a=a, k=k)


def grief(plot: Plot, stage: int) -> Moves:
    """Somebody alone has just lost a toy."""
    a, k = plot.focus
    if stage < 2:
        texts = (
            "S.a is sad .",
            "S.a is very sad .",
            "S.a cries .",
            "S.a wants T.k back .",
            "S.a is sad because D.k is gone .",
        )
        yield move(5, plot.to("pursuit", a, k), *texts, a=a, k=k)
    yield from pursuit(plot, stage)


def pursuit(plot: Plot, stage: int) -> Moves:
    """The toy is somewhere: its owner goes there, or a friend comes."""
    a, k = plot.focus
    q, p = plot.things[k].at - GROUND, plot.cast[a].at
    hunting = plot.move(q, a).to("hunt", a, a, k)
    if plot.taker == "beast":
        yield move(
            2,
            hunting,
            "S.a runs after the B.x .",
            "S.a follows the B.x to the P.q .",
            link="so",
            a=a,
            q=q,
            x=0,
        )
    else:
        yield move(2, hunting, "S.a runs|walks to the P.q .", link="so", a=a, q=q)
    if not room(plot, people=1):
        return
    for share, b, after in newcomer(plot, p):
        back = after.put(k, b).to("give_back", b, a, k)
        texts: tuple[str, ...] = (
            "N.b comes from the P.q with D.k .",
            "N.b comes along and has D.k with M.b .",
        )
        yield move(2 * share, back, *texts, link="soon", b=b, k=k, q=q)
        if stage < 2:
            texts = "N.b comes to the P.p .", "N.b comes along .", "N.b sees that N.a is sad ."
            yield move(4 * share, after.to("sad", a, b, k), *texts, link="soon", a=a, b=b, p=p)


def sad(plot: Plot, stage: int) -> Moves:
    """A friend is with one who has lost a toy, and may ask."""
    a, b, k = plot.focus
    if stage < 2:
        texts = "S.b asks what is wrong .", "S.b asks O.a what is wrong ."
        yield move(2, plot.to("tell", a, b, k), *texts, a=a, b=b)
    if stage < 1:
        yield from tell(plot, stage)
    if stage > 0:
        yield from comfort(plot, stage)


def tell(plot: Plot, stage: int) -> Moves:
    """Who has lost a toy says so."""
    a, b, k = plot.focus
    after = plot.to("comfort", a, b, k)
    texts = ["“ My C.k U.k is gone , ” says N.a ."]
    if plot.taker == "beast":
        texts += ["“ A B.x has my C.k U.k , ” says N.a ."]
    elif plot.taker == "wind":
        texts += ["“ The wind has my C.k U.k , ” says N.a ."]
    yield move(1, after, *texts, a=a, b=b, k=k, x=0)


def gloom(plot: Plot, stage: int) -> Moves:
    """A friend is with one who is sad, and may ask why."""
    a, b = plot.focus
    texts: tuple[str, ...]
    if stage < 1 and plot.seen == (a,):
        texts = "S.b asks what is wrong .", "S.b asks O.a what is wrong ."
        yield move(1, plot.to("gloom", a, b), *texts, a=a, b=b)
    for share, k, after in new_toy(plot, LOST):
        texts = (
            "“ I have lost my C.k U.k , ” says N.a .",
            "“ I cannot find my C.k U.k , ” says N.a .",
            "S.a has lost H.a C.k U.k .",
        )
        yield move(2 * share, after.to("comfort", a, b, k), *texts, a=a, k=k)


def comfort(plot: Plot, stage: int) -> Moves:
    """The friend offers help."""
    a, b, k = plot.focus
    if stage < 2:
        texts = (
            "“ I can help you , ” says N.b .",
            "“ Do not be sad , ” says N.b .",
            "“ Let us look for it , ” says N.b .",
            "S.b wants to help O.a .",
        )
        yield move(3, plot.to("search", a, b, k), *texts, a=a, b=b)
    yield from search(plot, stage)


def search(plot: Plot, stage: int) -> Moves:
    """Both, and whoever is with them, go where the toy is, or look for it."""
    a, b, k = plot.focus
    if plot.things[k].at == LOST:
        yield from _look_for(plot, stage)
        return
    q = plot.things[k].at - GROUND
    after = plot.move(q, *plot.present).to("hunt", a, b, k)
    text, roles = going(plot, "run|go|walk to the P.q .")
    yield move(1, after, text, link="so", k=k, q=q, **roles)


def _look_for(plot: Plot, stage: int) -> Moves:
    """Whether the toy is where they look is decided now and told later."""
    a, b, k = plot.focus
    q = plot.places
    there = plot.place().move(q, *plot.present)
    text, roles = going(plot, "look for T.k I.q .")
    matches = there.put(k, GROUND + q).to("hunt", a, b, k)
    yield move(2, matches, text, link="so", k=k, q=q, **roles)
    if stage < 2 and room(plot, places=2):
        yield move(1, there.to("in_vain", a, b, k), text, link="so", k=k, q=q, **roles)


def in_vain(plot: Plot, stage: int) -> Moves:
    """The toy is not there."""
    a, b, k = plot.focus
    yield move(1, plot.to("search", a, b, k), "T.k is not there .", link="but", k=k)


def hunt(plot: Plot, stage: int) -> Moves:
    """They are where the toy is."""
    a, b, k = plot.focus
    q = plot.cast[a].at
    matches = plot.put(k, a).feel("happy", a).to("relief", a, k)
    texts = "S.a finds T.k .", "S.a finds|sees T.k L.q .", "S.a sees T.k L.q and picks it up ."
    yield move(
        2,
        matches,
        texts[0],
        texts[1].replace("|sees", ""),
        texts[2],
        link="there",
        a=a,
        k=k,
        q=q,
    )
    if a != b:
        matches = plot.put(k, b).to("give_back", b, a, k)
        yield move(3, matches, *texts[::2], "S.a finds T.k L.q .", link="there", a=b, k=k, q=q)
    if plot.taker == "beast" and stage < 3:
        asleep = plot.to("snatch", a, b, k)
        yield move(2, asleep, "the B.x is asleep , and D.k lies next to it .", k=k, x=0)


def snatch(plot: Plot, stage: int) -> Moves:
    """The animal sleeps."""
    a, b, k = plot.focus
    own = plot.put(k, a).feel("happy", a).to("relief", a, k)
    yield move(1, own, "S.a takes T.k back .", "S.a quietly takes D.k .", link="so", a=a, k=k)
    if a != b:
        back = plot.put(k, b).to("give_back", b, a, k)
        yield move(1, back, "S.b quietly takes D.k .", link="so", b=b, k=k)


def give_back(plot: Plot, stage: int) -> Moves:
    """The friend has the toy of the other."""
    b, a, k = plot.focus
    after = plot.put(k, a).feel("happy", a).to("thanks", a, b)
    texts = "S.b gives T.k to O.a .", "S.b gives O.a D.k .", "S.b gives T.k back to O.a ."
    yield move(1, after, *texts, a=a, b=b, k=k)


def relief(plot: Plot, stage: int) -> Moves:
    """Somebody has a toy again."""
    a, k = plot.focus
    texts = "S.a is happy again .", "S.a laughs again .", "S.a is happy because Y.a has T.k again ."
    yield move(1, plot.to("calm"), *texts, link="then", a=a, k=k)


def thanks(plot: Plot, stage: int) -> Moves:
    """One has been helped by the other."""
    a, b = plot.focus
    after = plot.feel("happy", a).to("calm")
    texts = [
        "“ Thank you , N.b , ” says N.a .",
        "S.a says , “ Thank you , N.b . ”",
        "S.a smiles and thanks O.b .",
        "S.a hugs O.b .",
        "S.a is happy .",
        "S.a is happy again ." if plot.cast[a].mood == "sad" else "S.a smiles .",
    ]
    yield move(1, after, *texts, a=a, b=b)


def breakage(plot: Plot, stage: int) -> Moves:
    """Somebody alone has a broken toy."""
    a, k = plot.focus
    if stage < 2 and len(plot.seen) < 2 and plot.it == k:
        yield move(2, plot._replace(it=-1), "S.a is sad .", "S.a is very sad .", "S.a cries .", a=a)
    at = plot.cast[a].at
    for share, b, after in newcomer(plot, at):
        texts = "N.b comes to the P.p .", "N.b comes along .", "N.b sees that N.a is sad ."
        yield move(3 * share, after.to("broken", a, b, k), *texts, link="soon", a=a, b=b, p=at)


def broken(plot: Plot, stage: int) -> Moves:
    """A friend is with one whose toy is broken."""
    a, b, k = plot.focus
    if stage < 2:
        texts = "“ My U.k is broken , ” says N.a .", "S.a shows O.b D.k ."
        yield move(2, plot.to("offer", a, b, k), *texts, a=a, b=b, k=k)
    yield from offer(plot, stage)


def offer(plot: Plot, stage: int) -> Moves:
    """The friend says that it can be mended."""
    a, b, k = plot.focus
    if stage < 2:
        texts = (
            "“ I can mend it , ” says N.b .",
            "“ I can help you , ” says N.b .",
            "S.b looks at D.k .",
        )
        yield move(2, plot.to("mend", a, b, k), *texts, b=b, k=k)
    yield from mend(plot, stage)


def mend(plot: Plot, stage: int) -> Moves:
    """The friend mends the toy."""
    a, b, k = plot.focus
    after = plot.feel("happy", a).to("thanks", a, b)
    texts = (
        "S.b mends T.k .",
        "S.b mends T.k with a piece of string .",
        "S.b mends T.k with some glue .",
    )
    yield move(1, after, *texts, link="so", b=b, k=k)
