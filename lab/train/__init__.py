"""The trainer of the embedded checkpoints: `python -m lab train`."""

from lab.train.command import main

__all__ = ["main"]
