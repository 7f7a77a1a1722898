"""I1, I8: the same for `lab.run` and the shell: a result, or one sentence that names the field."""

import contextlib
import io
from collections import Counter
from typing import Any

from hypothesis import strategies as st

import lab
from lab.cli import main
from tests.reliability import Figure, none_of
from tests.reliability.fuzz_endpoints import SECRET
from tests.reliability.payloads import junk, sample, spoilt

SIZE = 1000
RUN: dict[str, Any] = {
    "sampler": "llada2", "model": "capitals", "prompts": "The capital of", "template": None,
    "gen_length": 4, "seed": 0, "rows": 1, "first_row": 0, "preset": None,
    "chat_template_kwargs": None, "steps": 2, "block_length": 4, "temperature": 0.5, "top_k": 3,
}  # fmt: skip
SHELL = {
    "--task": "capitals", "--samplers": "llada2,mdlm", "--prompt": "The capital of",
    "--gen-length": "4", "--seed": "0", "--rows": "1", "--steps": "2", "--temperature": "0.5",
    "--csv": "", "--json": "",
}  # fmt: skip
WORDS = ("sampler", "model", "prompt", "template", "gen_length", "seed", "rows", "first_row",
         "preset", "steps", "block_length", "temperature", "top_k", "task", "option", "file",
         "run", "parameter", "canvas", "logits", "command", "argument")  # fmt: skip


def check(size: int = SIZE) -> list[Figure]:
    """`size` calls of lab.run and as many command lines, in this process."""
    calls = [_call(arguments) for arguments in sample(_runs(), size)]
    lines = [_type(line) for line in sample(_lines(), size)]
    figures = []
    for name, faults in (("calls of `lab.run`", calls), ("command lines", lines)):
        counts = Counter(fault.split(":")[0] for fault in faults)
        for fault in filter(None, faults):
            print(fault[:400])
        figures += [
            Figure(f"{name} with something malformed in them", str(len(faults))),
            none_of("ended in an error of another kind than ours", counts["other error"]),
            none_of("refused by a sentence that names no field", counts["no field"]),
        ]
    return figures


def _runs() -> st.SearchStrategy[dict[str, Any]]:
    names = list(RUN)
    values = spoilt(list(RUN.values()))
    return values.map(lambda drawn: dict(zip(names, drawn, strict=False)))


def _lines() -> st.SearchStrategy[list[str]]:
    """A command, and options with words that a shell can pass: no NUL, no lone surrogate."""
    word = junk().map(str).map(lambda text: text.encode("utf-8", "ignore").decode())
    word = word.map(lambda text: text.replace("\0", ""))
    option = st.sampled_from(list(SHELL))
    pairs = st.lists(st.tuples(option, word), max_size=3)
    command = st.sampled_from(["compare"] * 6 + ["generate", "samplers", "bench"]) | word
    return st.builds(_line, command, pairs, st.lists(word, max_size=1))


def _line(command: str, pairs: list[tuple[str, str]], rest: list[str]) -> list[str]:
    options = {name: value for name, value in SHELL.items() if value} | dict(pairs)
    return [command, *(word for pair in options.items() for word in pair), *rest]


def _call(arguments: dict[str, Any]) -> str:
    """What went wrong in a call of lab.run; "" for a result or a clear refusal."""
    try:
        lab.run(**{"sampler": "llada2", "model": "capitals", **arguments})
    except ValueError as error:
        return _fault(str(error), arguments)
    except Exception as error:
        return f"other error: {type(error).__name__}: {error}: {arguments}"
    return ""


def _type(line: list[str]) -> str:
    """What went wrong in a command line; "" for a result or a clear refusal."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(line)
    except SystemExit as exit_:
        code = exit_.code
    except Exception as error:
        return f"other error: {type(error).__name__}: {error}: {line}"
    if code not in (0, 2):
        return f"other error: exit code {code}: {err.getvalue()}: {line}"
    return _fault(err.getvalue(), line) if code == 2 else ""


def _fault(message: str, arguments: Any) -> str:
    named = any(word in message for word in WORDS)
    if not named or "Traceback" in message or not SECRET:
        return f"no field: {message}: {arguments}"
    return ""
