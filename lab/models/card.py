"""A checkpoint folder's ModelCard, read from its JSON files alone: no weights, no transformers."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.models import token_counts
from lab.models.checkpoint_files import check_files, read_json
from lab.models.errors import ModelError
from lab.models.model import ModelCard
from lab.models.rewards import rewards_of
from samplers.schedules import SCHEDULES
from samplers.signature import brief

if TYPE_CHECKING:
    from lab.models.transformers.families import Family

KINDS = {
    "attention": ("full", "block_causal", "causal", "any"),
    "corruption": ("absorbing", "hybrid", "uniform"),
    "posterior": ("full", "loo"),
    "schedule": (*SCHEDULES, "hybrid"),
}
# What the files of a folder show and lab.json does not say.
OWN = {
    "leave_one_out", "self_conditioning", "frequencies", "rewards", "quality_head", "dual_cache"
}  # fmt: skip
QUALITY_HEAD = "quality_head"  # the model_type of a head's config.json
RANGES = {
    "vocab_size": "a whole number of at least 1",
    "context": "a whole number of at least 1 (max_position_embeddings)",
    "length": "a whole number of at least 1",
    "block_lengths": "whole numbers of at least 1",
    "draft_length": "a whole number of at least 2",
    "joint_length": "a whole number of at least 2, of a causal model",
    "p_uniform": "a number from 0 to below 1",
    "name": "text",
    "task": "text",
    "time_conditioned": "true or false",
}


@cache
def read_card(folder: Path) -> ModelCard:
    """Put together what config.json, lab.json and the tokenizer's files say of a model.

    lab.json holds what config and tokenizer do not: attention, corruption, posterior and the rest
    of a ModelCard; that of a draft model or a quality head says what differs from the card of its
    target. ModelError for a folder that lacks it.
    """
    facts = read_facts(folder)
    known = {field.name for field in fields(ModelCard)} - OWN
    stated: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in facts.items()
        if key in known and value is not None
    }
    config = read_json(folder / "config.json")
    if target := target_folder(folder):
        own: dict[str, Any] = {"name": folder.name, "draft_length": config.get("block_size"),
                               "joint_length": None}  # fmt: skip
        if config.get("model_type") == QUALITY_HEAD:  # no answer changes, so only its name
            own, stated = {"quality_head": True}, {"name": stated.get("name", folder.name)}
        return check_card(replace(read_card(target), **{**own, **stated}), folder.name)
    ids = special_ids(words := tokenizer_folder(folder))
    eos, pad = ids["eos_token"], ids["pad_token"]
    read: dict[str, Any] = {
        "name": folder.name,
        "vocab_size": config.get("vocab_size"),
        "mask_id": ids["mask_token"],
        "pad_id": None if pad == eos else pad,  # an end that pads as well may be predicted
        "bos_id": ids["bos_token"],
        "eos_ids": () if eos is None else (eos,),
        "context": config.get("max_position_embeddings") or config.get("n_positions"),  # GPT-2's
    }
    card = ModelCard(**{**read, **stated})
    # A stock class of full attention can be fed a copy of its columns.
    copies = card.attention == "full" and card.mask_id is not None
    card = replace(
        card, leave_one_out=copies, frequencies=token_counts.known(words, str(card.task)),
        rewards=rewards_of(str(card.task)),
    )  # fmt: skip
    return check_card(card, folder.name)


def expected_card(family: "Family", name: str) -> ModelCard:
    """What samplers need to know of a checkpoint of that family before it is opened."""
    lengths, drafts = family.block_lengths, family.adapter == "draft_model"
    return ModelCard(
        name,
        vocab_size=0,
        attention=family.attention,
        corruption=family.corruption,
        posterior=family.posterior,
        time_conditioned=family.time_conditioned,
        block_lengths=None if drafts else lengths,
        draft_length=lengths[-1] if drafts and lengths else None,
        joint_length=family.joint_length,
        leave_one_out=leaves_one_out(family),
        self_conditioning=family.adapter == "canvas",
    )


def leaves_one_out(family: "Family") -> bool:
    """Whether the family's adapter can feed copies of columns that do not see their own."""
    masks = family.attention == "full" and family.corruption != "uniform"
    return masks and family.adapter in ("causal", "masked") and not family.shifted


