"""Open any model: one that ships by name, a checkpoint by its folder, one of the hub by its id."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import samplers
from lab.models import catalogue
from lab.models.card import expected_card, read_card, target_folder, tokenizer_folder
from lab.models.checkpoint_files import check_files, check_weights, stored_numbers
from lab.models.device import device_map
from lab.models.errors import ModelError, explain_errors
from lab.models.hub.connection import on_space, refuse_code
from lab.models.model import LOADING, Model
from samplers.signature import brief

if TYPE_CHECKING:
    from lab.models.hub.download import Offer

SITE = "https://huggingface.co/"
KEPT = 3  # checkpoints from elsewhere that stay open, those used last
_OPEN: OrderedDict[Hashable, Model] = OrderedDict()


def load(
    name: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    eight_bit: bool = False,
    progress: Callable[[int, int], None] | None = None,
    device: str | None = None,
    dual_cache: bool = False,
) -> Model:
    """A shipped model by name, a checkpoint by its folder, or one of the hub by its id owner/name.

    The rest is for the hub (lab.models.hub.download.fetch_offer): revision, the commit to pin;
    progress, called with the bytes done and the bytes in all. device: cpu, cuda, cuda:1, or auto,
    which shares a large model among the GPUs and main memory; the whole run is then where the model
    is. None: the CPU, auto for the hub's. Tables and chains are always on the CPU. dual_cache: the
    same weights with approximate, faster answers to samplers that fill a block after the other
    (lab.models.transformers.dual_cache), under another name. The last few models stay open: the
    same call again gives the same model, at the commit it was taken at, until others have taken its
    place, memory is short, or its folder's files have changed. ValueError names the known ones.
    """
    if not isinstance(name, str):
        raise ValueError(f"a model is loaded by name or path, got {type(name).__name__}")
    refuse_code(trust_remote_code)
    how: dict[str, Any] = {"trust_remote_code": trust_remote_code, "dtype": dtype}
    if name in catalogue.models():
        model = catalogue.shipped(name, device)
    elif _is_folder(name):
        model = _load_folder(Path(name), device, **how)
    else:
        how["eight_bit"] = eight_bit
        model = _load_id(name, revision, progress, device, dual_cache, how)
    if not dual_cache:
        return model
    from lab.models.transformers.dual_cache import with_dual_cache

    return with_dual_cache(model)


def _load_id(
    name: str,
    revision: str | None,
    progress: Callable[[int, int], None] | None,
    device: str | None,
    dual_cache: bool,
    how: dict[str, Any],
) -> Model:
    from lab.models.hub import download

    if not download.is_id(name):
        raise ValueError(
            f"no model {brief(name)}; there are {', '.join(catalogue.models())}, the tasks "
            f"{', '.join(catalogue.task_names())} for lab.run; or give a checkpoint's folder or "
            "its id on the hub, owner/name"
        )
    download.allowed(name, revision, **how)
    place = device_map(device, default="auto")
    key = (name, revision, *how.values(), place)
    with LOADING:
        if key in _OPEN:
            return _keep(key, _OPEN[key])
    offer = download.look_up(name, revision, **how)
    if dual_cache and offer.family:
        from lab.models.transformers.dual_cache import check_dual_cache

        check_dual_cache(name, offer.family.attention, offer.family.adapter == "causal")
    offer = with_room(offer)
    folder = download.fetch(offer, progress)
    with LOADING:
        model = _OPEN.get(key) or download.open_offer(offer, folder, device_map=place, **how)
        return _keep(key, model)


def look_up(text: str, dtype: str = "float32", trust_remote_code: bool = False) -> "Offer":
    """What an id owner/name[@revision], the address of its page, or a folder holds and costs.

    No weights are read. On a public page there are no folders. ModelError with the reason, and the
    numbers, for what cannot be loaded here.
    """
    from lab.models.hub import download

    refuse_code(trust_remote_code)
    download.check_dtype(dtype)
    text = text.strip()
    if not on_space() and _is_folder(text):
        with explain_errors(Path(text).name):
            return with_room(_folder_offer(Path(text), dtype, trust_remote_code))
    name, revision = split_id(text)
    if not download.is_id(name):
        folder = "" if on_space() else "; or a folder on this machine"
        raise ModelError(
            f"a model is owner/name or owner/name@revision of the hub{folder}; got {brief(text)}"
        )
    offer = download.look_up(name, revision, trust_remote_code=trust_remote_code, dtype=dtype)
    if offer.family is None:
        offer = replace(offer, card=read_card(download.fetch_texts(offer)))
    return with_room(offer)


def with_room(offer: "Offer") -> "Offer":
    """The offer, once memory and disk have room for it; models kept open give way to it."""
    from lab.models.hub import download

    try:
        download.fits(offer)
    except download.NoRoom:
        if not release():
            raise
        offer = replace(offer, free=download.free_memory())
        download.fits(offer)
    return offer


def release() -> bool:
    """Close the checkpoints that are kept open, for the memory they hold; False: none were."""
    held = bool(_OPEN)
    _OPEN.clear()
    gc.collect()
    return held


def resolve(model: Model | str, sampler: str, device: str | None = None) -> tuple[str, Model]:
    """The task's name ("" for none) and the model that `sampler` runs on, opened on that device."""
    if isinstance(model, Model):
        return model.card.task, model
    if isinstance(model, str) and model in catalogue.task_names():
        known = catalogue.served(model)
        if sampler not in known:
            first = catalogue.card(catalogue.present(model)[0])
            raise ValueError(
                f"task {model} has no model for {sampler} ({samplers.get(sampler).misfit(first)}); "
                f"it serves {', '.join(known)}"
            )
        # A table and its task share a name: as a task, it means the member that fits.
        return model, load(known[sampler], device=device)
    loaded = load(model, device=device)
    return loaded.card.task, loaded


