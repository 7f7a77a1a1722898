"""Models behind one contract: trained checkpoints, exact oracles, explicit tables, callables."""

from lab.models.exact.oracle import oracle
from lab.models.exact.table import table
from lab.models.model import Model, ModelCard, Opened
from lab.models.wrap import wrap

__all__ = ["Model", "ModelCard", "Opened", "oracle", "table", "wrap"]
