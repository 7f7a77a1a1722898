"""Small changes of the source, each with the test that must then fail: one TOML file a room.

    [[mutant]]
    law = "L5 an EOS of the prompt ends the row"    # a law of docs/laws.md first, if it is one
    at = "samplers/canvas.py::Canvas.finished"      # file::function; a file alone is searched whole
    old = "self.writable & torch.isin(x, ids)"      # stands there once, however it is formatted
    new = "torch.isin(x, ids)"
    test = "tests/conformance/test_conformance_eos.py::test_eos_in_prompt_ends_nothing"

`python -m tests.mutants` judges them; tests/mutants/test_mutants.py holds them to the source.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """A law, the function to change, what stands there and what to put, the test that must fail."""

    law: str
    at: str
    old: str
    new: str
    test: str

    @property
    def file(self) -> str:
        """The path of the changed file."""
        return self.at.partition("::")[0]


def read(path: Path) -> list[Mutant]:
    """The mutants of one file; where no law is named, the room's name stands for it."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [Mutant(**{"law": path.stem, **entry}) for entry in entries]


LISTS = {path.stem: read(path) for path in sorted(Path(__file__).parent.glob("*.toml"))}
