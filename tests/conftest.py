"""What every test runs under: one torch thread, no telemetry, no hub, no way out of the machine.

Connections that leave the machine are refused by pytest-socket (`addopts` in pyproject.toml).
"""

import os

# Read when gradio, transformers and OpenMP are first imported, so they stand before any import.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI see every warning that a new release of a library brings."""
    parser.addoption(
        "--strict-warnings",
        action="store_true",
        help="make every warning an error, also those that a library causes",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Put the strictest filter first: pyproject's exceptions come after it and win."""
    if config.getoption("--strict-warnings"):
        config.getini("filterwarnings").insert(0, "error")
