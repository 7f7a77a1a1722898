"""What is store for visitors: bounded, for a time, and never at the cost of a quiet one."""

import pytest

from lab.ui import shelf
from lab.ui.shelf import Hourly, Shelf


def names(store):
    return [name for name, _ in store.items()]


def test_whoever_holds_most_loses_oldest_first():
    store = Shelf(4)
    store.put("quiet", "q", "quiet")
    lost = [store.put(f"loud{n}", n, "loud") for n in range(5)]
    assert names(store) == ["quiet", "loud2", "loud3", "loud4"]
    assert lost == [[], [], [], [0], [1]]


def test_sizes_count_and_may_grow():
    store = Shelf(10, size=len)
    small, large = [1], [1] * 6
    store.put("a", small, "one")
    store.put("b", large, "other")
    small += [1] * 8  # 9 and 6
    assert store.trim() == [small] and names(store) == ["b"]
    assert store.put("c", [1] * 99, "third") == [[1] * 99]
    store.drop("b")
    assert not store.put("c", [1] * 99, "third") and names(store) == ["c"]  # alone it stays


def test_name_is_kept_once_and_dropped():
    store = Shelf(2)
    store.put("a", 1, "v")
    store.put("a", 2, "v")
    assert names(store) == ["a"] and store.get("a") == 2 and store.get("b") is None
    store.drop("a")
    store.drop("a")
    assert not names(store)


def test_old_values_go(monkeypatch):
    store = Shelf(9, seconds=60)
    store.put("a", 1, "v")
    monkeypatch.setattr(shelf, "monotonic", lambda: 1e12)
    assert store.trim() == [1] and not names(store)


@pytest.mark.parametrize(("visitor", "size", "words"), [
    ("much", 90, "at most 0 MB an hour may be fetched"),
    ("often", 1, "at most 3 files an hour may be fetched"),
    ("third", 40, "too much was fetched in the last hour"),
])  # fmt: skip
def test_hour_is_bounded_by_visitor_and_in_all(visitor, size, words, monkeypatch):
    taken = Hourly("fetched", 3, 100, 180)
    for who, much in (("much", 100), ("often", 20), ("often", 20), ("often", 1)):
        assert not taken.refusal(who, much)
    assert words in taken.refusal(visitor, size)
    assert not taken.refusal("third", 39)  # what was refused was not counted
    monkeypatch.setattr(shelf, "monotonic", lambda: 1e12)
    assert not taken.refusal(visitor, size)
