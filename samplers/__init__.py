"""The mathematics of discrete diffusion sampling: torch and the standard library only."""

from . import (  # noqa: F401, I001 - the order in which samplers are shown
    llada2, mdlm, hybrid, bd3lm, llada, sdar, dream, threshold, remdm, first_hitting,
    entropy_bound, margin, max_prob, uniform, autoregressive, dflash, p2,
    klass, psi, saber, wino, renoise, pc, freedave, adaptive_parallel,
    fk_steering, prism, self_speculation,
)  # fmt: skip
from .registry import SAMPLERS, get

__all__ = ["SAMPLERS", "get"]
