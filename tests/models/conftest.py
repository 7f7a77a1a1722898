"""A hub on this machine, and a tiny model on it."""

import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.models.load import _OPEN
from tests.kit import fake_hub, published


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SPACE_ID", raising=False)
    huggingface_hub.close_session()
    _OPEN.clear()
    with fake_hub.serve() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running
    huggingface_hub.close_session()


@pytest.fixture
def bert(server, tmp_path):
    folder = published.write(tmp_path / "bert", "bert")
    server.add("google-bert/bert-base-uncased", folder)
    return server
