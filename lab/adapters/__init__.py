"""Models behind one contract: trained checkpoints, exact oracles, explicit tables, callables."""

from .model import Model, ModelCard, Opened
from .oracle import oracle
from .table import table
from .wrap import wrap

__all__ = ["Model", "ModelCard", "Opened", "oracle", "table", "wrap"]
