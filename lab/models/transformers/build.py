"""Open the folder of a published checkpoint: its model under its family's adapter, checked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lab.models import token_counts
from lab.models.checkpoint_files import check_weights, read_json
from lab.models.device import first_device
from lab.models.errors import ModelError
from lab.models.hub.connection import refuse_code
from lab.models.model import Model
from lab.models.self_test import check_attention
from lab.models.transformers.canvas_model import CanvasModel
from lab.models.transformers.checkpoint import Checkpoint, load_checkpoint
from lab.models.transformers.dit import DiTModel, from_state
from lab.models.transformers.families import Family, recognise
from lab.models.transformers.family_card import card_of, frame_of, structural, unused
from lab.models.transformers.masked import MaskedLM, first_position, sliding
from lab.models.transformers.pretrained import read_network, read_tokenizer
from lab.models.wrap import Wrapped

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id", "mask_token_id")
META = ("architectures", "auto_map", "dtype", "model_type", "torch_dtype", "transformers_version")


class Remote(torch.nn.Module):
    """A model of remote code that takes ids, a 4-D mask and positions and returns `.logits`."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network: Any = network

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, position_ids: torch.Tensor
    ) -> torch.Tensor:
        mask = attention_mask.to(self.network.dtype)
        out = self.network(input_ids, attention_mask=mask, position_ids=position_ids)
        return out.logits


