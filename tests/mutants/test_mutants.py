"""Every list of mutants still fits the source, and breaks every law that the task holds."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.mutants import LISTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def wrong(mutant: Mutant) -> Iterator[str]:
    """What keeps a mutant from being judged."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    if (times := source.count(mutant.old)) != 1:
        yield f"stands {times} times"
    if mutant.file.endswith(".py"):
        try:
            compile(source.replace(mutant.old, mutant.new), mutant.file, "exec")
        except SyntaxError as error:
            yield f"is no Python any more: {error}"
    file, _, name = mutant.test.partition("::")
    if name.split("[")[0] not in functions(file):
        yield f"names {name}, which {file} lacks"


@pytest.mark.parametrize("name", LISTS)
def test_every_mutant_applies_once_and_names_a_test_that_exists(name: str):
    assert LISTS[name]
    stale = [f"{m.file}: {m.old!r} {why}" for m in LISTS[name] for why in wrong(m)]
    assert not stale, "\n".join(stale)


def test_every_law_of_the_task_has_a_mutant():
    laws = {mutant.law.split()[0] for mutant in LISTS["laws"]}
    review = {f"L{number}" for number in range(1, 7)}
    public = {f"P{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14)}
    assert not (review | public | {"generator:"}) - laws
