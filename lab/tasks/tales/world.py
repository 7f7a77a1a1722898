"""The state a tale is in: who is where, holds what and feels how, and whom a pronoun may mean.

Persons, places and things are numbers here, in the order in which the tale brings them in; which
names and colours they bear is kept apart (binding), so that the plots are few.
"""

from __future__ import annotations

from typing import NamedTuple

HOME = -1
GROUND = 10  # a thing at place p is at GROUND + p; below that, it is held by a person
LOST = 20
EATEN = 21


class Person(NamedTuple):
    """sex: f or m; at: the number of a place, or HOME."""

    sex: str
    at: int
    mood: str = ""


class Thing(NamedTuple):
    """kind: one of THINGS; at: its holder, GROUND + place, LOST or EATEN."""

    kind: str
    at: int


class Plot(NamedTuple):
    """beat: what the tale has come to; focus: the persons and things the beat is about.

    used: turns a tale takes only once; seen: the persons the last sentence named or meant;
    it: the one thing it named, -1 if none.
    """

    beat: str = "opening"
    focus: tuple[int, ...] = ()
    cast: tuple[Person, ...] = ()
    things: tuple[Thing, ...] = ()
    places: int = 0
    sky: str = ""
    taker: str = ""
    used: tuple[str, ...] = ()
    seen: tuple[int, ...] = ()
    it: int = -1

    def to(self, beat: str, *focus: int) -> Plot:
        return self._replace(beat=beat, focus=focus)

    def enter(self, sex: str, at: int, mood: str = "") -> Plot:
        return self._replace(cast=(*self.cast, Person(sex, at, mood)))

    def feel(self, mood: str, *who: int) -> Plot:
        cast = [p._replace(mood=mood) if i in who else p for i, p in enumerate(self.cast)]
        return self._replace(cast=tuple(cast))

    def move(self, at: int, *who: int) -> Plot:
        cast = [p._replace(at=at) if i in who else p for i, p in enumerate(self.cast)]
        return self._replace(cast=tuple(cast))

    def gain(self, kind: str, at: int) -> Plot:
        return self._replace(things=(*self.things, Thing(kind, at)))

    def put(self, thing: int, at: int) -> Plot:
        things = [t._replace(at=at) if k == thing else t for k, t in enumerate(self.things)]
        return self._replace(things=tuple(things))

    def place(self) -> Plot:
        return self._replace(places=self.places + 1)

    def once(self, *turns: str) -> Plot:
        return self._replace(used=tuple(sorted({*self.used, *turns})))

    @property
    def present(self) -> tuple[int, ...]:
        """The persons who have not gone home."""
        return tuple(i for i, person in enumerate(self.cast) if person.at != HOME)

    def toys(self, who: int) -> tuple[int, ...]:
        """The toys somebody holds."""
        return tuple(
            k for k, thing in enumerate(self.things) if thing.at == who and thing.kind != "food"
        )

    def may_mean(self, who: int) -> bool:
        """Whether he or she can only mean this person."""
        sex = self.cast[who].sex if who < len(self.cast) else ""
        return who in self.seen and [self.cast[i].sex for i in self.seen].count(sex) == 1
