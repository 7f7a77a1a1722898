"""How much a file of runs may hold: checked on saving, and before anything is built from one.

A file of 64 MB that `save` wrote has fewer than a million cells, so that what a run may have passes
and nothing is saved that cannot be read again. What a stranger hands in is refused by counting: no
list is built from it before its numbers are known to fit.
"""

import re
from collections.abc import Iterator

BYTES = 64 * 2**20  # four panels of 64 steps and 96 columns are 5 MB
COLUMNS = 32_768  # the longest prompt and gen_length
STEPS = 100_000
CELLS = 4_000_000  # (steps + 1) x columns, all runs of a file together
RUNS = 20_000
LINE = 8 * 2**20  # bytes of one CSV line: the header of the largest run is shorter

_CHUNK = 2**18
_LONG = 2**16  # a CSV line beyond this is looked at before it is parsed
_LIST = re.compile(rb"\s{0,99}:\s{0,99}\[")  # what stands between a name and its list
# The most that JSON holds, a cell, a step and a run: arrays, pieces, settings, card; of the draws
# of a cell at most one.
_VALUES, _LISTS, _OBJECTS = (24, 20, 2000), (4, 8, 2000), (0, 0, 500)


class Total:
    """Adds up the runs of a file; each is counted before it is built."""

    def __init__(self) -> None:
        self.runs = self.steps = self.cells = 0

    def add(self, steps: int, columns: int) -> None:
        """Count one more run. ValueError where it, or the file with it, is too large."""
        _at_most("a run", COLUMNS, "columns", columns)
        _at_most("a run", STEPS, "steps", steps)
        self.runs += 1
        self.steps += steps + 1
        self.cells += (steps + 1) * columns
        _at_most("a trajectory file", RUNS, "runs", self.runs)
        _at_most("a trajectory file", CELLS, "cells (steps x columns)", self.cells)

    def most(self, of: tuple[int, int, int]) -> int:
        """The most of something that runs of this size can hold."""
        return of[0] * self.cells + of[1] * self.steps + of[2] * (self.runs + 1)


def size(count: int) -> None:
    """ValueError where a file of so many bytes is too large."""
    if count > BYTES:
        raise ValueError(
            f"a trajectory file may have up to {BYTES / 2**20:.0f} MB, this one has "
            f"{count / 2**20:.0f}; save fewer runs in one file"
        )


def _at_most(what: str, most: int, unit: str, value: int) -> None:
    if value > most:
        raise ValueError(
            f"{what} may have up to {most:,} {unit}, this one has {value:,}; save fewer runs or "
            "shorter ones in one file"
        )


def check_json(data: bytes) -> None:
    """Refuse JSON with more in it than runs of its size can have, by counting alone."""
    columns, steps = _lengths(data, b'"writable"'), _lengths(data, b'"start"')
    total = Total()
    for number, count in enumerate(steps):
        paired = len(steps) == len(columns)
        total.add(count, columns[number] if paired else max(columns, default=0))
    for count in columns:
        _at_most("a run", COLUMNS, "columns", count)

    values = lists = objects = inside = 0
    for text, quotes in _unquoted(data, 0, len(data), escapes=True):
        values += text.count(b",") + quotes // 2
        lists += text.count(b"[")
        objects += text.count(b"{")
        inside = 0 if quotes or text else inside + _CHUNK
        for count, most, unit in (
            (values, _VALUES, "values"),
            (lists, _LISTS, "lists"),
            (objects, _OBJECTS, "objects"),
        ):
            if count > total.most(most):
                raise ValueError(
                    f"its {total.runs:,} runs can have up to {total.most(most):,} {unit}, and it "
                    f"has {count:,} or more, so it is no trajectory file"
                )
        if inside > LINE or len(text) > _LONG * (1 + text.count(b",")):
            raise ValueError("it holds a text or a number that no run has")


def _lengths(data: bytes, name: bytes) -> list[int]:
    """How many numbers the list of this name has, run by run. ValueError beyond RUNS of them."""
    lengths: list[int] = []
    place = data.find(name)
    while place >= 0:
        start = place + len(name)
        if match := _LIST.match(data, start):
            start = match.end()
            stop = data.find(b"]", start, start + LINE)
            stop = stop if stop >= 0 else min(start + LINE, len(data))
            empty = not data[start:stop].strip()
            lengths.append(0 if empty else data.count(b",", start, stop) + 1)
            _at_most("a trajectory file", RUNS, "runs", len(lengths))
            start = stop
        place = data.find(name, start)
    return lengths


def check_csv(data: bytes) -> None:
    """Refuse a line that no run can have: too long, or of more cells than there are columns."""
    place = 0
    while place < len(data):
        if data.find(b"\n", place, place + _LONG) >= 0 or place + _LONG >= len(data):
            place += _LONG
            continue
        start, stop = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
        stop = len(data) if stop < 0 else stop
        if stop - start > LINE:
            raise ValueError(f"a line may have up to {LINE:,} bytes, and one has {stop - start:,}")
        cells = sum(text.count(b",") for text, _ in _unquoted(data, start, stop, escapes=False))
        if cells > 100:
            raise ValueError(f"every line must have 21 cells, and one has {cells + 1:,}")
        place = stop + 1


def _unquoted(data: bytes, start: int, stop: int, escapes: bool) -> Iterator[tuple[bytes, int]]:
    """What stands outside of quotes, and the number of quotes, a piece at a time.

    escapes: a backslash takes the character after it (JSON); without, a quote within quotes is
    doubled (CSV), which opens and closes nothing.
    """
    quoted, held = False, b""
    for place in range(start, stop, _CHUNK):
        piece = held + data[place : min(place + _CHUNK, stop)]
        if escapes:
            slashes = len(piece) - len(piece.rstrip(b"\\"))
            held = b"\\" * (slashes % 2)  # its character comes with the next piece
            piece = piece[: len(piece) - len(held)].replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        yield b"".join(parts[int(quoted) :: 2]), len(parts) - 1
        quoted ^= len(parts) % 2 == 0
