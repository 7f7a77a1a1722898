"""Models behind one contract: trained checkpoints, exact oracles, explicit tables, callables."""

from .model import Model, ModelCard, Opened

__all__ = ["Model", "ModelCard", "Opened"]
