"""The points that visitors measured or loaded, by a key that only their page has."""

import threading
from typing import Any

import pandas as pd

from lab.study.points import KEYS, POINT
from lab.ui.shelf import Shelf

MOST_POINTS = 500  # of one page
MOST_PAGES = 200  # at once
SECONDS = 3600.0  # after which a page's points are given up


_LOCK = threading.Lock()
_PAGES: Shelf[pd.DataFrame] = Shelf(MOST_PAGES, SECONDS)


def add(key: str, points: pd.DataFrame, visitor: str = "") -> int:
    """Add points to those of a key, in place of older ones of the same settings; how many it has.

    ValueError where they are more than a page may have.
    """
    with _LOCK:
        old = _PAGES.get(key)
        both = points if old is None else pd.concat([old, points], ignore_index=True)
        both = both.drop_duplicates(KEYS, keep="last", ignore_index=True)
        if len(both) > MOST_POINTS:
            raise ValueError(
                f"a page holds at most {MOST_POINTS} points of its own, these would be "
                f"{len(both)}; reload the page to begin again"
            )
        _PAGES.put(key, both, visitor)
    return len(both)


def of(key: Any) -> pd.DataFrame:
    """The points of a key; none for anything that is not one."""
    points = _PAGES.get(key) if isinstance(key, str) else None
    return pd.DataFrame(columns=POINT.names) if points is None else points
