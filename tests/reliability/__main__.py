"""Run the checks: `python -m tests.reliability [NAME[=SIZE] ...]`; without names all of them.

Figures at full size are written into docs/reliability.md, each check's in the place of those it
had. Exit code 1 where one does not hold.
"""

import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from tests.kit.project import ROOT
from tests.reliability import (
    Figure,
    abandoned,
    cancels,
    clients,
    ends,
    fuzz_endpoints,
    fuzz_python,
    many_runs,
    opening,
    page,
    slow_readers,
)
from tests.reliability.watched_app import apart

DOCUMENT = ROOT / "docs/reliability.md"
BEGIN = "<!-- measured: written by python -m tests.reliability -->"
END = "<!-- end of measured -->"


class Check(NamedTuple):
    """A check by its fault in the table of docs/reliability.md, and how it is run at a size."""

    fault: str
    size: int
    run: Callable[[int], list[Figure]]


def _served(check: Callable[..., list[Figure]], *options: str) -> Callable[[int], list[Figure]]:
    def run(size: int) -> list[Figure]:
        with apart(*options) as site:
            return check(site, size)

    return run


CHECKS = {
    "page": Check("D1", page.SIZE, _served(page.check)),
    "opening": Check("page", opening.SIZE, _served(opening.check)),
    "clients": Check("R1", clients.SIZE, _served(clients.check)),
    "abandoned": Check("R2", abandoned.SIZE, _served(abandoned.check)),
    "cancels": Check("R3", cancels.SIZE, _served(cancels.check, *cancels.OPTIONS)),
    "many_runs": Check("R7", many_runs.SIZE, _served(many_runs.check)),
    "ends": Check("R8", ends.SIZE, ends.check),
    "slow_readers": Check("R14", slow_readers.SIZE, _served(slow_readers.check)),
    "fuzz_endpoints": Check("I1", fuzz_endpoints.SIZE, _served(fuzz_endpoints.check)),
    "fuzz_python": Check("I1, I8", fuzz_python.SIZE, fuzz_python.check),
}


def rows(name: str, figures: list[Figure]) -> list[str]:
    """The lines of a check in the table."""
    head = f"| {CHECKS[name].fault} `{name}` |"
    return [
        f"{head} {one.what} | {one.value} | {one.bar} | {'' if one.holds else '**no**'} |"
        for one in figures
    ]


def write(name: str, figures: list[Figure]) -> None:
    """Put a check's lines into the document, in the order of CHECKS."""
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    lines = [line for line in table.strip().splitlines() if "`" in line]
    lines = [line for line in lines if f"`{name}`" not in line] + rows(name, figures)
    order = list(CHECKS)
    lines.sort(key=lambda line: order.index(line.split("`")[1]))
    head = "| check | what | measured | bar | falls short |\n| --- | --- | --- | --- | --- |"
    text = f"{before}{BEGIN}\n{head}\n" + "\n".join(lines) + f"\n{END}{after}"
    DOCUMENT.write_text(text, "utf-8")


def main(arguments: list[str]) -> int:
    """Run the checks that are named, or all."""
    short = 0
    for argument in arguments or list(CHECKS):
        name, _, size = argument.partition("=")
        if name not in CHECKS:
            print(f"no check {name!r}; there are {', '.join(CHECKS)}", file=sys.stderr)
            return 2
        check, began = CHECKS[name], monotonic()
        figures = check.run(int(size or check.size))
        print(f"{name} ({monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f})")
        for one in figures:
            bar = f"  ({one.bar})" if one.bar else ""
            print(f"  {'' if one.holds else 'NO: '}{one.what}: {one.value}{bar}", flush=True)
        short += sum(not one.holds for one in figures)
        if not size:
            write(name, figures)
    return int(short > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
