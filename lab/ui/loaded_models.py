"""A model that does not ship with the lab: looked up, loaded, and then known by its name."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import lab
from lab.models.hub import disk, download
from lab.models.hub.connection import on_space, on_zero_gpu
from lab.models.load import look_up as look_up_model
from lab.models.load import split_id
from lab.models.model import ModelCard
from lab.run import limits
from lab.ui import slot
from lab.ui.shelf import Hourly, Shelf
from samplers import SAMPLERS

MOST = 32  # names that are kept; lab.load keeps the weights, and releases them
# Of a public page: bytes on its disk, bytes that a visitor may fetch in an hour, and all together.
DISK, FETCH, ALL_FETCH = 20_000_000_000, 8_000_000_000, 30_000_000_000
LONGEST = 300  # characters of an id, an address or a folder
STOPPED = "stopped; what was fetched is kept"


def device() -> str:
    """Where models are opened: on the GPU where there is one that stays."""
    return "cpu" if on_zero_gpu() else "auto"


@dataclass(frozen=True)
class ModelEntry:
    """A model by its id or folder, and what it would cost; known before any weights are read.

    query: the visitor's words (text, dtype); trust_remote_code: whether its own code may run (the
    server was started with it); card: what samplers need of it (its family's, until it is loaded);
    tested: how far models of this family have been run by this project; sampler, preset: what it
    is published with, where known; offer.files: empty for a folder; dtype: the one it is opened in.
    """

    query: tuple[str, str]
    offer: download.Offer
    card: ModelCard
    family: str
    tested: str
    dtype: str = "float32"
    sampler: str | None = None
    preset: str | None = None
    trust_remote_code: bool = False

    @property
    def name(self) -> str:
        """How the page and the API call it: the id at its commit, or the folder."""
        commit = f"@{self.offer.revision[:12]}" if self.offer.revision else ""
        return self.offer.name + commit + ("" if self.dtype == "float32" else f" in {self.dtype}")

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of lab.load beside the id, as far as they differ from the defaults."""
        options: dict[str, Any] = {}
        if self.offer.revision:
            options["revision"] = self.offer.revision
        if self.dtype != "float32":
            options["dtype"] = self.dtype
        if self.trust_remote_code:
            options["trust_remote_code"] = True
        return options

    @property
    def misfits(self) -> dict[str, str | None]:
        """Why a sampler cannot run it, or None where it can: {sampler: reason}."""
        return {name: sampler.misfit(self.card) for name, sampler in SAMPLERS.items()}


def _share(entry: ModelEntry) -> float:
    """What a model takes of all that may be kept."""
    return max(1 / MOST, entry.offer.download / DISK if on_space() else 0.0)


_KNOWN: Shelf[ModelEntry] = Shelf(1.0, size=_share)
_FETCHES = Hourly("fetched", 100, FETCH, ALL_FETCH)
_TRUSTED: set[str] = set()


def trust(names: Iterable[str]) -> None:
    """Let these models (owner/name, or a folder) run the Python code beside their weights.

    Chosen where the server is started, never by a visitor.
    """
    _TRUSTED.update(names)


def known() -> dict[str, ModelEntry]:
    """Every model that was loaded by its name, the one loaded last at the end."""
    return dict(_KNOWN.items())


def entry(name: Any) -> ModelEntry | None:
    """The model that was loaded under this name; None for any other."""
    return _KNOWN.get(name) if isinstance(name, str) else None


def look_up(text: str, dtype: str = "float32") -> ModelEntry:
    """Say what an id `owner/name[@revision]`, its address or a folder holds; no weights are read.

    ValueError with the reason, and the numbers, for what cannot be loaded here.
    """
    place = limits.text("the model", text, LONGEST).strip()
    trusted = not _TRUSTED.isdisjoint({place, split_id(place)[0]})
    offer = look_up_model(place, dtype, trusted)
    assert offer.card is not None  # known by now, from its family or its lab.json
    if (family := offer.family) is None:
        return ModelEntry(
            (text, dtype), offer, offer.card, "a checkpoint of this lab", "see its lab.json"
        )
    trusted = trusted and family.adapter == "remote"  # others need none of their code
    return ModelEntry((text, dtype), offer, offer.card, family.name, family.status, offer.dtype,
                      family.sampler, family.preset, trusted)  # fmt: skip


def load(
    entry: ModelEntry,
    progress: Callable[[str, float | None], None],
    stop: threading.Event,
    visitor: str = "",
) -> ModelEntry:
    """Fetch it, open it, and know it by its name from now on.

    progress(words, share): how far it is; share in [0, 1], None where that cannot be known.
    visitor: whose it is, where there is not room for all. ValueError once `stop` is set, for what
    is damaged or no longer fits, and on a public page for more than a visitor may fetch.
    """

    def report(done: int, total: int) -> None:
        if stop.is_set():
            raise ValueError(STOPPED)
        progress(f"{download.gb(done)} of {download.gb(total)}", done / total if total else None)

    if entry.offer.files:
        missing = disk.missing(entry.offer) if on_space() else 0
        if missing and (reason := _FETCHES.refusal(visitor, missing)):
            raise ValueError(reason)
        download.fetch(entry.offer, report)
    # A model that opens and a run would share the cores.
    with slot.LINE.ticket() as ticket:
        while place := ticket.wait(slot.WAIT):
            progress(slot.waiting(place), None)
            if stop.is_set():
                raise ValueError(STOPPED)
        progress("opening …", None)
        model = lab.load(entry.offer.name, **entry.options, device=device())
    entry = replace(entry, card=model.card)
    lost = _KNOWN.put(entry.name, entry, visitor)
    if on_space():
        known_offers = {(each.offer.name, each.offer.revision) for each in known().values()}
        offers = [each.offer for each in lost]
        disk.discard([each for each in offers if (each.name, each.revision) not in known_offers])
    return entry
