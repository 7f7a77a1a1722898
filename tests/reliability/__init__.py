"""How the app stands load, hang-ups, kills and malformed requests: measured, not asserted.

`python -m tests.reliability` runs every check at its full size and writes the figures into
docs/reliability.md; `python -m tests.reliability clients=10 fuzz=30` runs some, at another size,
and prints them alone. pytest runs small versions of them (test_small.py), which hold what is no
figure: that nothing hangs, dies or goes unanswered.
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """One line of a check: what was measured, what came out, what it had to be, and whether it is.

    bar: "" where nothing was promised; `holds` is then True.
    """

    what: str
    value: str
    bar: str = ""
    holds: bool = True


def most(what: str, value: float, bar: float, unit: str, digits: int = 2) -> Figure:
    """A figure that may be `bar` at most."""
    return Figure(what, f"{value:.{digits}f} {unit}", f"at most {bar:g} {unit}", value <= bar)


def none_of(what: str, count: int) -> Figure:
    """A count that must be nought."""
    return Figure(what, str(count), "0", count == 0)
