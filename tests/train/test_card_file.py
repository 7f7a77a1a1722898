"""The cards that ship: written by the generator, with commands that are understood."""

import json
import math
import re
import shlex
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from lab.models.catalogue import ASSETS
from lab.study import study_command
from lab.train import evaluate
from lab.train.card_file import write_card
from lab.train.settings import parse

FOLDERS = sorted(path.parent for path in ASSETS.glob("*/*/training.json"))


def parameters(folder: Path) -> int:
    """How many numbers the weights are; tied ones are saved once."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "-".join(folder.parts[-2:]))
def test_shipped_card_is_what_generator_writes(folder: Path, tmp_path: Path):
    shutil.copy(folder / "README.md", tmp_path)
    stages, fields = (json.loads((folder / f"{n}.json").read_text()) for n in ("training", "lab"))
    write_card(tmp_path, fields, stages, parameters(folder))
    for name in ("README.md", "training.json"):
        assert (tmp_path / name).read_text("utf-8") == (folder / name).read_text("utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "-".join(folder.parts[-2:]))
def test_commands_of_shipped_card_are_understood(folder: Path):
    card = (folder / "README.md").read_text("utf-8")
    trained = re.findall(r"^.*-m lab train (.+)$", card, re.MULTILINE)
    assert len(trained) >= len(json.loads((folder / "training.json").read_text()))
    for flags in trained:
        parse(shlex.split(flags), "")
    measured = re.findall(r"`python -m lab (evaluate|study) ([^`]+)`", card)
    assert measured
    for command, flags in measured:
        parsers = {"evaluate": evaluate, "study": study_command}
        parsers[command].parser().parse_args(shlex.split(flags))
