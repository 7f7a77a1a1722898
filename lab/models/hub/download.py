"""Checkpoints of the hub by their id: pinned, sized, and refused before anything large moves."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.models.card import expected_card
from lab.models.checkpoint_files import (
    check_files,
    no_safetensors,
    read_json,
)
from lab.models.errors import ModelError, explain_errors
from lab.models.hub.connection import TIMEOUT, endpoint, hub_errors, on_space, refuse_code, silent
from lab.models.model import Model, ModelCard
from lab.models.transformers.build import DTYPES, build, openable
from lab.models.transformers.checkpoint import Checkpoint, load_checkpoint
from lab.models.transformers.draft_model import paired
from lab.models.transformers.families import ALLOWED, Family, recognise
from samplers.signature import brief

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
COMMIT = re.compile(r"[0-9a-f]{40}")
SPARE = 1.2  # what a run needs beyond the weights: activations, logits, a cache
TEXTS = re.compile(
    r"(config|generation_config|lab|tokenizer|tokenizer_config|special_tokens_map|added_tokens|"
    r"vocab|model\.safetensors\.index)\.json|vocab\.txt|merges\.txt|chat_template\.(jinja|json)"
)


@dataclass(frozen=True)
class Offer:
    """What the hub holds under an id, known before any weights are fetched.

    revision: the commit it stands for now; files: {name: bytes} that would be fetched; download,
    memory, free: bytes to fetch, bytes that a run needs, bytes that are free; family None: a
    checkpoint of this lab, with its own lab.json; target: the model that it drafts for, counted in;
    card: what samplers need to know of it (None where only its lab.json tells); dtype: the one it
    is opened in.
    """

    name: str
    revision: str
    files: Mapping[str, int]
    family: Family | None
    memory: int
    free: int
    target: Offer | None = None
    card: ModelCard | None = None
    dtype: str = "float32"

    @property
    def download(self) -> int:
        """Bytes to fetch, were nothing in the cache."""
        return sum(sum(each.files.values()) for each in (self, self.target) if each)


class NoRoom(ModelError):
    """It would not fit into the memory that is free now."""


def is_id(name: str) -> bool:
    """Whether a name has the form of a hub id, owner/name."""
    return bool(ID.fullmatch(name)) and ".." not in name


def look_up(
    name: str,
    revision: str | None = None,
    *,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    eight_bit: bool = False,
) -> Offer:
    """Ask the hub what `name` is and what it would cost; only its config.json is fetched.

    ValueError: no such id or revision, no network, a gated repository, pickled weights only, an
    unknown family, code that would have to be run, and on a Space anything not allowed there.
    """
    from huggingface_hub import HfApi

    allowed(name, revision, trust_remote_code, dtype, eight_bit)
    with hub_errors(name, revision):
        info = HfApi(endpoint=endpoint()).model_info(
            name, revision=revision, timeout=TIMEOUT, files_metadata=True
        )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    weights = _weights(sizes, name)
    texts = {file: size for file, size in sizes.items() if TEXTS.fullmatch(file)}
    if "config.json" not in texts:
        raise ModelError(f"{name} has no config.json, which says what model it is")
    commit = str(info.sha)
    config = _config(name, commit)
    family: Family | None = None
    target: Offer | None = None
    if "lab.json" not in texts:
        family = recognise(config, name)
        if known := family.targets.get(name):
            target = look_up(known, dtype=dtype, eight_bit=eight_bit)
        else:
            openable(family, name, config, trust_remote_code)
        if eight_bit:
            _check_eight_bit(family, name, config)
        if family.adapter == "remote":
            texts |= {file: size for file, size in sizes.items() if file.endswith(".py")}
    if family is None or family.adapter == "dit":
        eight_bit = False
    dtype = dtype_of(family, dtype)
    memory = _memory(info, sum(weights.values()), config, dtype, eight_bit)
    memory += target.memory if target else 0
    card = expected_card(family, name) if family else None
    files = {**texts, **weights}
    return Offer(name, commit, files, family, memory, free_memory(), target, card, dtype)


def _check_eight_bit(family: Family, name: str, config: Mapping[str, Any]) -> None:
    """ModelError where most weights are experts, which bitsandbytes leaves as they are."""
    parts = (config, config.get("text_config") or {})
    # transformers keeps them as one tensor.
    if family.adapter != "remote" and any(p.get("num_experts") for p in parts):
        raise ModelError(
            f"eight_bit does not reach the experts of {name}, which are most of its weights; "
            'leave eight_bit off and set dtype="bfloat16"'
        )


def open_offer(
    offer: Offer,
    folder: Path,
    *,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    eight_bit: bool = False,
    device_map: str | None = None,
) -> Model:
    """Open what `fetch` brought; the card keeps the commit it was taken at.

    trust_remote_code: for families whose model is code beside the weights. accelerate shares a
    large model among GPUs and main memory.
    """
    name = offer.name
    with explain_errors(name):
        check_files(folder)
        if offer.family is None:
            model = load_checkpoint(folder, device_map)
            model.card = replace(model.card, name=name, revision=offer.revision)
            return model
        how: dict[str, Any] = {
            "dtype": dtype, "device_map": device_map, "eight_bit": eight_bit,
        }  # fmt: skip
        if target := offer.target:
            verifier = build(fetch(target), target.name, revision=target.revision, **how)
            assert isinstance(verifier, Checkpoint)  # every target's family is a causal one
            return paired(verifier, folder, name=name, revision=offer.revision)
        return build(folder, name, revision=offer.revision, words=_words(offer),
                     trust_remote_code=trust_remote_code, **how)  # fmt: skip


def fetch_texts(offer: Offer) -> Path:
    """Fetch all of an offer but its weights; return the folder."""
    small = {file: size for file, size in offer.files.items() if not file.endswith(".safetensors")}
    return fetch(replace(offer, files=small))


def dtype_of(family: Family | None, dtype: str) -> str:
    """The dtype it is opened in: models of the lab's own classes are small and stay float32."""
    return "float32" if family is None or family.adapter == "dit" else dtype


