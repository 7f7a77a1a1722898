"""Break a rule at a time and see its test go red: `python -m tests.mutants [room or word ...]`.

A word that names a room means its list; any other means the mutants with the word in their law,
place or test. Each is made in a temporary copy of the tree, where its test must fail (exit code 1:
a test that cannot even be collected does not count) after all selected tests were green without
any change. The whole takes tens of minutes, most of them the page's, which wants a Chromium.
"""

import importlib
import sys
import tempfile
from pathlib import Path

from tests.mutants import LISTS, Mutant
from tests.mutants.match import apply
from tests.mutants.trial import copy_tree, run

GREEN, RED = 0, 1
SPAWNED = (
    "tests/ui/",
    "tests/browser/",
    "tests/reliability/",
)  # browsers and threads of a server do not survive a fork
# Imported once, for every process that is forked; tests.conftest first: its settings come before.
LARGE = (
    *("tests.conftest", "accelerate.utils", "huggingface_hub.hf_api", "pandas", "plotly.subplots"),
    *("pytest", "scipy.stats", "transformers"),
    *(
        f"transformers.models.{kind}.modeling_{kind}"
        for kind in (
            *("auto", "bert", "distilbert", "glm4_moe", "gpt2", "llama", "modernbert"),
            *("muse_glimmer_assistant", "qwen2", "qwen3", "roberta"),
        )
    ),
)


def judge(folder: Path, mutant: Mutant) -> str:
    """Apply one mutant to the copy, say what its test makes of it, and take it back."""
    file = folder / mutant.file
    text = file.read_text(encoding="utf-8")
    try:
        changed = apply(text, mutant.at.partition("::")[2], mutant.old, mutant.new)
    except ValueError as error:
        return f"DOES NOT APPLY ({error})"
    file.write_text(changed, encoding="utf-8")
    code = run(folder, [mutant.test], method(mutant.test))
    file.write_text(text, encoding="utf-8")
    return {RED: "red", GREEN: "SURVIVES"}.get(code, f"BROKEN ({code})")


def method(test: str) -> str:
    """How the process of a test starts."""
    return "spawn" if test.startswith(SPAWNED) else "fork"


def select(words: list[str]) -> dict[str, list[Mutant]]:
    """The mutants of each room that a word names or matches; all without any word."""

    def matches(name: str, mutant: Mutant) -> bool:
        text = f"{mutant.law} {mutant.at} {mutant.test}"
        return not words or any(w == name if w in LISTS else w in text for w in words)

    matching = {name: [m for m in mutants if matches(name, m)] for name, mutants in LISTS.items()}
    return {name: mutants for name, mutants in matching.items() if mutants}


def green(folder: Path, mutants: list[Mutant]) -> bool:
    """Whether all their tests pass on the unchanged copy."""
    for start in ("fork", "spawn"):
        tests = sorted({m.test for m in mutants if method(m.test) == start})
        if tests and run(folder, tests, start, keep_bytecode=True) != GREEN:
            print((folder / "output").read_text())
            return False
    return True


def main(words: list[str]) -> int:
    """Judge the selected mutants room by room; 1 where one is not red, or none was selected."""
    for name in LARGE:
        importlib.import_module(name)
    total = red = 0
    for room, mutants in select(words).items():
        total += len(mutants)
        with tempfile.TemporaryDirectory() as place:
            copy_tree(folder := Path(place).resolve())
            if not green(folder, mutants):
                print(f"{room}: the tests are not green without a mutant", flush=True)
                continue
            for mutant in mutants:
                verdict = judge(folder, mutant)
                red += verdict == "red"
                to = (mutant.new.strip() or "(left out)").splitlines()[0]
                print(f"{verdict:14} {mutant.law}: {mutant.at}: {to}", flush=True)
    print(f"{red} of {total} mutants red")
    return int(red < total or not total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
