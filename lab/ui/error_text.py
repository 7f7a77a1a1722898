"""Errors in words for the page and the API: ours as they are, any other by its kind alone."""

import errno
import logging

OURS = ("lab.", "samplers.")


def explain(error: Exception) -> str:
    """One sentence for a visitor; the whole of an error that is not ours goes to the log.

    A library's message may name paths of this machine, so only its kind is shown.
    """
    if isinstance(error, ValueError) and _raised_here(error):
        return str(error)
    logging.getLogger(__name__).error("a run or a load failed", exc_info=error)
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return "too large for this machine's memory: lower gen_length or block_length"
    if isinstance(error, OSError):
        return explain_disk(error)
    return f"this failed ({type(error).__name__}); the log of the app says where"


def explain_disk(error: OSError) -> str:
    """Why a file could not be written, without its path."""
    reasons = {
        errno.ENOSPC: "the disk of this machine is full",
        errno.EDQUOT: "the disk quota of this machine is used up",
        errno.EROFS: "the disk of this machine is read-only",
        errno.EACCES: "this machine does not allow it",
    }
    return reasons.get(error.errno or 0, f"this machine answered {type(error).__name__}")


def _raised_here(error: Exception) -> bool:
    """Whether our own code raised it (or nobody did, yet)."""
    trace, module = error.__traceback__, "lab."
    while trace is not None:
        module, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    return f"{module}.".startswith(OURS)
