"""The sampler lab: run samplers of discrete diffusion language models and see what they do.

The public functions are imported at their first use, so that `import lab` needs neither
torch nor transformers.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.models.catalogue import models, tasks
    from lab.models.exact.oracle import oracle
    from lab.models.exact.table import table
    from lab.models.load import load
    from lab.models.model import ModelCard
    from lab.models.wrap import wrap
    from lab.record.files import read, save
    from lab.run.recorder import run, stream
    from lab.study.study import study

__all__ = [
    "ModelCard",
    "load",
    "models",
    "oracle",
    "read",
    "run",
    "save",
    "stream",
    "study",
    "table",
    "tasks",
    "wrap",
]

_HOMES = {
    "ModelCard": "lab.models.model",
    "load": "lab.models.load",
    "models": "lab.models.catalogue",
    "oracle": "lab.models.exact.oracle",
    "read": "lab.record.files",
    "run": "lab.run.recorder",
    "save": "lab.record.files",
    "stream": "lab.run.recorder",
    "study": "lab.study.study",
    "table": "lab.models.exact.table",
    "tasks": "lab.models.catalogue",
    "wrap": "lab.models.wrap",
}


class _Lab(ModuleType):
    """The package. `lab.run` is the function, though a package of that name stands beside it.

    Python binds an imported submodule to its parent; for the public names that is left out, so
    that `lab.run(...)` means one thing whatever has been imported before.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'lab' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _Lab
