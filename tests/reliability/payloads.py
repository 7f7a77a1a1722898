"""Payloads that nobody should send: valid ones with something else in some of their places."""

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

LONG = 20_001  # one character more than a text may have
SPECIAL = (
    *("", " ", "\0", "\ud800", "[MASK]", "[MASK]*9", "[MASK]*99999999", "${1+1}", "\u202e"),
    *("</script><img src=x onerror=alert(1)>", "../../etc/passwd", "file:///etc/passwd"),
    *("http://169.254.169.254/", "nan", "true", "__proto__", "x" * LONG),
    *(float("nan"), float("inf"), float("-inf"), 1e308, -0.0, 5.7, True, False, None),
    *(10**18, -(10**18), 2**63, 2**63 - 1, 2**64, 10**400),
)


def junk() -> st.SearchStrategy[Any]:
    """Anything that JSON can hold, and NaN and infinity."""
    leaves = st.one_of(
        st.sampled_from(SPECIAL), st.none(), st.booleans(), st.integers(), st.floats(),
        st.text(st.characters(), max_size=30),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, max_size=4), st.dictionaries(st.text(max_size=8), parts, max_size=4)
        ),
        max_leaves=8,
    )


def places(value: Any) -> list[tuple[Any, ...]]:
    """The way to every part of a JSON value, less the whole."""
    keys: Any = ()
    if isinstance(value, dict):
        keys = value
    elif isinstance(value, list):
        keys = range(len(value))
    return [way for key in keys for way in [(key,), *((key, *rest) for rest in places(value[key]))]]


@st.composite
def spoilt(draw: st.DrawFn, valid: Sequence[Any]) -> list[Any]:
    """Arguments that are valid but for one to three places in them; some, too few or too many."""
    value = copy.deepcopy(list(valid))
    for _ in range(draw(st.integers(1, 3))):
        ways = places(value)
        if not ways:
            break
        top = [way for way in ways if len(way) == 1]
        way = draw(st.sampled_from(top) | st.sampled_from(ways))
        part = value
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = draw(junk())
    many = draw(st.sampled_from(["as many"] * 8 + ["fewer", "more"]))
    if many == "fewer":
        return value[:-1]
    return [*value, draw(junk())] if many == "more" else value


def sample(strategy: st.SearchStrategy[Any], size: int) -> list[Any]:
    """`size` examples, the same each time."""
    drawn: list[Any] = []

    @settings(
        max_examples=size, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def gather(value: Any) -> None:
        drawn.append(value)

    gather()
    # A strategy with few different values is exhausted early.
    return (drawn * (size // len(drawn) + 1))[:size]