def split_id(text: str) -> tuple[str, str | None]:
    """Name and revision of owner/name@revision, or of the address of its page."""
    name, _, revision = text.removeprefix(SITE).rstrip("/").partition("@")
    if "/tree/" in name:
        name, _, revision = name.partition("/tree/")
    return name, revision or None


def _load_folder(folder: Path, device: str | None, trust_remote_code: bool, dtype: str) -> Model:
    from lab.models.hub import download
    from lab.models.transformers.build import load_folder

    download.check_dtype(dtype)
    place = device_map(device)
    with explain_errors(folder.name), LOADING:
        check_files(folder)
        key = (_stamp(folder), trust_remote_code, dtype, place)
        if key not in _OPEN:
            read_card.cache_clear()  # its files may have changed since
            model = load_folder(
                folder, trust_remote_code=trust_remote_code, dtype=dtype, device_map=place
            )
            return _keep(key, model)
        return _keep(key, _OPEN[key])


def _folder_offer(folder: Path, dtype: str, trust_remote_code: bool) -> "Offer":
    from lab.models.hub import download
    from lab.models.transformers.build import openable
    from lab.models.transformers.families import recognise

    check_files(folder)
    config, shapes = check_weights(folder)
    if (folder / "lab.json").exists():
        family, card = None, read_card(folder)
    else:
        family = recognise(config, folder.name)
        openable(family, folder.name, config, trust_remote_code)
        card = expected_card(family, str(folder))
    dtype = download.dtype_of(family, dtype)
    memory = int(stored_numbers(shapes) * download.DTYPES[dtype].itemsize * download.SPARE)
    free = download.free_memory()
    return download.Offer(str(folder), "", {}, family, memory, free, card=card, dtype=dtype)


def _keep(key: Hashable, model: Model) -> Model:
    """Keep a model open as the one used last; the one used least lately goes."""
    _OPEN.pop(key, None)
    _OPEN[key] = model
    while len(_OPEN) > KEPT:
        _OPEN.popitem(last=False)
    return model


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Where a checkpoint's files are, how old and how large: they are those that were read."""
    own = (folder / "lab.json").exists()
    places = {folder, tokenizer_folder(folder), own and target_folder(folder)}
    files = sorted(file for place in places if place and place.is_dir() for file in place.iterdir())
    stats = [(file, file.stat()) for file in files]
    return tuple((str(file.resolve()), stat.st_mtime_ns, stat.st_size) for file, stat in stats)


def _is_folder(name: str) -> bool:
    try:
        return bool(name.strip()) and Path(name).is_dir()
    except (OSError, ValueError):  # longer than a path may be, a NUL, a lone surrogate
        return False
