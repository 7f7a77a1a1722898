"""The mathematics of discrete diffusion sampling: torch and the standard library only."""

from .registry import SAMPLERS, get

__all__ = ["SAMPLERS", "get"]
