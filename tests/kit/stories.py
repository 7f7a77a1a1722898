"""Thirty stories to train tiny models on, and the command that does."""

import json

from lab.train import main

NAMES = ("Tom", "Lily", "Ben", "Mia", "Sam")
THINGS = ("ball", "cat", "tree", "hat", "boat", "cake")
STORIES = [
    f"One day, {name} saw a {thing}. {name} said, “I like the {thing}!” Then {name} ran home."
    for name in NAMES
    for thing in THINGS
]


def write(path):
    """A jsonl of the stories, every sixth held out; its path."""
    rows = [
        {"split": "valid_v2" if number % 6 == 0 else "train", "text": story}
        for number, story in enumerate(STORIES)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def folder(work):
    """Where the command's model is written, its tokenizer beside it."""
    return work / "models" / "model"


def command(data, work, *more):
    """Options of a run so small that it takes seconds."""
    return [
        *("--data", str(data), "--work", str(work), "--out", str(folder(work))),
        *("--hidden", "32", "--layers", "1", "--heads", "2", "--intermediate", "32"),
        *("--vocabulary", "300", "--context", "32", "--lengths", "16,32", "--warmup", "5"),
        *("--tokens-per-batch", "64", "--precision", "no", "--threads", "1", *more),
    ]


def refused(capsys, arguments):
    """What the command says where it refuses."""
    assert main(arguments) == 2
    return capsys.readouterr().err
