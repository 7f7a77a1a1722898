"""Cells computed again: how many rows give the same tokens, and whether the rates agree."""

import json
import random
from typing import NamedTuple

import pandas as pd

from lab.study.cells import Cell, fingerprint
from lab.study.measure import measure
from lab.study.spec import Setting
from lab.study.statistics import wilson


class Verification(NamedTuple):
    """Cells and rows computed again, rows of equal tokens, cells whose rate agrees."""

    cells: int
    rows: int
    equal: int
    rates_agree: int


def verify(rows: pd.DataFrame, count: int, *, seed: int = 0) -> Verification:
    """Compute `count` random cells of these results again and compare token hashes and scores.

    On another processor ties may break differently: rows may differ where the rates agree within
    their intervals. ValueError where a model's weights are not those that were measured.
    """
    keys = ["task", "case", "model", "fingerprint", "sampler", "preset", "settings", "seed"]
    groups = [(key, group) for key, group in rows.groupby(keys, sort=True)]
    picked = random.Random(seed).sample(groups, min(count, len(groups)))
    total = equal = agree = 0
    for key, group in picked:
        old = group.sort_values("instance", ignore_index=True)
        new = pd.DataFrame(measure(_cell(dict(zip(keys, key, strict=True)), len(old)), "verify"))
        total += len(old)
        equal += int((old["token_hash"] == new["token_hash"]).sum())
        agree += _agree(old["score"], new["score"])
    return Verification(len(picked), total, equal, agree)


def _cell(key: dict[str, str], count: int) -> Cell:
    here = fingerprint(key["model"])
    if here != key["fingerprint"]:
        raise ValueError(
            f"the results of {key['model']} were measured on other weights ({key['fingerprint']}, "
            f"here {here}); run the study again"
        )
    setting = Setting(key["sampler"], None, json.loads(key["settings"]))
    return Cell(key["task"], key["case"], key["model"], setting, int(key["seed"]), count)


def _agree(old: pd.Series, new: pd.Series) -> bool:
    if old.isna().any():
        return bool(new.isna().any())
    mine, theirs = (wilson(round(float(s.sum())), len(s)) for s in (old, new))
    return mine.low <= theirs.high and theirs.low <= mine.high
