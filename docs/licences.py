"""List the licence of every package that a requirements file brings: `python -m docs.licences`.

Of tests/requirements.txt, the app's packages first, or of the files that are named. What counts is
what is installed here: a build of torch for CUDA brings NVIDIA's libraries, the one for the CPU
does not. Exit code 1 where a package is missing or says no licence.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "tests/requirements.txt")
# Packages that say nothing themselves: a name for NVIDIA's libraries, which stand beside it.
UNSAID = {"cuda-toolkit": "Other/Proprietary License"}


def required(file: Path) -> Iterator[Requirement]:
    """The requirements of a file and of those that it includes."""
    for line in file.read_text("utf-8").splitlines():
        line = line.partition(" #")[0].strip()
        if line.startswith("-r "):
            yield from required(file.parent / line.removeprefix("-r ").strip())
        elif line and not line.startswith(("#", "-")):
            yield Requirement(line)


def closure(todo: list[Requirement]) -> dict[str, Distribution | None]:
    """All that these requirements bring, by normalised name; None for what is not installed."""
    known: dict[str, Distribution | None] = {}
    seen: set[tuple[str, str]] = set()
    todo = list(todo)
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        try:
            package = known[name] = distribution(name)
        except PackageNotFoundError:
            known[name] = None
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for line in package.requires or []:
                needs = Requirement(line)
                if needs.marker is None or needs.marker.evaluate({"extra": extra}):
                    todo.append(needs)
    return known


def licence(package: Distribution) -> str:
    """What a package says of its licence: as an expression, in a word, by its class, or in the
    first line of its licence's text; "" where it says nothing.
    """

    def lines(field: str) -> list[str]:
        return package.metadata.get_all(field) or []

    classes = [line.split(" :: ")[-1] for line in lines("Classifier")
               if line.startswith("License :: ") and not line.endswith("OSI Approved")]  # fmt: skip
    for words in (*lines("License-Expression"), ", ".join(classes), *lines("License")):
        if words.strip():
            return words.strip().splitlines()[0]
    for file in package.files or []:
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            return file.read_text("utf-8").strip().splitlines()[0].strip()
    return ""


def main(names: list[str]) -> int:
    """Print a table; each package under the first file that brings it."""
    known: set[str] = set()
    missing = []
    print("| package | version | licence | brought by |\n| --- | --- | --- | --- |")
    for file in names or FILES:
        for name, package in sorted(closure(list(required(ROOT / file))).items()):
            if name in known:
                continue
            known.add(name)
            text = (licence(package) or UNSAID.get(name, "")) if package else ""
            version = package.version if package else "not installed"
            print(f"| {name} | {version} | {text or '**unknown**'} | {file} |")
            missing += [] if text else [name]
    if missing:
        print(f"no licence is known of {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
