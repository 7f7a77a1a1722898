"""The mathematics of discrete diffusion sampling: torch and the standard library only."""

from . import llada2, mdlm, hybrid, bd3lm  # noqa: F401, I001 - the order in which they are shown
from .registry import SAMPLERS, get

__all__ = ["SAMPLERS", "get"]
