"""What a checker says of one finished text."""

from typing import NamedTuple


class Score(NamedTuple):
    """value: from 0 to 1, NaN where the text is not finished; message: one line, for people.

    wrong: positions, counted from the first token, that make the text wrong.
    """

    value: float
    message: str
    wrong: tuple[int, ...]
