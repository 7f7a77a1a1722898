"""How the commands of this folder refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps


def exit_status(main: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """A command whose ValueErrors are one line on standard error, and exit status 2."""

    @wraps(main)
    def command(argv: list[str]) -> int:
        try:
            return main(argv)
        except ValueError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2

    return command
