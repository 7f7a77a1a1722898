"""The atlas: what ships of all studies, on the shipped models, on one ladder of budgets.

Every sampler and preset, each at settings that span its calls. It is computed cell by cell, so an
atlas that was stopped is a smaller atlas, never a wrong one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import samplers
from lab.models import catalogue
from lab.study.cells import known_cases
from lab.study.spec import Spec, read_spec
from lab.tasks import TASKS
from samplers.registry import Sampler

ATLAS = Path(__file__).parents[2] / "assets" / "atlas.parquet"
ROWS = 1000  # a rate of 50 % to within 3 points
# What a task measures where the default is too much for its cost: fewer cases, fewer rows. A board
# takes a trained model minutes a setting: 250 rows tell rates apart that differ by some 9 points.
# Cases of lists with one right answer are all alike; the other two have 4 and 24.
CASES = {
    "sudoku9": ["26"],
    "addition": ["8:0", "8:4", "8:8"],
    "chain": ["64"],
    "hidden": ["64"],
    "lists": ["copy", "replace_any", "shuffle"],
}
INSTANCES = {
    "sudoku6": 250, "sudoku9": 250, "stories": 40, "lists": 200, "chain": 500, "hidden": 500,
}  # fmt: skip
GEN_LENGTH = {"stories": 64}
STEPS = (2, 4, 8, 16, 32, 64)
TEMPERATURES = (0.0, 0.7, 1.0)
# Settings that span a sampler's own trade of calls for quality, where `steps` is not its name.
LADDERS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "threshold": [
        {"threshold": [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99]},
        {"preset": ["factor"]},
        {"threshold": [None]},
    ],
    "renoise": [
        {"steps": [8, 16, 48], "entropy_bound": [0.1, 0.5]},
        {"steps": [16], "temperature": [1.0], "cooling": [1.0]},
    ],
    "adaptive_parallel": [{"mixture": [0.0, 0.3, 0.5, 0.7, 1.0], "temperature": [0.0, 1.0]}],
    "fk_steering": [
        {"steps": [16], "every": [4], "particles": [1, 2, 4, 8], "reward": ["score", "right"]},
    ],
    "freedave": [{"drafts": [1, 2, 4, 8]}],
    "pc": [{"steps": [4, 8, 16, 32], "decay": [0.0, 0.25]}],
    "prism": [
        {"block_length": [128], "steps": [8, 16, 32, 64], "remask_count": [0, 16, 64]},
        {"preset": ["sudoku"]},
    ],
    "wino": [{"threshold": [0.3, 0.6, 0.8], "verify": [0.5, 0.9]}],
    "saber": [{"least": [1, 2, 4, 8]}, {"preset": ["official"]}],
    "klass": [
        {"threshold": [0.3, 0.6, 0.9], "kl_bound": [0.01, 0.1], "temperature": [0.0, 1.0]},
    ],
    "entropy_bound": [{"gamma": [0.0, 0.05, 0.1, 0.3, 1.0, 3.0], "temperature": [0.0, 1.0]}],
    "llada2": [
        {"threshold": [0.5, 0.7, 0.9, 0.95, 0.99]},
        {"preset": ["llada2.1_quality", "llada2.1_speed"]},
        {"threshold": [None], "steps": [8, 32]},
    ],
    "sdar": [
        {"threshold": [0.5, 0.85, 0.95], "temperature": [0.0, 1.0]},
        {"preset": ["static"], "temperature": [0.0, 1.0]},
        {"order": ["entropy_bounded"], "entropy_bound": [0.1, 0.35, 1.0]},
    ],
    "bd3lm": [
        {"block_length": [4, 16]},
        {"preset": ["grid"], "steps": [4, 8, 16]},
    ],
    "first_hitting": [{"steps": [4, 8, 16, 32, 1024]}],
    "margin": [{"steps": [8, 16, 32, 1024], "temperature": [0.0, 1.0]}],
    "max_prob": [{"steps": [8, 16, 32, 1024], "temperature": [0.0, 1.0]}],
    "autoregressive": [{"temperature": [0.0, 0.7, 1.0]}],
    "dflash": [{"temperature": [0.0, 1.0]}],
    "self_speculation": [{"temperature": [0.0, 1.0]}],
    "llada": [
        {"block_length": [64], "steps": [4, 8, 16, 32, 64]},
        {"block_length": [64], "steps": [8, 32], "remasking": ["random"], "temperature": [1.0]},
        {"block_length": [8], "steps": [2, 4, 8]},
    ],
    "dream": [
        {"steps": [4, 8, 16, 32], "alg": ["entropy", "maskgit_plus"]},
        {"preset": ["origin"], "steps": [8, 32]},
    ],
    "hybrid": [{"steps": [4, 8, 16, 32, 64]}, {"preset": ["self_correction"], "steps": [16]}],
    "uniform": [{"steps": [4, 8, 16, 32, 64]}, {"preset": ["gibbs_corrector"], "steps": [8, 32]}],
    "psi": [
        {"steps": [8, 32, 64], "eta": [0.01, 0.1]},
        {"preset": ["paper_loop"], "steps": [32]},
    ],
    "p2": [{"steps": [8, 32], "eta": [0.0, 1.0, 2.0]}, {"preset": ["dfm"], "steps": [8, 32]}],
    "remdm": [
        {"steps": [8, 32, 64], "eta": [0.008, 0.1]},
        {"steps": [8, 32], "strategy": ["conf", "forward_backward"]},
    ],
    "mdlm": [{"steps": list(STEPS)}, {"preset": ["semi_autoregressive"], "steps": [16]}],
}


def ladder(sampler: Sampler) -> list[dict[str, Any]]:
    """The settings of a sampler in the atlas: its ladder, or its defaults and presets."""
    if sampler.name in LADDERS:
        return [dict(block) for block in LADDERS[sampler.name]]
    names = {param.name for param in sampler.params}
    steps: dict[str, Any] = {"steps": list(STEPS)} if "steps" in names else {}
    return [steps, *({"preset": [name]} for name in sampler.presets)]


def atlas_specs(only: Sequence[str] | None = None) -> list[Spec]:
    """One spec a task, in display order; ValueError for a task that is not one."""
    known = known_cases()
    for name in only or ():
        if name not in known:
            raise ValueError(f"no task {name!r}; there are {', '.join(known)}")
    return [_spec(task, known) for task in known if not only or task in only]


def _spec(task: str, known: Mapping[str, Sequence[str]]) -> Spec:
    fitting = catalogue.served(task)
    content: dict[str, Any] = {
        "name": f"atlas-{task}",
        "task": task,
        "instances": INSTANCES.get(task, ROWS),
        "samplers": {name: ladder(samplers.get(name)) for name in fitting},
    }
    if task in CASES:
        content["cases"] = [case for case in CASES[task] if case in known[task]]
    if task in GEN_LENGTH:
        content["gen_length"] = GEN_LENGTH[task]
    if TASKS[task].checker is None:  # text: quality against diversity, over temperature
        content["samplers"] = {
            name: [_tempered(block, samplers.get(name)) for block in blocks]
            for name, blocks in content["samplers"].items()
        }
    return read_spec(content, known)


def _tempered(block: Mapping[str, Any], sampler: Sampler) -> dict[str, Any]:
    if any(param.name == "temperature" for param in sampler.params):
        return {**block, "temperature": list(TEMPERATURES)}
    return dict(block)
