"""Break a rule at a time and see its test go red: `python -m tests.mutants [list or word ...]`.

A word that names a list means that list; any other means the mutants with the word in their law,
file or test. Each is made in a temporary copy of the tree, where its test must fail (exit code 1: a
test that cannot even be collected does not count) after all chosen tests were green without any
change. The whole takes tens of minutes, most of them the app's, which wants a Chromium.
"""

import importlib
import sys
import tempfile
from pathlib import Path

from tests.mutants import LISTS, Mutant
from tests.mutants.trial import copy_tree, run

GREEN, RED = 0, 1
SPAWNED = {"app"}  # a browser and a server's threads do not survive a fork
# Imported once, for every process that is forked; tests.conftest first: its settings come before.
LARGE = (
    *("tests.conftest", "accelerate.utils", "huggingface_hub.hf_api", "pandas", "plotly.subplots"),
    *("pytest", "scipy.stats", "transformers"),
    *(f"transformers.models.{kind}.modeling_{kind}" for kind in (
        *("auto", "bert", "distilbert", "glm4_moe", "gpt2", "llama", "modernbert"),
        *("muse_glimmer_assistant", "qwen2", "qwen3", "roberta"),
    )),
)  # fmt: skip


def judge(folder: Path, mutant: Mutant, start: str) -> str:
    """Apply one mutant to the copy, say what its test makes of it, and take it back."""
    file = folder / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return "DOES NOT APPLY"
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    code = run(folder, [mutant.test], start)
    file.write_text(text, encoding="utf-8")
    return {RED: "red", GREEN: "SURVIVES"}.get(code, f"BROKEN ({code})")


def choose(words: list[str]) -> dict[str, list[Mutant]]:
    """The mutants of each list that a word names or finds; all without any word."""

    def meant(name: str, mutant: Mutant) -> bool:
        text = f"{mutant.law} {mutant.file} {mutant.test}"
        return not words or any(w == name if w in LISTS else w in text for w in words)

    chosen = {name: [m for m in mutants if meant(name, m)] for name, mutants in LISTS.items()}
    return {name: mutants for name, mutants in chosen.items() if mutants}


def main(words: list[str]) -> int:
    """Judge the chosen mutants list by list; 1 where one is not red, or nothing was chosen."""
    chosen = choose(words)
    if set(chosen) - SPAWNED:
        for name in LARGE:
            importlib.import_module(name)
    total = red = 0
    for name, mutants in chosen.items():
        total += len(mutants)
        start = "spawn" if name in SPAWNED else "fork"
        with tempfile.TemporaryDirectory() as place:
            copy_tree(folder := Path(place).resolve())
            if run(folder, sorted({m.test for m in mutants}), start, True) != GREEN:
                print((folder / "said").read_text())
                print(f"{name}: the tests are not green without a mutant", flush=True)
                continue
            for mutant in mutants:
                said = judge(folder, mutant, start)
                red += said == "red"
                to = (mutant.new.strip() or "(left out)").splitlines()[0]
                print(f"{said:14} {mutant.law}: {mutant.file}: {to}", flush=True)
    print(f"{red} of {total} mutants red")
    return int(red < total or not total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
