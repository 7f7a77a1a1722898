"""The sampler lab: run samplers of discrete diffusion language models and see what they do."""

from .adapters import ModelCard, oracle, table, wrap
from .export import read, save
from .record import run, stream
from .suites import load, models, suites

__all__ = [
    "ModelCard",
    "load",
    "models",
    "oracle",
    "read",
    "run",
    "save",
    "stream",
    "suites",
    "table",
    "wrap",
]
