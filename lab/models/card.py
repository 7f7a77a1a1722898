"""A checkpoint folder's ModelCard, read from its JSON files alone: no weights, no transformers."""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from lab.models.model import ModelCard


@cache
def read_card(folder: Path) -> ModelCard:
    """Put together what config.json, lab.json and the tokenizer's files say of a model.

    lab.json holds what config and tokenizer do not: attention, corruption, posterior and the rest
    of a ModelCard; a draft model's says what differs from the card of its target. ValueError for a
    folder that lacks it.
    """
    facts = read_facts(folder)
    known = {field.name for field in fields(ModelCard)}
    given = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in facts.items()
        if key in known and value is not None
    }
    config = json.loads((folder / "config.json").read_text())
    if target := target_folder(folder):
        own = {"name": folder.name, "draft_length": config["block_size"]}
        return replace(read_card(target), **{**own, **given})
    words = tokenizer_folder(folder)
    tokens = json.loads((words / "tokenizer.json").read_text())["added_tokens"]
    names = json.loads((words / "tokenizer_config.json").read_text())
    ids = {token["content"]: token["id"] for token in tokens}

    def special(name: str) -> int | None:
        token = names.get(name)
        return ids.get(token["content"] if isinstance(token, dict) else token)

    eos = special("eos_token")
    read = {
        "name": folder.name,
        "vocab_size": config["vocab_size"],
        "mask_id": special("mask_token"),
        "pad_id": special("pad_token"),
        "bos_id": special("bos_token"),
        "eos_ids": () if eos is None else (eos,),
        "context": config.get("max_position_embeddings") or config.get("n_positions"),  # GPT-2's
    }
    return ModelCard(**{**read, **given})


def read_facts(folder: Path) -> dict[str, Any]:
    """What a folder's lab.json says; ValueError for a folder that lacks it."""
    path = folder / "lab.json"
    if not path.exists():
        raise ValueError(f"{folder.name} has no lab.json, which says how the model was trained")
    return json.loads(path.read_text(encoding="utf-8"))


def target_folder(folder: Path) -> Path | None:
    """The folder beside a draft model's that holds the model it drafts for; None: it is no draft
    model.

    ValueError for a folder without lab.json, and where that names a target that is not there.
    """
    name = read_facts(folder).get("target")
    if name is None:
        return None
    target = folder.parent / Path(name).name
    if not (target / "lab.json").exists():
        raise ValueError(
            f"{folder.name} drafts for {target.name}, which is not beside it; put that model's "
            f"folder next to {folder.name}, or name another as target in its lab.json"
        )
    return target


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer is: in the folder itself, or shared by the task beside it."""
    return folder if (folder / "tokenizer.json").exists() else folder.parent / "tokenizer"
