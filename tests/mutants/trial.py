"""A copy of the tree, and what its tests say there."""

import multiprocessing
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTEST = 32  # added to pytest's exit codes: Python's own for a crash is 1, as a failed test's is
PARTS = (
    *("samplers", "lab", "tests", "assets", "docs", "examples"),
    *("pyproject.toml", "requirements.txt", "app.py"),
)


def copy_tree(folder: Path) -> None:
    """Put what the tests need into a folder of its own."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy2(ROOT / part, folder)


def run(folder: Path, tests: list[str], start: str, keep_bytecode: bool = False) -> int:
    """Pytest's exit code there, in a process of its own; its output goes to the file `output`.

    Negative where the process ended before pytest did.
    """
    arguments = (folder, tests, keep_bytecode)
    process = multiprocessing.get_context(start).Process(target=_child, args=arguments)
    process.start()
    process.join()
    return (process.exitcode or 0) - PYTEST


def _child(folder: Path, tests: list[str], keep_bytecode: bool) -> None:
    os.chdir(folder)
    # Two versions of a file within a second would be taken for one.
    sys.dont_write_bytecode = not keep_bytecode
    ours = ("samplers", "lab", "tests")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
    with open("output", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    import pytest

    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork
    os._exit(PYTEST + int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *quiet, *tests])))
