"""`python -m lab.train.card_samples`: ten texts of each sampler, and what a judge says of them."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from lab.models.judge import judge
from lab.models.load import load
from lab.models.model import Model, ModelCard
from lab.record.metrics import metrics
from lab.run.recorder import run
from lab.train.card_file import write_section
from lab.train.exit_status import exit_status
from samplers import SAMPLERS
from samplers.registry import Sampler

PROMPTS = (
    "Once upon a time, there was a little",
    "One day, a boy named Tim went to the",
    "Lily and Ben were playing in the",
    "There was a big dog who liked to",
    'Mom said, "Please come and',
    "The cat was sad because",
    "Tom saw a red ball on the",
    "In the forest, there lived a small",
    "Anna wanted to make a cake for her",
    "It was raining, so the children",
)
LENGTH = 64


def settings(sampler: Sampler, card: ModelCard) -> dict[str, Any]:
    """At most one call a token; temperature 0.7 where the sampler draws by default."""
    known = {param.name: param for param in sampler.params}
    values: dict[str, Any] = {}
    if card.attention == "block_causal" and "block_length" in known:
        values["block_length"] = values["steps"] = 8
    elif "steps" in known:
        if "block_length" in known:
            values["block_length"] = LENGTH
        values["steps"] = LENGTH
    if "temperature" in known and known["temperature"].default == 1.0:
        values["temperature"] = 0.7
    return values


def section(model: Model, referee: Model | None, name: str) -> str:
    """Every sampler that runs on the model, each with its settings, numbers and ten texts."""
    parts = [
        f"{LENGTH} tokens after each of {len(PROMPTS)} beginnings, the first draw of seed 0, none "
        "picked; ` / ` is a line break. *Judge*: nats a token under the task's autoregressive "
        "model."
    ]
    table = ["| sampler | calls a text | judge | distinct 2-grams |", "|---|---|---|---|"]
    texts = []
    for sampler in SAMPLERS.values():
        if sampler.misfit(model.card):
            continue
        values = settings(sampler, model.card)
        runs = run(sampler.name, model, list(PROMPTS), gen_length=LENGTH, **values)
        numbers = [metrics(one) for one in runs]
        nats = [n for n in judge(referee, runs) if not math.isnan(n)] if referee else []
        judged = f"{fmean(nats):.2f}" if nats else ""
        table.append(
            f"| `{sampler.name}` | {fmean(n.calls for n in numbers):.1f} | {judged} | "
            f"{fmean(n.distinct_2 for n in numbers):.2f} |"
        )
        more = "".join(f", {key}={value}" for key, value in values.items())
        texts.append(f'`lab.run("{sampler.name}", "{name}", prompts, gen_length={LENGTH}{more})`:')
        for prompt, one in zip(PROMPTS, runs, strict=True):
            written = one.text.strip().replace("\n", " / ")
            texts.append(f"> **{prompt}** {written}")
    return "\n\n".join([*parts, "\n".join(table), *texts])


@exit_status
def main(argv: list[str]) -> int:
    """Write the samples of some models; return the exit status."""
    options = argparse.ArgumentParser(prog="python -m lab.train.card_samples", description=__doc__)
    options.add_argument(
        "models", nargs="+", type=Path, help="folders written by `python -m lab train`"
    )
    options.add_argument("--judge", type=Path, help="a causal model of the same task")
    options.add_argument(
        "--card", action="store_true", help="write them into the README.md of each model"
    )
    arguments = options.parse_args(argv)
    torch.set_num_threads(1)
    referee = load(str(arguments.judge)) if arguments.judge else None
    for folder in arguments.models:
        model = load(str(folder))
        text = section(model, referee, model.card.name)
        sys.stdout.write(text + "\n\n")
        if arguments.card:
            command = f"python -m lab.train.card_samples path/to/{folder.name}"
            command += f" --judge path/to/{arguments.judge.name}" if referee else ""
            write_section(folder / "README.md", "samples", f"Printed by `{command}`: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
