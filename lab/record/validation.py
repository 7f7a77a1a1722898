"""Turn what a file holds into a Trajectory, or say in one sentence what is wrong with it."""

from typing import Any

import numpy as np
from numpy import ndarray

from lab.record.draw_cells import DRAW_ARRAYS, Draws
from lab.record.trajectory import ARRAYS, SCHEMA, Trajectory

TEXTS = ("run_id", "task", "model", "sampler", "text")
WHOLES = ("seed", "row")
EXTRAS = ("top_ids", "top_probabilities", "columns_fed", *DRAW_ARRAYS)
_SHAPES = {
    "tokens": "+L",
    **dict.fromkeys(("predicted", "confidence", "entropy", "score"), "SL"),
    **dict.fromkeys(("start", "stop", "block", "calls", "seconds", "model_seconds"), "S"),
    "writable": "L",
    "columns_fed": "S",
    **dict.fromkeys(("top_ids", "top_probabilities"), "SL5"),
}
_DTYPES = ARRAYS | DRAW_ARRAYS
_NAMES = {*_DTYPES, *TEXTS, *WHOLES, "output", "filled", "pieces", "settings", "card"}
_ROUNDING = 1e-4  # a float32 softmax may pass 1 by its last digits


def trajectory(record: Any) -> Trajectory:
    """Build the Trajectory of one run's fields, lists or arrays; ValueError: rule and value."""
    kind("a run", record, dict)
    if unknown := sorted(map(str, record.keys() - _NAMES)):
        raise ValueError(f"a run has no field {excerpt(unknown[0])}")
    if missing := sorted(_NAMES - set(EXTRAS) - record.keys()):
        raise ValueError(f"a run must have the field {missing[0]!r}, and it is missing")
    if (record.get("top_ids") is None) != (record.get("top_probabilities") is None):
        raise ValueError("top_ids and top_probabilities go together, and one is missing")
    values = {name: kind(name, record[name], str) for name in TEXTS}
    values |= {name: kind(name, record[name], int) for name in WHOLES}
    values |= {name: kind(name, record[name], dict) for name in ("settings", "card")}
    values["output"] = [kind("output", i, int) for i in kind("output", record["output"], list)]
    values["filled"] = [kind("filled", t, str) for t in kind("filled", record["filled"], list)]
    values["pieces"] = _pieces(record["pieces"])
    _check_card(values["card"])

    sizes = {"L": len(kind("writable", record["writable"], list | ndarray))}
    sizes["S"] = len(kind("start", record["start"], list | ndarray))
    sizes |= {"+": sizes["S"] + 1, "5": 5}
    for name in ARRAYS:
        if record.get(name) is not None:
            shape = tuple(sizes[letter] for letter in _SHAPES[name])
            values[name] = array(name, record[name], shape)
        elif name not in EXTRAS:
            raise ValueError(f"{name} must be a list of numbers, got null")
    values["draws"] = _draws(record, sizes["S"], sizes["L"])
    run = Trajectory(**values)
    _check_values(run)
    return run


def schema(value: Any) -> None:
    """Refuse a file of another schema than ours."""
    if value != SCHEMA or isinstance(value, bool):
        age = "an older" if value == 1 and not isinstance(value, bool) else "another"
        raise ValueError(
            f"its schema must be {SCHEMA}, got {excerpt(value)} ({age} version wrote it)"
        )


def refuse(constant: str) -> None:
    """What a JSON parser calls at NaN and Infinity, which are no JSON."""
    raise ValueError(f"numbers must be finite or null, got {constant}")


def kind(name: str, value: Any, expected: Any) -> Any:
    """`value` if it is of that type, else ValueError; a bool is no whole number."""
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        words = {str: "text", int: "a whole number", dict: "an object"}
        raise ValueError(f"{name} must be {words.get(expected, 'a list')}, got {excerpt(value)}")
    return value


