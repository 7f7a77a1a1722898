"""Say what is wrong with a finished row of a table task: which positions, and in one line why."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from lab.tasks.tables import BOARDS, EOS, Board, capital_sentences, capitals, sentence


class Verdict(NamedTuple):
    """wrong: positions (counted over the row from its first token) that make it impossible.

    right: whether the row is one of the task's sequences; message: one line, for people.
    """

    right: bool
    wrong: tuple[int, ...]
    message: str


def check(task: str, pieces: Sequence[str]) -> Verdict | None:
    """Judge a finished row by the text of each position, prompt and all; None: no checker.

    `pieces` are what the tokenizer decodes each id alone to; white space around them and all
    after the first EOS is ignored. A row that holds a mask is not finished and is not judged.
    """
    checker = CHECKERS.get(task)
    words = [piece.strip() for piece in pieces]
    if checker is None or "<mask>" in _until_eos(words):
        return None
    return checker(words)


def _until_eos(words: Sequence[str]) -> list[str]:
    return list(words[: words.index(EOS)]) if EOS in words else list(words)


def _capitals(words: Sequence[str]) -> Verdict:
    said = _until_eos(words)
    known = capitals()
    of = {capital: country for country, capital in known.items()}
    if said[:3] == ["The", "capital", "of"] and said[-1:] == ["."] and said.count("is") == 1:
        verb = said.index("is")
        country, capital = " ".join(said[3:verb]), " ".join(said[verb + 1 : -1])
        if known.get(country) == capital:
            return Verdict(True, (), "a true sentence")
        if country in known:
            truth = sentence(country, known[country])
            reason = f"the capital of {country} is {known[country]}, not {capital or 'nothing'}"
        elif capital in of:
            truth = sentence(of[capital], capital)
            reason = f"{capital} is the capital of {of[capital]}, not of {country or 'nothing'}"
        else:
            places = (*range(3, verb), *range(verb + 1, len(said) - 1))
            reason = f"there is no country {country or 'named'} here and no capital {capital}"
            return Verdict(False, places, f"not a true sentence: {reason}")
    else:
        truth = _nearest(said)
        reason = f"the nearest one is {' '.join(truth[:-1])}."
    return Verdict(False, _different(said, truth, len(words)), f"not a true sentence: {reason}")


def _nearest(said: Sequence[str]) -> list[str]:
    def shared(line: Sequence[str]) -> int:
        return sum(a == b for a, b in zip(_until_eos(line), said, strict=False))

    return _until_eos(max(capital_sentences(), key=shared))


def _different(said: list[str], truth: list[str], length: int) -> tuple[int, ...]:
    """Positions of `said` that are not in `truth`, once what both begin and end with is set aside.

    Where words are missing and none is wrong, the position they should have stood at.
    """
    start = next(
        (i for i, (a, b) in enumerate(zip(said, truth, strict=False)) if a != b),
        min(len(said), len(truth)),
    )
    stop = len(said)
    tail = len(truth)
    while stop > start and tail > start and said[stop - 1] == truth[tail - 1]:
        stop, tail = stop - 1, tail - 1
    return tuple(range(start, stop)) or tuple(range(length)[min(start, length - 1) :][:1])


def _sudoku(board: Board, words: Sequence[str]) -> Verdict:
    size = board.side**2
    cells = _until_eos(words)[:size]
    wrong = {i for i, digit in enumerate(cells) if digit not in board.digits}
    clashes = []
    for unit in ("row", "column", "box"):
        for number in range(board.side):
            places = [i for i in range(len(cells)) if board.units(i)[unit] == number]
            for digit in board.digits:
                same = [i for i in places if cells[i] == digit]
                if len(same) > 1:
                    wrong.update(same)
                    clashes.append(f"{digit} stands {len(same)} times in {unit} {number + 1}")
    if not wrong and len(cells) == size:
        return Verdict(True, (), "a valid grid")
    if not wrong:
        return Verdict(False, (), f"not a whole grid: {len(cells)} of {size} cells")
    more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
    reason = clashes[0] + more if clashes else "a cell holds no digit"
    return Verdict(False, tuple(sorted(wrong)), f"not a grid: {reason}")


def _addition(words: Sequence[str]) -> Verdict:
    said = "".join(words)
    found = re.fullmatch(r"([0-9]+)\+([0-9]+)=([0-9]+)", said)
    if not found:
        return Verdict(False, (), "not a sum: it must read as digits + digits = digits")
    first, second, told = found.groups()
    total = str(int(first) + int(second)).zfill(len(told))
    if total == told:
        return Verdict(True, (), f"{int(first)} + {int(second)} = {int(told)}")
    start = len(said) - len(told)
    wrong = [start + i for i, (a, b) in enumerate(zip(told, total, strict=False)) if a != b]
    reason = f"{int(first)} + {int(second)} = {int(total)}, not {int(told)}"
    return Verdict(False, tuple(wrong), f"not the sum: {reason}")


CHECKERS: dict[str, Callable[[Sequence[str]], Verdict]] = {
    "capitals": _capitals,
    **{task: partial(_sudoku, board) for task, board in BOARDS.items()},
    "addition": _addition,
}
