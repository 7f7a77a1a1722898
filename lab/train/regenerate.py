"""`python -m lab.train.regenerate`: a corpus as a model continues it, for its draft model to learn.

DFlash trains on answers that the target wrote (arXiv:2602.06036): a draft is kept where it says
what the target says, not what a text says. The held-out stories stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

import samplers
from lab.models.transformers.checkpoint import Checkpoint, load_checkpoint
from lab.train.corpus import TINY_STORIES, generator, read_corpus
from lab.train.exit_status import exit_status
from samplers.canvas import Canvas
from samplers.noise import Noise

BEGINNING = (4, 32)  # tokens of a story that stay, drawn for each batch; half of it at most


def regenerated(
    model: Checkpoint, stories: list[str], *, temperature: float, rows: int, seed: int
) -> Iterator[list[str]]:
    """Stories a batch of `rows`: their first tokens, then what the model writes up to its EOS.

    A story that does not end within the model's context is left out. The same seed gives the same
    texts.
    """
    words, card, context = model.tokenizer, model.card, model.card.context
    assert context is not None and card.mask_id is not None and card.bos_id is not None
    encoded = words(stories, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    for first in range(0, len(stories), rows):
        part = encoded[first : first + rows]
        drawn = int(torch.randint(*BEGINNING, (1,), generator=generator(seed, first)))
        stay = min(drawn, min(map(len, part)) // 2)
        tokens = torch.full((len(part), context), card.mask_id)
        tokens[:, 0] = card.bos_id
        tokens[:, 1 : stay + 1] = torch.tensor([ids[:stay] for ids in part])
        writable = (torch.arange(context) > stay).expand_as(tokens)
        canvas = Canvas(tokens, writable, torch.ones_like(writable), card.mask_id, card.eos_ids)
        noise = Noise(seed, range(first, first + len(part)))
        opened = model.open(canvas)
        for step in samplers.get("autoregressive")(
            opened, opened.canvas, noise, temperature=temperature
        ):
            tokens = step.tokens.cpu()
        ended = canvas.finished(tokens)
        yield [
            words.decode([i for i in line if i != card.mask_id], skip_special_tokens=True).strip()
            for line in tokens[ended].tolist()
        ]


@exit_status
def main(argv: list[str]) -> int:
    """Write the continued corpus as a jsonl that `python -m lab train --data` reads."""
    options = argparse.ArgumentParser(prog="python -m lab.train.regenerate", description=__doc__)
    add = options.add_argument
    add("model", type=Path, help="a causal model written by `python -m lab train`")
    add("out", type=Path, help="the .jsonl to write")
    add("--data", default=TINY_STORIES, help="corpus, as in `python -m lab train`")
    add("--field", default="text", help="the column that holds the text")
    add("--held-out", default="valid_v2", help="the split that stays as it is")
    add("--stories", type=int, help="largest number of stories (default: all)")
    add("--temperature", type=float, default=1.0, help="temperature of the draw")
    add("--rows", type=int, default=64, help="stories that run side by side")
    add("--seed", type=int, default=0, help="seed of the draws")
    add("--threads", type=int, default=1, help="torch threads")
    arguments = options.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    if not (arguments.model / "lab.json").is_file():
        raise ValueError(f"{arguments.model} must be written by `python -m lab train`")
    model = load_checkpoint(arguments.model)
    if reason := samplers.get("autoregressive").misfit(model.card):
        raise ValueError(reason)
    samplers.get("autoregressive").bind({"temperature": arguments.temperature})
    for name in ("rows", "stories"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")
    if arguments.out.exists():
        raise ValueError(f"{arguments.out} is there already; choose another name")
    corpus = read_corpus(arguments.data, arguments.held_out, arguments.field)
    stories = corpus.train[: arguments.stories]
    texts = regenerated(
        model, stories, temperature=arguments.temperature, rows=arguments.rows,
        seed=arguments.seed,
    )  # fmt: skip
    with (
        arguments.out.open("w", encoding="utf-8") as file,
        tqdm(total=len(stories), unit="story", disable=None) as bar,
    ):
        for text in corpus.held_out:
            file.write(json.dumps({"split": arguments.held_out, arguments.field: text}) + "\n")
        for batch in texts:
            for text in batch:
                file.write(json.dumps({"split": "train", arguments.field: text}) + "\n")
            bar.update(arguments.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
