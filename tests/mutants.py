"""Break each law once and see its test go red: `python -m tests.mutants [part of its name ...]`.

A mutant is one small change of the source. It is made in a temporary copy of the tree, where the
named test must then fail (its exit code 1; a test that cannot even be collected does not count).
First all named tests must be green there without any change. Not collected by pytest; that every
change still applies is held by tests/test_mutants.py. Takes a few minutes.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.mutants_list import MUTANTS

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("samplers", "lab", "tests", "pyproject.toml", "app.py")
RED, GREEN = 1, 0


class Mutant(NamedTuple):
    """A law, the file and text to change, what to put there, and the test that must fail."""

    law: str
    file: str
    old: str
    new: str
    test: str


def mutants() -> list[Mutant]:
    """The whole list."""
    return [Mutant(*fields) for fields in MUTANTS]


def copy_tree(folder: Path) -> None:
    """Put what the tests need into a folder of its own."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / part)
    (folder / "assets").symlink_to(ROOT / "assets")


def run(folder: Path, tests: list[str]) -> int:
    """Pytest's exit code there, in a process of its own that has the large imports already."""
    process = multiprocessing.get_context("fork").Process(target=_child, args=(folder, tests))
    process.start()
    process.join()
    return process.exitcode


def _child(folder: Path, tests: list[str]) -> None:
    import pytest

    os.chdir(folder)
    ours = ("samplers", "lab", "tests")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *quiet, *tests])
    os._exit(int(code))


def judge(mutant: Mutant) -> int:
    """Apply one mutant to a fresh copy and return what its test says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_tree(folder)
        file = folder / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            return -1
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        return run(folder, [mutant.test])


def main(words: list[str]) -> int:
    """Judge the mutants whose law or file holds one of the words (all without any)."""
    import pandas  # noqa: F401  imported once, before the copies fork off
    import scipy.stats  # noqa: F401
    import torch
    import transformers  # noqa: F401
    from transformers import LlamaForCausalLM, Qwen3ForCausalLM  # noqa: F401

    torch.set_num_threads(1)
    chosen = [m for m in mutants() if not words or any(w in f"{m.law} {m.file}" for w in words)]
    with tempfile.TemporaryDirectory() as name:
        copy_tree(folder := Path(name).resolve())
        if run(folder, sorted({mutant.test for mutant in chosen})) != GREEN:
            print("the tests are not green without a mutant")
            return 1
    left = []
    for mutant in chosen:
        code = judge(mutant)
        said = {RED: "red", GREEN: "GREEN", -1: "DOES NOT APPLY"}.get(code, f"BROKEN ({code})")
        print(f"{said:15} {mutant.law:32} {mutant.file:28} {mutant.test}", flush=True)
        left += [mutant] * (code != RED)
    print(f"{len(chosen) - len(left)} of {len(chosen)} mutants red")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
