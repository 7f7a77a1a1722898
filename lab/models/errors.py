"""What can go wrong while a model is opened, each as one sentence of ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 160  # characters of a library's own words that are shown


class ModelError(ValueError):
    """Why a model is not opened: the rule, the value that broke it, the way out."""


@contextmanager
def explain_errors(name: str) -> Iterator[None]:
    """Let ModelErrors pass and turn whatever else a library raises over `name`'s files into one.

    Rust's panics come as an exception of their own that is no `Exception`.
    """
    try:
        yield
    except (ModelError, NameError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except RecursionError:
        raise ModelError(f"a file of {name} is nested too deeply to be read; replace it") from None
    except BaseException as error:
        if isinstance(error, MemoryError) or "allocate" in str(error):
            raise ModelError(
                f"{name} does not fit into the memory that is free; close other models, load it "
                'with dtype="bfloat16", or choose a smaller checkpoint'
            ) from None
        raise ModelError(
            f"{name} cannot be opened: {_reason(error)}; check its files, or fetch them again"
        ) from error


def _reason(error: BaseException) -> str:
    """A library's own words on one line, without the paths of this machine."""
    words = " ".join(str(error).split())
    words = re.sub(r"(?<![\w.])(?:file://)?/[^\s'\"]+", "a file", words)
    words = "".join(c if c.isprintable() else "?" for c in words)
    words = words if len(words) <= MOST else words[: MOST - 3] + "..."
    return f"{type(error).__name__} ({words})" if words else type(error).__name__