def excerpt(value: Any) -> str:
    """A value short and harmless enough for a message."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def array(name: str, value: Any, shape: tuple[int, ...]) -> ndarray:
    """An array of the name's dtype and this shape; ValueError for anything that does not fit."""
    dtype = np.dtype(_DTYPES[name])
    word = {"i": "whole numbers", "f": "numbers", "b": "true or false"}[dtype.kind]
    try:
        values = np.asarray(value, np.float64 if dtype.kind == "f" else None)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{name} must be {word} in equal rows, got {excerpt(value)}") from None
    if values.size == 0 and 0 in shape:
        values = np.zeros(shape, dtype)
    if values.dtype.kind != dtype.kind:
        raise ValueError(f"{name} must be {word}, got {excerpt(value)}")
    if values.shape != shape:
        raise ValueError(f"{name} must have the shape {list(shape)}, got {list(values.shape)}")
    if dtype.kind == "i" and values.size and (values.max() >= 2**31 or values.min() < -(2**31)):
        raise ValueError(f"{name} must fit in 32 bits, got {values[np.abs(values) >= 2**31][0]}")
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _draws(record: dict[str, Any], steps: int, length: int) -> Draws | None:
    lists = {name: record.get(name) for name in DRAW_ARRAYS}
    if all(values is None for values in lists.values()):
        return None
    if any(values is None for values in lists.values()):
        raise ValueError(f"{', '.join(DRAW_ARRAYS)} go together, and one is missing")
    count = len(kind("draw_step", lists["draw_step"], list | ndarray))
    shapes = ((count,), (count,), (count, 5))
    arrays = zip(lists.items(), shapes, strict=True)
    draws = Draws(*(array(name, values, shape) for (name, values), shape in arrays))
    _between("draw_step", draws.step, 1, steps)
    _between("draw_position", draws.position, 0, length - 1)
    _between("draw_probabilities", draws.probabilities, -_ROUNDING, 1 + _ROUNDING, "0 to 1")
    cell = draws.step.astype(np.int64) * length + draws.position
    if (np.diff(cell) <= 0).any():
        raise ValueError("draws must ascend by step and position, and they do not")
    return draws


def _pieces(value: Any) -> dict[int, str]:
    pieces = {}
    for token, text in kind("pieces", value, dict).items():
        if not str(token).isdecimal():
            raise ValueError(f"pieces must be named by token ids, got {excerpt(token)}")
        pieces[int(token)] = kind("a piece", text, str)
    return pieces


def _check_card(card: dict[str, Any]) -> None:
    for name in ("mask_id", "vocab_size"):
        if card.get(name) is not None:
            kind(f"card.{name}", card[name], int)
    for token in kind("card.eos_ids", card.get("eos_ids", []), list | tuple):
        kind("card.eos_ids", token, int)
    kind("card.corruption", card.get("corruption", "absorbing"), str)


def _check_values(run: Trajectory) -> None:
    """The rules that the recorder keeps by construction, and a damaged file may break."""
    length = len(run.writable)
    vocabulary = run.card.get("vocab_size") or 2**31
    _between("tokens", run.tokens, 0, vocabulary - 1)
    _between("predicted", run.predicted, -1, vocabulary - 1)
    _between("start", run.start, 0, length)
    _between("stop", run.stop, 0, length)
    _between("block", run.block, 0, 2**31)
    _between("confidence", run.confidence, -_ROUNDING, 1 + _ROUNDING, "0 to 1")
    _between("entropy", run.entropy, -_ROUNDING, np.inf, "0 up")
    for name in ("calls", "seconds", "model_seconds", "columns_fed"):
        values = getattr(run, name)
        if values is None:
            continue
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} must be a finite number, got {values[~np.isfinite(values)][0]}"
            )
        if (np.diff(values, prepend=values.dtype.type(0)) < 0).any():
            raise ValueError(f"{name} must start at 0 or more and never fall, and it falls")
    if (run.tokens[:, ~run.writable] != run.tokens[0, ~run.writable]).any():
        raise ValueError("tokens that are not writable must stay as they are, and one changes")


def _between(name: str, value: ndarray, low: float, high: float, words: str = "") -> None:
    outside = (value < low) | (value > high)  # False for NaN
    if outside.any():
        raise ValueError(
            f"{name} must be from {words or f'{low} to {high}'}, got {value[outside][0]}"
        )
