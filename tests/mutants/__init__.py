"""Small changes of the source, each with the test that must then fail: one module a list.

An entry is (file, text that stands there once, what replaces it, test), with its law in front where
the list names laws. `python -m tests.mutants` judges them, tests/mutants/test_mutants.py holds them
to the source.
"""

from importlib import import_module
from typing import NamedTuple

NAMES = ("laws", "exact", "record", "hub", "draft_model", "train", "puzzles", "app")


class Mutant(NamedTuple):
    """A law, the file and text to change, what to put there, and the test that must fail."""

    law: str
    file: str
    old: str
    new: str
    test: str


def _read(name: str) -> list[Mutant]:
    """The mutants of a list, whose name is the law of those that name none."""
    entries = import_module(f"tests.mutants.{name}").MUTANTS
    return [Mutant(*(name, *fields)[-5:]) for fields in entries]


LISTS = {name: _read(name) for name in NAMES}
