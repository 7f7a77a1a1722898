"""A model that does not ship with the lab: looked up, loaded, and then known by its name."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lab
from lab.models.card import read_card
from lab.models.hub import download
from lab.models.hub.connection import on_space
from lab.models.load import release as let_go
from lab.models.model import Model, ModelCard
from lab.models.transformers import build
from lab.models.transformers.families import Family
from lab.run import limits
from lab.ui import slot
from samplers import SAMPLERS
from samplers.registry import shown

MOST = 32  # names that are kept; the weights are kept, and let go, by lab.load
LONGEST = 300  # characters of an id, an address or a folder
SITE = "https://huggingface.co/"
STOPPED = "stopped; what was fetched is kept"


@dataclass(frozen=True)
class Found:
    """What a visitor asked for and what there is, known before any weights are read.

    asked: the visitor's words (text, dtype, trust_remote_code); card: what samplers ask of it (its
    family's, until it is loaded); tested: how far models of this family have been run by this
    project; sampler, preset: what it is published with, where known; offer.files: empty for a
    folder; dtype: the one it is opened in.
    """

    asked: tuple[str, str, bool]
    offer: download.Offer
    card: ModelCard
    family: str
    tested: str
    dtype: str = "float32"
    sampler: str | None = None
    preset: str | None = None

    @property
    def name(self) -> str:
        """How the page and the API call it: the id at its commit, or the folder."""
        commit = f"@{self.offer.revision[:12]}" if self.offer.revision else ""
        return self.offer.name + commit + ("" if self.dtype == "float32" else f" in {self.dtype}")

    @property
    def given(self) -> dict[str, Any]:
        """What lab.load is given beside the id, as far as it differs from the defaults."""
        given: dict[str, Any] = {}
        if self.offer.revision:
            given["revision"] = self.offer.revision
        if self.dtype != "float32":
            given["dtype"] = self.dtype
        if self.asked[2]:
            given["trust_remote_code"] = True
        return given

    @property
    def fits(self) -> dict[str, str | None]:
        """Why a sampler cannot run it, or None where it can: {sampler: reason}."""
        return {name: sampler.misfit(self.card) for name, sampler in SAMPLERS.items()}


_KNOWN: dict[str, Found] = {}


def known() -> dict[str, Found]:
    """Every model that was loaded by its name, the one loaded last at the end."""
    return dict(_KNOWN)


def model(name: str) -> Model | None:
    """The model behind a name that was loaded; None for any other name, a task's too."""
    found = _KNOWN.get(name)
    return None if found is None else lab.load(found.offer.name, **found.given)


def look_up(text: str, dtype: str = "float32", trust_remote_code: bool = False) -> Found:
    """Say what an id `owner/name[@revision]`, its address or a folder holds; no weights are read.

    ValueError with the reason, and the numbers, for what cannot be loaded here.
    """
    asked = limits.text("the model", text, LONGEST).strip()
    if not isinstance(dtype, str) or dtype not in download.DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(download.DTYPES)}, got {shown(dtype)}")
    whole = (text, dtype, trust_remote_code)
    if os.path.isdir(asked) and not on_space():
        found = _folder(Path(asked), whole)
    else:
        name, revision = _id(asked)
        if not download.is_id(name):
            folder = "" if on_space() else "; or a folder on this machine"
            raise ValueError(f"a model is owner/name or owner/name@revision of the hub{folder}; "
                             f"got {shown(asked)}")  # fmt: skip
        offer = download.look_up(name, revision, trust_remote_code=trust_remote_code, dtype=dtype)
        found = _found(whole, offer, lambda: read_card(_texts(offer)))
    try:
        download.fits(found.offer)
    except download.NoRoom:  # what was opened before may hold the memory
        if not let_go():
            raise
        found = replace(found, offer=replace(found.offer, free=download.free_memory()))
        download.fits(found.offer)
    return found


def load(found: Found, tell: Callable[[str, float | None], None], stop: threading.Event) -> Found:
    """Fetch it, open it, and know it by its name from now on.

    tell(words, share): how far it is; share in [0, 1], None where that cannot be known. ValueError
    once `stop` is set, and for what is damaged or no longer fits.
    """

    def report(done: int, total: int) -> None:
        if stop.is_set():
            raise ValueError(STOPPED)
        tell(f"{download.gb(done)} of {download.gb(total)}", done / total if total else None)

    if found.offer.files:
        download.fetch(found.offer, report)
    mine = False
    for mine in slot.turn(stop):  # a model that opens and a run would share the cores
        tell("opening …" if mine else "waiting for a run to end …", None)
    if not mine:
        raise ValueError(STOPPED)
    try:
        made = lab.load(found.offer.name, **found.given)
    finally:
        slot.done()
    found = replace(found, card=made.card)
    _KNOWN.pop(found.name, None)
    _KNOWN[found.name] = found
    for oldest in list(_KNOWN)[:-MOST]:
        del _KNOWN[oldest]
    return found


def _id(text: str) -> tuple[str, str | None]:
    """Name and revision of owner/name@revision, or of the address of its page."""
    name, _, revision = text.removeprefix(SITE).rstrip("/").partition("@")
    if "/tree/" in name:
        name, _, revision = name.partition("/tree/")
    return name, revision or None


def _texts(offer: download.Offer) -> Path:
    """Fetch all of an offer but its weights."""
    small = {file: size for file, size in offer.files.items() if not file.endswith(".safetensors")}
    return download.fetch(replace(offer, files=small))


def _folder(folder: Path, asked: tuple[str, str, bool]) -> Found:
    if not list(folder.glob("*.safetensors")):
        raise ValueError(build.no_safetensors(folder.name))
    config, family = build.read_config(folder), None
    if not (folder / "lab.json").exists():
        family = build.recognise(config, folder.name)
        build.openable(family, folder.name, config, asked[2])
    width = download.DTYPES[_dtype(family, asked)].itemsize
    memory = int(download.parameters(folder) * width * download.SPARE)
    offer = download.Offer(str(folder), "", {}, family, memory, download.free_memory())
    return _found(asked, offer, lambda: read_card(folder))


def _found(
    asked: tuple[str, str, bool], offer: download.Offer, own_card: Callable[[], ModelCard]
) -> Found:
    family = offer.family
    if family is None:
        return Found(asked, offer, own_card(), "a checkpoint of this lab", "as its lab.json says")
    lengths, drafts = family.block_lengths, family.adapter == "draft_model"
    told = ModelCard(
        offer.name, vocab_size=0, attention=family.attention, corruption=family.corruption,
        posterior=family.posterior, time_conditioned=family.time_conditioned,
        block_lengths=None if drafts else lengths, draft_length=lengths[-1] if drafts else None,
    )  # fmt: skip
    return Found(asked, offer, told, family.name, family.status, _dtype(family, asked),
                 family.sampler, family.preset)  # fmt: skip


def _dtype(family: Family | None, asked: tuple[str, str, bool]) -> str:
    """The dtype it is opened in: models of our own classes are small and always kept whole."""
    return "float32" if family is None or family.adapter == "dit" else asked[1]
