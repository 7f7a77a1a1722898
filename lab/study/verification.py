"""Points measured again: how many rows give the same tokens, and whether the rates agree."""

import json
import random
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lab.study.cells import Cell, fingerprint
from lab.study.measure import measure
from lab.study.points import HASH_BYTES, seeds_of, unpack_hashes
from lab.study.spec import Setting
from lab.study.statistics import wilson


class Verification(NamedTuple):
    """Points and rows measured again, rows of equal tokens, points whose rate agrees."""

    points: int
    rows: int
    equal: int
    rates_agree: int


def verify(points: pd.DataFrame, count: int, *, seed: int = 0) -> Verification:
    """Measure the first rows of `count` random points again and compare token hashes and scores.

    On another processor ties may break differently: rows may differ where the rates agree within
    their intervals. ValueError where a model's weights are not those that were measured.
    """
    lines: list[dict[str, Any]] = points.to_dict("records")
    total = equal = agree = 0
    picked = random.Random(seed).sample(lines, min(count, len(lines)))
    for line in picked:
        hashes = unpack_hashes(line["hashes"])
        rows = measure(_cell(line, len(hashes)), "verify")
        again = [row["token_hash"][: 2 * HASH_BYTES] for row in rows]
        total += len(rows)
        equal += sum(old == new for old, new in zip(hashes, again, strict=True))
        agree += _agree(line, np.array([row["score"] for row in rows]))
    return Verification(len(picked), total, equal, agree)


def _cell(line: dict[str, Any], rows: int) -> Cell:
    here = fingerprint(line["model"])
    if here != line["fingerprint"]:
        raise ValueError(
            f"the results of {line['model']} were measured on other weights "
            f"({line['fingerprint']}, here {here}); run the study again"
        )
    setting = Setting(line["sampler"], None, json.loads(line["settings"]))
    seed = seeds_of(line["seeds"])[0]
    return Cell(
        line["task"], line["case"], line["model"], setting, seed, int(line["instances"]),
        int(line["gen_length"]) or None, rows=rows,
    )  # fmt: skip


def _agree(line: dict[str, Any], score: np.ndarray) -> bool:
    if np.isnan(line["score"]):
        return bool(np.isnan(score).any())
    here = wilson(round(float(score.sum())), len(score))
    return bool(here.low <= line["score_high"] and line["score_low"] <= here.high)