def check_dtype(dtype: str) -> None:
    """ModelError for a dtype that no model is opened in."""
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelError(f"dtype must be one of {', '.join(DTYPES)}, got {brief(dtype)}")


def fits(offer: Offer) -> None:
    """ValueError with the numbers where memory or disk are too small for it."""
    if offer.memory > offer.free:
        raise NoRoom(
            f"{offer.name} needs about {gb(offer.memory)} of memory, {gb(offer.free)} are free; "
            'load it with dtype="bfloat16", in 8 bits, or choose a smaller checkpoint'
        )
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    left = shutil.disk_usage(place).free
    if offer.download > left:
        raise ModelError(
            f"{offer.name} is a download of {gb(offer.download)}, {gb(left)} of disk are free; "
            "clear the hub's cache or set HF_HOME to a larger disk"
        )


def fetch(offer: Offer, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch what the offer lists at its commit, as far as the cache lacks it; return the folder.

    A draft model's target comes first, and counts as part of it.
    """
    from huggingface_hub import hf_hub_download

    done, folder = 0, Path()
    report = progress or (lambda done, total: None)

    def counted(before: int) -> type:
        return silent(lambda fresh: report(before + fresh, offer.download))

    report(0, offer.download)
    parts = [each for each in (offer.target, offer) if each]
    for part, file, size in ((each, *item) for each in parts for item in each.files.items()):
        bar = counted(done)
        with hub_errors(part.name, part.revision):
            path = hf_hub_download(part.name, file, revision=part.revision,
                                   endpoint=endpoint(), tqdm_class=bar)  # fmt: skip
        done += size
        report(done, offer.download)
        folder = Path(path).parent
    return folder


def free_memory() -> int:
    """Bytes free for a model, on all GPUs and in main memory, as far as this process may use it."""
    from accelerate.utils import get_max_memory

    free = dict(get_max_memory())
    group = Path("/sys/fs/cgroup")
    try:  # a container's own limit, which the machine's numbers do not show
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        free["cpu"] = min(free.get("cpu", limit), max(0, limit - used))
    except (OSError, ValueError):
        pass
    return sum(free.values())


def allowed(
    name: str, revision: str | None, trust_remote_code: bool, dtype: str, eight_bit: bool
) -> None:
    """ValueError for what is never loaded like this, or not on a public Space."""
    if not is_id(name):
        raise ModelError(f"a hub id is owner/name, got {brief(name)}")
    if revision is not None and not (isinstance(revision, str) and revision.strip()):
        raise ModelError(f"revision must be a commit, a branch or a tag, got {brief(revision)}")
    check_dtype(dtype)
    if eight_bit and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "eight_bit needs the package bitsandbytes, which is not installed; install it, or "
            'leave eight_bit off and set dtype="bfloat16"'
        )
    refuse_code(trust_remote_code)
    if not on_space():
        return
    if name not in ALLOWED:
        raise ModelError(
            f"on this public page {name} cannot be loaded; it allows {', '.join(sorted(ALLOWED))}. "
            "Run the lab on your own machine for others"
        )
    if not COMMIT.fullmatch(revision or ""):
        raise ModelError(
            f"on this public page a revision must be a commit of 40 hexadecimal digits, got "
            f"{brief(revision)}; take it from the checkpoint's history on the hub"
        )


def _weights(sizes: Mapping[str, int], name: str) -> dict[str, int]:
    """The files that hold the model, with their bytes; ModelError where none are safetensors."""
    weights = {file: size for file, size in sizes.items()
               if file.endswith(".safetensors") and "/" not in file}  # fmt: skip
    if any(file.startswith("model") for file in weights):  # beside it may lie copies of its parts
        weights = {file: size for file, size in weights.items() if file.startswith("model")}
    if not weights:
        raise ModelError(no_safetensors(name))
    return weights


def _config(name: str, commit: str) -> dict[str, Any]:
    from huggingface_hub import hf_hub_download

    with hub_errors(name, commit):
        path = hf_hub_download(name, "config.json", revision=commit, endpoint=endpoint(),
                               tqdm_class=silent(lambda done: None))  # fmt: skip
    return read_json(Path(path))


def _words(offer: Offer) -> Path | None:
    """The tokenizer's folder, where the checkpoint brings none and its family names another's."""
    if "tokenizer.json" in offer.files or offer.family is None or offer.family.words is None:
        return None
    name, commit = offer.family.words
    files = {"tokenizer.json": 0, "tokenizer_config.json": 0}
    return fetch(replace(offer, name=name, revision=commit, files=files))


def _memory(info: Any, stored: int, config: Mapping[str, Any], dtype: str, eight_bit: bool) -> int:
    """Bytes that a run needs: every parameter in the width asked for, and something to spare."""
    stored_dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    width = 4 if "32" in stored_dtype else 2
    count = info.safetensors.total if info.safetensors else stored / width
    return int(count * (1 if eight_bit else DTYPES[dtype].itemsize) * SPARE)


def gb(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"
