"""Every mutant still fits the source, names a test that exists, and every law has one."""

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.mutants import LISTS, Mutant
from tests.mutants.match import apply

ROOT = Path(__file__).resolve().parents[2]


@cache
def functions(file: str) -> set[str]:
    """The names of the functions of a file, of none where it is not there."""
    if not (ROOT / file).exists():
        return set()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def unbound(tree: ast.Module) -> set[str]:
    """Names that a module reads and never binds: a mutant with one is red for no good reason."""
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return names - bound - set(dir(builtins))


def faults(mutant: Mutant) -> Iterator[str]:
    """What keeps a mutant from being judged."""
    try:
        source = (ROOT / mutant.file).read_text(encoding="utf-8")
        changed = apply(source, mutant.at.partition("::")[2], mutant.old, mutant.new)
        python = mutant.file.endswith(".py")
        if python and (names := unbound(ast.parse(changed)) - unbound(ast.parse(source))):
            yield f"uses {', '.join(sorted(names))}, which {mutant.file} does not know"
    except FileNotFoundError:
        yield "names a file that is not there"
    except SyntaxError as error:  # a ValueError too
        yield f"is no Python any more: {error}"
    except ValueError as error:
        yield str(error)
    file, _, name = mutant.test.partition("::")
    if name.split("[")[0] not in functions(file):
        yield f"names {name}, which {file} lacks"


@pytest.mark.parametrize("name", LISTS)
def test_mutants_apply_once_and_name_test(name: str):
    stale = [f"{m.at}: {m.old!r} {why}" for m in LISTS[name] for why in faults(m)]
    assert LISTS[name]
    assert not stale, "\n".join(stale)


def test_every_law_has_mutant():
    mutants = [mutant for entries in LISTS.values() for mutant in entries]
    laws = {mutant.law.split()[0] for mutant in mutants}
    text = (ROOT / "docs/laws.md").read_text("utf-8")
    # L7 says what tests are made of.
    listed = set(re.findall(r"^\| ([LPG]\d+) ", text, re.MULTILINE))
    assert listed - {"L7", "P12"} <= laws


@pytest.mark.parametrize("written", ["f(a,\n      b,\n)", "f(a, b)", "f(  a,b )"])
def test_format_does_not_matter(written: str):
    source = f"def g():\n    a = b = 1\n    return {written}\n"
    assert apply(source, "g", "f(a, b)", "f(b)").endswith("return f(b)\n")


def test_only_named_function_is_changed():
    source = "def one():\n    return x\n\n\nclass A:\n    def one(self):\n        return x\n"
    changed = apply(source, "A.one", "return x", "if x:\n    return y")
    assert changed == source[:-9] + "if x:\n            return y\n"


@pytest.mark.parametrize(("function", "old"), [("h", "x"), ("g", "y"), ("g", "x")])
def test_what_stands_not_once_is_refused(function: str, old: str):
    with pytest.raises(ValueError, match=r"there is no|stands \d times"):
        apply("def g():\n    return x + x\n", function, old, "z")