def special_ids(folder: Path) -> dict[str, int | None]:
    """Ids of a tokenizer's special tokens, from its two JSON files: {"mask_token": 4, ...}."""
    tokens = read_json(folder / "tokenizer.json").get("added_tokens")
    names = read_json(folder / "tokenizer_config.json")
    entries = [token for token in tokens or () if isinstance(token, dict)]
    ids = {str(token.get("content")): token.get("id") for token in entries}
    special: dict[str, int | None] = {}
    for name in ("mask_token", "pad_token", "bos_token", "eos_token"):
        token = names.get(name)
        special[name] = ids.get(str(token.get("content") if isinstance(token, dict) else token))
    return special


def check_card(card: ModelCard, folder: str) -> ModelCard:
    """The card itself. ModelError where what files say of a model is no card of one."""
    size = card.vocab_size
    whole = _whole(size, 1)
    rules = {
        "vocab_size": whole,
        **{name: getattr(card, name) is None or (whole and _whole(getattr(card, name), 0, size - 1))
           for name in ("mask_id", "pad_id", "bos_id")},
        **{name: getattr(card, name) is None or (whole and _all(getattr(card, name), 0, size - 1))
           for name in ("eos_ids", "noise_ids")},
        "context": _whole(card.context, 1),
        "length": card.length is None or _whole(card.length, 1),
        "block_lengths": card.block_lengths is None or _all(card.block_lengths, 1, 1 << 20),
        "draft_length": card.draft_length is None or _whole(card.draft_length, 2, 1 << 20),
        "joint_length": card.joint_length is None
        or (_whole(card.joint_length, 2, 1 << 20) and card.attention == "causal"),
        "p_uniform": isinstance(card.p_uniform, (int, float)) and 0 <= card.p_uniform < 1,
        "name": isinstance(card.name, str),
        "task": isinstance(card.task, str),
        "time_conditioned": isinstance(card.time_conditioned, bool),
        **{name: getattr(card, name) in known for name, known in KINDS.items()},
    }  # fmt: skip
    for name, holds in rules.items():
        if not holds:
            way = f"one of {', '.join(KINDS[name])}" if name in KINDS else RANGES.get(name)
            raise ModelError(
                f"{name} of {folder} must be {way or 'token ids of its vocabulary'}, got "
                f"{brief(getattr(card, name))}; correct lab.json, config.json or the tokenizer"
            )
    return card


def _whole(value: Any, low: int, high: int = 1 << 40) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _all(values: Any, low: int, high: int) -> bool:
    return isinstance(values, tuple) and all(_whole(value, low, high) for value in values)


def read_facts(folder: Path) -> dict[str, Any]:
    """What a folder's lab.json says; ModelError for a folder that lacks it."""
    path = folder / "lab.json"
    if not path.exists():
        raise ModelError(f"{folder.name} has no lab.json, which says how the model was trained")
    return read_json(path)


def target_folder(folder: Path) -> Path | None:
    """The folder beside a draft model's or a quality head's that holds the model it goes with;
    None: it is none of them.

    ModelError for a folder without lab.json, and where that names a target that is not there.
    """
    name = read_facts(folder).get("target")
    if name is None:
        return None
    if not isinstance(name, str) or not Path(name).name:
        raise ModelError(
            f"target in lab.json of {folder.name} must name the folder beside it, got "
            f"{brief(name)}; write that folder's name there"
        )
    target = folder.parent / Path(name).name
    if not (target / "lab.json").exists():
        raise ModelError(
            f"{folder.name} goes with {target.name}, which is not beside it; put that model's "
            f"folder next to {folder.name}, or name another as target in its lab.json"
        )
    check_files(target)
    if read_facts(target).get("target") is not None:
        raise ModelError(
            f"{folder.name} goes with {target.name}, which goes with another itself; name the "
            "model that answers as target in its lab.json"
        )
    return target


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer is: in the folder itself, or shared by the task beside it."""
    if (folder / "tokenizer.json").exists():
        return folder
    shared = folder.parent / "tokenizer"
    if shared.is_dir():
        check_files(shared)
    return shared
