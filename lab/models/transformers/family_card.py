"""The ModelCard of a published checkpoint, put together of config, tokenizer and family."""

import re
from collections.abc import Mapping
from typing import Any

from lab.models.card import leaves_one_out
from lab.models.errors import ModelError
from lab.models.model import ModelCard
from lab.models.transformers.families import Family
from samplers.signature import brief

MASKS = ("<|mask|>", "<|MASK|>", "<|mdm_mask|>", "[MASK]", "<mask>")


def card_of(
    family: Family,
    config: Mapping[str, Any],
    tokenizer: Any,
    name: str,
    revision: str | None = None,
) -> ModelCard:
    """What the checkpoint `name` is. ModelError where it lacks a mask token that it needs.

    config is config.json with transformers' own field names. A causal model needs no mask: where it
    has none, its masked positions hold an id one past its vocabulary, which the model never sees.
    """
    size = int(config["vocab_size"])
    mask = mask_of(family, config, tokenizer, size)
    maskless = family.corruption == "uniform"
    if mask is None and family.attention != "causal" and not maskless:
        raise ModelError(
            f"{name} lacks a mask token, which {family.name} needs to mark what is to be written; "
            "its tokenizer must name one (tokenizer.mask_token), or choose another checkpoint"
        )
    eos = eos_of(family, config, tokenizer, size, mask)
    pad, bos = tokenizer.pad_token_id, tokenizer.bos_token_id
    if bos is None:
        bos = config.get("bos_token_id")
    if bos is None and family.attention == "causal":
        bos = eos[0] if eos else None
    context = config.get("max_position_embeddings") or config.get("model_length") or 1024
    context -= 2 if family.framed else 0
    share = re.search(r"p_unif-(0?\.\d+)", name)
    return ModelCard(
        name=name,
        vocab_size=size if mask is not None or maskless else size + 1,
        mask_id=size if mask is None and not maskless else mask,
        # A pad that also ends texts (Qwen, LLaDA) may be predicted: pads are known by `visible`.
        pad_id=None if pad in eos or pad == mask else pad,
        bos_id=None if family.framed else bos,
        eos_ids=eos,
        context=min(context, family.context or context),
        attention=family.attention,
        corruption=family.corruption,
        posterior=family.posterior,
        schedule="hybrid" if family.corruption == "hybrid" else "loglinear",
        p_uniform=float(config.get("p_uniform") or (share and share[1]) or family.p_uniform),
        time_conditioned=bool(config.get("time_conditioning", family.time_conditioned)),
        block_lengths=blocks_of(family, config, name),
        joint_length=joint_of(family, config, name),
        leave_one_out=leaves_one_out(family),
        self_conditioning=family.adapter == "canvas",
        revision=revision,
    )


def mask_of(family: Family, config: Mapping[str, Any], tokenizer: Any, size: int) -> int | None:
    """The mask's id: what config says, what the tokenizer says, what the family published."""
    if family.corruption == "uniform":
        return None
    known = tokenizer.get_vocab()
    named = next((known[token] for token in MASKS if token in known), None)
    if family.attention == "causal" and family.mask_id is None:
        return tokenizer.mask_token_id
    for mask in (config.get("mask_token_id"), tokenizer.mask_token_id, named, family.mask_id):
        if mask is not None and 0 <= mask < size:
            return int(mask)
    return None


def eos_of(
    family: Family, config: Mapping[str, Any], tokenizer: Any, size: int, mask: int | None
) -> tuple[int, ...]:
    """Every id that ends a text, the tokenizer's own first."""
    known = tokenizer.get_vocab()
    listed = config.get("eos_token_id")
    ends = [
        tokenizer.eos_token_id,
        *(listed if isinstance(listed, list) else [listed]),
        *family.eos_ids,
        *(known.get(token) for token in family.eos_tokens),
    ]
    if family.adapter == "masked":
        ends.append(tokenizer.sep_token_id)
    if family.framed:  # trained on padded texts, such a model fills with pads what follows the end
        ends.append(tokenizer.pad_token_id)
    fit = [int(i) for i in ends if i is not None and 0 <= i < size and i != mask]
    return tuple(dict.fromkeys(fit))


def blocks_of(family: Family, config: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    """Block lengths it was trained with: in the name (SDAR -b8), in config, or the family's."""
    if family.attention != "block_causal":
        return None
    in_name = re.search(r"-b(\d+)$", name)
    size = int(in_name[1]) if in_name else config.get("block_size")
    return (int(size),) if size else family.block_lengths


def joint_of(family: Family, config: Mapping[str, Any], name: str) -> int | None:
    """The longest block of a causal model's block mode. ModelError for a bad block_size."""
    if family.joint_length is None:
        return None
    size = config.get("block_size", family.joint_length)
    if not isinstance(size, int) or isinstance(size, bool) or size < 2:
        raise ModelError(
            f"block_size in config.json of {name} must be a whole number of at least 2, got "
            f"{brief(size)}; correct it"
        )
    return size


def unused(tokenizer: Any, size: int) -> tuple[int, ...]:
    """Ids that the model has and the tokenizer has no text for: the vocabulary's padding."""
    return tuple(range(len(tokenizer), size))


def structural(config: Mapping[str, Any], size: int) -> tuple[int, ...]:
    """Ids that delete or split positions (LLaDA2.2): as text on a canvas of one length they mean
    nothing."""
    ids = [config.get(name) for name in ("delete_token_id", "split_token_id")]
    return tuple(i for i in ids if isinstance(i, int) and 0 <= i < size)


def frame_of(family: Family, tokenizer: Any) -> tuple[int, int] | None:
    """The ids before and after all text, where the family was trained between them."""
    if not family.framed:
        return None
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return None if first is None or last is None else (first, last)
