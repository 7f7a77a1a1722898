"""Points of known numbers, without any model."""

import pandas as pd

import samplers
from lab.record.trajectory import canonical
from lab.study.results import ROW
from lab.study.summary import summarise

KINDS = {"string": "", "int32": 0, "int64": 0, "float": float("nan"), "double": 0.0}
ROWS = 120


def rows_of(task, case, sampler, values, solved, calls, *, count=ROWS, nats=None, **columns):
    """Rows of a setting that solve the first `solved` of their instances."""
    label = ", ".join(f"{name}={value:g}" for name, value in values.items()) or "defaults"
    line = {field.name: KINDS[str(field.type)] for field in ROW} | {
        "task": task, "case": case, "model": task, "fingerprint": "0" * 12, "sampler": sampler,
        "settings": canonical(samplers.get(sampler).bind(values)), "setting": label,
        "versions": "{}", "calls": calls, "columns_fed": 16 * calls, "tokens": 16,
        "model_seconds": calls / 1000, "seconds": calls / 900, "instances": count,
        "gen_length": 0, "entropy": 2.0, "distinct_2": 0.9,
    } | columns  # fmt: skip
    return [
        line
        | {
            "instance": i,
            "row": i,
            "score": float("nan") if solved is None else float(i < solved),
            "nats": float("nan") if nats is None else nats + i % 7 / 10,
            "token_hash": f"{i:016x}",
        }
        for i in range(count)
    ]


def small_atlas() -> pd.DataFrame:
    """Two cases of a board, and stories, which nothing checks."""
    board = [
        ("mdlm", {"steps": 2}, 20, 2),
        ("mdlm", {"steps": 8}, 80, 8),
        ("mdlm", {"steps": 32}, 110, 20),
        ("threshold", {"threshold": 0.5}, 66, 4),
        ("threshold", {"threshold": 0.9}, 108, 10),
        ("first_hitting", {}, 118, 40),
    ]
    rows = [row for each in board for row in rows_of("sudoku4", "6", *each)]
    rows += [row for each in board[:2] for row in rows_of("sudoku4", "4", *each)]
    for temperature in (0.7, 1.0):
        values = {"temperature": temperature}
        rows += rows_of("stories", "prompts", "autoregressive", values, None, 64, nats=temperature,
                        entropy=2 + temperature)  # fmt: skip
    return summarise(pd.DataFrame(rows))