def build(
    folder: Path,
    name: str,
    *,
    revision: str | None = None,
    words: Path | None = None,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    device_map: str | None = None,
    eight_bit: bool = False,
) -> Model:
    """Open a folder with config.json and *.safetensors, of a family that the lab knows.

    name: the hub id (or folder) that the card shows; words: the tokenizer's folder, where it
    is another one. ModelError for an unknown family, a missing mask token, code that would have to
    be run, tensors that do not fit, and a class whose attention is not what the card says.
    """
    config, _ = check_weights(folder)
    family = recognise(config, name)
    openable(family, name, config, trust_remote_code)
    trusted = trust_remote_code and family.adapter == "remote"  # others need none of theirs
    how: dict[str, Any] = {"dtype": DTYPES[dtype], "device_map": device_map}
    if eight_bit:
        from transformers import BitsAndBytesConfig

        how["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    tokenizer = load_words(family, folder, words, trusted)
    model: Model
    if family.adapter == "dit":
        dit = _dit(folder, family, config, tokenizer, name, revision)
        dit.network.to(first_device(device_map))
        model = dit
    else:
        network = load_network(folder, family, config, trusted, how)
        model = _adapted(network, family, config, tokenizer, name, revision)
    if token_counts.known(place := words or folder, family.name):
        model.card = replace(model.card, frequencies=True)
        model.counted = token_counts.frequencies(place, family.name, model.card.vocab_size)
    model.note = check_attention(model)
    return model


def load_folder(
    folder: Path,
    *,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    device_map: str | None = None,
) -> Model:
    """Open a folder: with lab.json as the lab wrote it, without as what its family says.

    A plain causal class without lab.json is an autoregressive model: what else it may have been
    trained for, only lab.json tells.
    """
    config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    # A masked language model that `lab train` went on with opens as its family does.
    masked = any(name.endswith("ForMaskedLM") for name in config.get("architectures") or ())
    if not config or ((folder / "lab.json").exists() and not masked):
        return load_checkpoint(folder, device_map)
    return build(
        folder, folder.name, trust_remote_code=trust_remote_code, dtype=dtype, device_map=device_map
    )


def openable(family: Family, name: str, config: Mapping[str, Any], trust_remote_code: bool) -> None:
    """Whether this family can be opened with what is allowed. ModelError says why not."""
    if family.adapter == "draft_model":
        raise ModelError(
            f"{name} cannot be opened alone: it drafts for another model; put both folders side by "
            "side, each with a lab.json, the draft model's naming its target, or give one of "
            f"{', '.join(family.targets)}"
        )
    if family.adapter != "remote":
        return
    refuse_code(trust_remote_code)
    if not trust_remote_code:
        raise ModelError(
            f"{name} ({family.name}) runs only with the Python code that comes with its weights; "
            "read that code, then load it by name with trust_remote_code on and a revision"
        )
    for place in (config.get("auto_map") or {}).values():
        if "--" in str(place):
            raise ModelError(
                f"{name} takes its code from another repository ({place}), which no revision "
                "pins; choose a checkpoint that brings its own"
            )


def load_words(family: Family, folder: Path, words: Path | None, trust_remote_code: bool) -> Any:
    """The tokenizer, from the folder itself or from where its family says."""
    own = any((folder / file).exists() for file in ("tokenizer.json", "vocab.txt", "vocab.json"))
    place = folder if own else words
    if place is None:
        raise ModelError(
            f"{folder.name} has no tokenizer; put its files (tokenizer.json) beside the weights"
        )
    return read_tokenizer(place, family.words_class, trust_remote_code)


def load_network(
    folder: Path,
    family: Family,
    config: Mapping[str, Any],
    trust_remote_code: bool,
    how: dict[str, Any],
) -> Any:
    """The model under transformers' own class, or under its remote code where that is allowed.

    ModelError where the weights lack a tensor, one has another shape, or (where all of a family's
    names are known) one has no place.
    """
    import transformers

    stock = family.stock.get(config.get("model_type", ""))
    if stock:
        loader = stock_class(stock)
        how = {**how, "config": loader.config_class.from_dict(stock_config(family, config)),
               "key_mapping": dict(family.rename) or None}  # fmt: skip
    elif family.adapter == "remote":
        names = config.get("auto_map") or {}
        auto = "AutoModelForCausalLM" if "AutoModelForCausalLM" in names else "AutoModel"
        loader, how = getattr(transformers, auto), {**how, "attn_implementation": None}
    else:
        kind = "Masked" if family.adapter == "masked" else "Causal"
        loader = getattr(transformers, f"AutoModelFor{kind}LM")
    return read_network(
        loader, folder, trusted=trust_remote_code, all_known=bool(family.fields), **how
    )


def stock_class(name: str) -> Any:
    """The class of that name: transformers' own, or what the lab makes of one of them."""
    import transformers

    if hasattr(transformers, name):
        return getattr(transformers, name)
    from lab.models.transformers import llada2_moe

    return getattr(llada2_moe, name)


def stock_config(family: Family, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config under the names of the stock class that has the family's layers."""
    if family.fields:
        values = {theirs: config.get(theirs) for theirs in family.fields}
        named = {family.fields[key]: value for key, value in values.items() if value is not None}
        return {**named, **{key: config[key] for key in SPECIAL if key in config}}
    return {key: value for key, value in config.items() if key not in META}


def _adapted(
    network: Any,
    family: Family,
    written: Mapping[str, Any],
    tokenizer: Any,
    name: str,
    revision: str | None,
) -> Model:
    # A config class fills special ids in where config.json leaves them out; they mean nothing.
    text = written.get("text_config") or {}
    special = {key: written.get(key, text.get(key)) for key in SPECIAL}
    config = network.config.get_text_config().to_dict() | special
    card = card_of(family, config, tokenizer, name, revision)
    banned = unused(tokenizer, config["vocab_size"]) + structural(written, card.vocab_size)
    if family.adapter == "canvas":
        return CanvasModel(network, card, tokenizer, banned)
    if family.adapter == "masked":
        card = replace(card, context=card.context - first_position(network))
        return MaskedLM(network, card, tokenizer, frame_of(family, tokenizer), banned)
    if family.adapter == "causal":
        if sliding(network.config) is not None:
            raise ModelError(f"{name} has layers that look only so far: no mask is built for it")
        return Checkpoint(network, card, tokenizer, family.shifted, banned)
    model = Wrapped(Remote(network.eval()), card, tokenizer)
    model.banned_ids = banned
    return model


def _dit(
    folder: Path,
    family: Family,
    config: Mapping[str, Any],
    tokenizer: Any,
    name: str,
    revision: str | None,
) -> DiTModel:
    from safetensors.torch import load_file

    state: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        state |= load_file(file)
    network = from_state(state)
    size = len(network.vocab_embed.embedding)
    card = card_of(family, {**config, "vocab_size": size}, tokenizer, name, revision)
    model = DiTModel(network, card, tokenizer, sigma=family.corruption != "hybrid")
    model.banned_ids = unused(tokenizer, size)
    return model
