"""Measure what docs/performance.md shows: `make bench`, on a machine that does nothing else.

`python -m docs.measure [name ...]` measures these alone; each result is a file docs/bench/NAME.csv,
which `make docs` prints from. A quarter of an hour on two cores; no other run may be going on.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd

from docs.alternatives import alternatives
from lab.bench.cost_table import write
from lab.bench.machine import machine_columns
from lab.bench.timing import spread
from lab.cli import main as command
from lab.models.device import CPU
from lab.run.plan import plan
from lab.run.recorder import Recorder
from lab.run.request import RunRequest
from lab.ui.comparison import Run
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings

FOLDER = Path(__file__).parent / "bench"
LONG = "--prompt-length 256 --gen-length 256"
DECODER = "--vocabulary 8192 --prompt-length 32"
WIDE = "--vocabulary 32768 --prompt-length 32"
# name: the arguments of python -m lab bench.
RUNS = {
    "stories-greedy": "--gen-length 64 --temperature 0",
    "stories-drawn": "--gen-length 64 --temperature 1 --repeats 3",
    "decoder-greedy": f"{DECODER} --gen-length 32 --steps 16 --temperature 0 --repeats 3",
    "wide-drawn": f"{WIDE} --gen-length 32 --steps 16 --temperature 1 --repeats 3",
    "diffusers": f"{DECODER} --gen-length 128 --samplers llada2 --against diffusers",
    "diffusers-long": f"--vocabulary 8192 {LONG} --samplers llada2 --against diffusers --repeats 3",
    "transformers": "--samplers autoregressive,dflash --prompt-length 32 --gen-length 64 "
    "--temperature 0 --against transformers",
    "draws": "--measure draws --vocabulary 157184 --repeats 9",
    "calls": "--measure calls --vocabulary 8192 --repeats 25",
    "starts": "--measure starts",
    "dual-cache": "--measure dual-cache",
}
PANELS = ("llada2", "mdlm", "threshold", "remdm")


def panels(repeats: int = 5) -> pd.DataFrame:
    """Seconds of the wall from the press of Run to its end in the page, over those of its four runs
    alone, one after the other; without a browser."""
    inputs = RunInputs("stories", "One day", gen_length=64)
    alone, beside = list[float](), list[float]()
    for repeat in range(repeats + 1):  # the first warms up
        began = perf_counter()
        for name in PANELS:
            for _ in Recorder(plan(RunRequest(name, "stories", **inputs.arguments))):
                pass
        middle = perf_counter()
        for _ in Run(inputs, [PanelSettings(name) for name in PANELS]).updates():
            pass
        if repeat:
            alone.append(middle - began)
            beside.append(perf_counter() - middle)
    line: dict[str, Any] = {"panels": ", ".join(PANELS)}
    line |= spread(beside).columns("seconds")
    ratios = [each / other for each, other in zip(beside, alone, strict=True)]
    line |= spread(ratios).columns("page_over_alone")
    return pd.DataFrame([line | machine_columns(CPU)])


def load() -> pd.DataFrame:
    """What else the machine does before it is measured: its load average of the last minute."""
    return pd.DataFrame([{"load": os.getloadavg()[0], **machine_columns(CPU)}])


TABLES = {"load": load, "panels": panels, "alternatives": alternatives}


def main(names: list[str]) -> int:
    """Measure these, or all; 2 for a name that is not known."""
    unknown = [name for name in names if name not in (*RUNS, *TABLES)]
    if unknown:
        print(f"no measurement {unknown[0]!r}; there are {', '.join((*RUNS, *TABLES))}")
        return 2
    FOLDER.mkdir(exist_ok=True)
    return max(_measured(names or ["load", *RUNS, "panels", "alternatives"]), default=0)


def _measured(names: list[str]) -> Iterator[int]:
    for name in names:
        file = FOLDER / f"{name}.csv"
        if name in TABLES:
            write(TABLES[name](), file)
            yield 0
        else:
            print(f"python -m lab bench {RUNS[name]}", flush=True)
            yield command(["bench", *RUNS[name].split(), "--csv", str(file)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
