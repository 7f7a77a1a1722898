"""The mutants list still fits the source, and breaks every law that the suite holds."""

import ast
from functools import cache

from tests.mutants import ROOT, mutants


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_mutant_applies_once_and_names_a_test_that_exists():
    for mutant in mutants():
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.law}: its text stands {text.count(mutant.old)} times in {mutant.file}"  # noqa: E501
        compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
        file, name = mutant.test.split("::")
        assert name in functions(file), f"{mutant.law}: no {name} in {file}"


def test_every_law_of_the_suite_has_a_mutant():
    laws = {mutant.law.split()[0] for mutant in mutants()}
    review = {f"L{number}" for number in range(1, 7)}
    public = {f"P{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14)}
    assert not (review | public | {"generator:"}) - laws
