"""What every test runs under: one torch thread, no telemetry, no hub, no way out of the machine."""

import os

# Read when gradio, transformers and OpenMP are first imported, so they stand before any import.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import ipaddress
import socket
from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _stay_at_home() -> Iterator[None]:
    """Refuse every connection that leaves the machine, in this process and its threads."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked(sock: socket.socket, address: object) -> None:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        host = str(address[0])
        try:
            home = ipaddress.ip_address(host).is_loopback
        except ValueError:
            home = host == "localhost"
        if not home:
            raise AssertionError(f"a test must not leave the machine, it went to {address}")

    def guarded(sock: socket.socket, address: object) -> None:
        checked(sock, address)
        return connect(sock, address)

    def guarded_ex(sock: socket.socket, address: object) -> int:
        checked(sock, address)
        return connect_ex(sock, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield
