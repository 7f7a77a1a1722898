"""Which models there are, which of them belong together, and how to load one by name."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path

import samplers
from lab.models.card import read_card, target_folder, tokenizer_folder
from lab.models.checkpoint_files import check_files
from lab.models.errors import explain_errors
from lab.models.hub.connection import refuse_code
from lab.models.model import LOADING as _LOADING
from lab.models.model import Model, ModelCard
from lab.tasks import TASKS
from samplers import SAMPLERS
from samplers.registry import shown

KEPT = 3  # checkpoints from elsewhere that stay open, those used last
_OPEN: OrderedDict[Hashable, Model] = OrderedDict()
_TURNS: dict[Hashable, threading.Lock] = {}
ASSETS = Path(__file__).parents[2] / "assets"

MEMBERS = {name: task.models for name, task in TASKS.items()}
# Models in assets; those of the other tasks are built from the list of all sequences.
TRAINED = tuple(name for name, task in TASKS.items() if task.exact is None)


def tasks() -> dict[str, dict[str, str]]:
    """Every task with the model it gives each sampler: {task: {sampler: model name}}."""
    return {
        task: {
            sampler.name: fitting[0]
            for sampler in SAMPLERS.values()
            if (fitting := [name for name in present if sampler.misfit(card(name)) is None])
        }
        for task in MEMBERS
        if (present := _present(task))
    }


def card(name: str) -> ModelCard:
    """What a shipped model is, without its weights. ValueError names the known ones."""
    folder = _folder(name)
    return _shipped(name).card if folder is None else read_card(folder)


def models() -> list[str]:
    """The names of all models that ship with the lab."""
    return [name for task in MEMBERS for name in _present(task)]


def load(
    name: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    eight_bit: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Model:
    """A shipped model by name, a checkpoint by its folder, or one of the hub by its id owner/name.

    The rest is for the hub (lab.models.hub.download.load_hub): revision, the commit to pin;
    progress, called with the bytes done and the bytes in all. The last few stay open: the same call
    again gives the same model, at the commit it was taken at, until others have taken its place,
    memory is short, or its folder's files have changed. ValueError names the known ones.
    """
    if not isinstance(name, str):
        raise ValueError(f"a model is loaded by name or path, got {type(name).__name__}")
    refuse_code(trust_remote_code)
    if name in models():
        return _shipped(name)
    if _is_folder(name):
        from lab.models.transformers.build import load_folder

        def read() -> Model:
            read_card.cache_clear()  # its files may have changed since
            return load_folder(folder, trust_remote_code=trust_remote_code, dtype=dtype)

        folder = Path(name)
        with explain_errors(folder.name):
            check_files(folder)
            return _kept((_stamp(folder), trust_remote_code, dtype), read)
    from lab.models.hub.download import NoRoom, allowed, is_id, load_hub

    if is_id(name):
        allowed(name, revision, trust_remote_code, dtype, eight_bit)

        def fetched() -> Model:
            return load_hub(
                name, revision, trust_remote_code=trust_remote_code, dtype=dtype,
                eight_bit=eight_bit, progress=progress,
            )  # fmt: skip

        def opened() -> Model:
            try:
                return fetched()
            except NoRoom:
                if not let_go():
                    raise
                return fetched()

        return _kept((name, revision, trust_remote_code, dtype, eight_bit), opened)
    raise ValueError(
        f"no model {shown(name)}; there are {', '.join(models())}, or give a checkpoint's folder "
        "or its id on the hub, owner/name"
    )


def let_go() -> bool:
    """Give up the checkpoints that are kept open, for the memory they hold; False: none were."""
    held = bool(_OPEN)
    _OPEN.clear()
    gc.collect()
    return held


def _kept(key: Hashable, opened: Callable[[], Model]) -> Model:
    """The model under this key, opened once however many ask at the same time."""
    with _TURNS.setdefault(key, threading.Lock()):
        model = _OPEN.pop(key, None) or opened()
        _OPEN[key] = model  # the last in line; another thread may let all go at any time
        while len(_OPEN) > KEPT:
            _OPEN.popitem(last=False)
        return model


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Where a checkpoint's files are, how old and how large: they are those that were read."""
    own = (folder / "lab.json").exists()
    places = {folder, tokenizer_folder(folder), own and target_folder(folder)}
    files = sorted(file for place in places if place and place.is_dir() for file in place.iterdir())
    told = [(file, file.stat()) for file in files]
    return tuple((str(file.resolve()), know.st_mtime_ns, know.st_size) for file, know in told)


def _is_folder(name: str) -> bool:
    try:
        return bool(name.strip()) and Path(name).is_dir()
    except (OSError, ValueError):  # longer than a path may be, a NUL, half a surrogate pair
        return False


def resolve(model: Model | str, sampler: str) -> tuple[str, Model]:
    """The task's name ("" for none) and the model that `sampler` runs on."""
    if isinstance(model, Model):
        return model.card.task, model
    known = tasks()
    if isinstance(model, str) and model in known:
        if sampler not in known[model]:
            reason = samplers.get(sampler).misfit(card(_present(model)[0]))
            raise ValueError(
                f"task {model} has no model for {sampler} ({reason}); it serves "
                f"{', '.join(known[model])}"
            )
        name = known[model][sampler]
        # A table and its task share a name: asked for as a task, it means the fitting member.
        return model, load(name)
    loaded = load(model)
    return loaded.card.task, loaded


def _shipped(name: str) -> Model:
    if _folder(name) is None:
        return _table(name)
    # transformers leaves weights uninitialised where two threads load at once.
    with _LOADING:
        return _network(name)


@cache
def _table(name: str) -> Model:
    from lab.models.exact.shipped import SHIPPED

    return SHIPPED[name]()


@cache
def _network(name: str) -> Model:
    from lab.models.transformers.checkpoint import load_checkpoint

    return load_checkpoint(_folder(name))


def _present(task: str) -> list[str]:
    """Members whose weights are there; the tables always are."""
    return [
        name
        for name in MEMBERS[task]
        if (folder := _folder(name)) is None or (folder / "config.json").exists()
    ]


def _folder(name: str) -> Path | None:
    task, _, network = name.partition("-")
    return ASSETS / task / network if task in TRAINED else None
