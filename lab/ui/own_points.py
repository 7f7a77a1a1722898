"""The points that visitors measured or loaded, by a key that only their page has."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pandas as pd

from lab.study.points import KEYS, POINT

MOST_POINTS = 500  # of one page
MOST_PAGES = 200  # at once; the oldest goes
SECONDS = 3600.0  # after which a page's points are given up


@dataclass
class _Page:
    points: pd.DataFrame
    time: float = field(default_factory=monotonic)


_LOCK = threading.Lock()
_PAGES: OrderedDict[str, _Page] = OrderedDict()  # the oldest first


def add(key: str, points: pd.DataFrame) -> int:
    """Add points to those of a key, in place of older ones of the same settings; how many it has.

    ValueError where they are more than a page may have.
    """
    with _LOCK:
        old = _PAGES.get(key)
        both = points if old is None else pd.concat([old.points, points], ignore_index=True)
        both = both.drop_duplicates(KEYS, keep="last", ignore_index=True)
        if len(both) > MOST_POINTS:
            raise ValueError(
                f"a page holds at most {MOST_POINTS} points of its own, these would be "
                f"{len(both)}; reload the page to begin again"
            )
        _PAGES.pop(key, None)
        _PAGES[key] = _Page(both)
        now = monotonic()
        for name in [name for name, page in _PAGES.items() if now - page.time > SECONDS]:
            del _PAGES[name]
        while len(_PAGES) > MOST_PAGES:
            _PAGES.popitem(last=False)
    return len(both)


def of(key: Any) -> pd.DataFrame:
    """The points of a key; none for anything that is not one."""
    with _LOCK:
        page = _PAGES.get(key) if isinstance(key, str) else None
    return pd.DataFrame(columns=POINT.names) if page is None else page.points
