"""Which models there are, which of them belong together, and how to load one by name."""

from functools import cache
from pathlib import Path

from samplers import SAMPLERS
from samplers.registry import shown

from .adapters.model import Model

ASSETS = Path(__file__).parent.parent / "assets"
_STORIES = {
    "llada2": "stories-block", "mdlm": "stories-mdlm", "hybrid": "stories-hybrid",
    "bd3lm": "stories-block",
}  # fmt: skip


def suites() -> dict[str, dict[str, str]]:
    """Every suite with the model it gives each sampler: {suite: {sampler: model name}}."""
    tables = {
        suite: {name: suite + ("-hybrid" if name == "hybrid" else "") for name in SAMPLERS}
        for suite in ("capitals", "sudoku4")
    }
    nets = {s: m for s, m in _STORIES.items() if _folder(m).joinpath("config.json").exists()}
    return {"stories": nets, **tables} if nets else tables


def models() -> list[str]:
    """The names of all models that ship with the lab."""
    return list(dict.fromkeys(name for suite in suites().values() for name in suite.values()))


def load(name: str) -> Model:
    """A shipped model by name, or a checkpoint by its folder. ValueError names the known ones."""
    if not isinstance(name, str):
        raise ValueError(f"a model is loaded by name or path, got {type(name).__name__}")
    if name in models():
        return _shipped(name)
    if _is_folder(name):
        from .adapters.checkpoint import load_checkpoint

        return load_checkpoint(Path(name))
    raise ValueError(
        f"no model {shown(name)}; there are {', '.join(models())}, or give a checkpoint's folder"
    )


def _is_folder(name: str) -> bool:
    try:
        return bool(name.strip()) and Path(name).is_dir()
    except (OSError, ValueError):  # longer than a path may be, a NUL, half a surrogate pair
        return False


def resolve(model: Model | str, sampler: str) -> tuple[str, Model]:
    """The suite's name ("" for none) and the model that `sampler` runs on."""
    if isinstance(model, Model):
        return model.card.suite, model
    known = suites()
    if isinstance(model, str) and model in known:
        if sampler not in known[model]:
            raise ValueError(
                f"suite {model} has no model for {sampler}; it serves {', '.join(known[model])}"
            )
        name = known[model][sampler]
        # A table and its suite share a name: asked for as a suite, it means the fitting member.
        return model, load(name)
    loaded = load(model)
    return loaded.card.suite, loaded


@cache
def _shipped(name: str) -> Model:
    if name in _STORIES.values():
        from .adapters.checkpoint import load_checkpoint

        return load_checkpoint(_folder(name))
    from .adapters.shipped import SHIPPED

    return SHIPPED[name]()


def _folder(name: str) -> Path:
    suite, net = name.split("-", 1)
    return ASSETS / suite / net
