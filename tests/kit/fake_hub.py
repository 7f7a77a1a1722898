"""A hub on 127.0.0.1: the few answers of its HTTP API that fetching a model or data asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub
import pytest
from huggingface_hub import constants

import lab

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories {id: {file: bytes}} at one commit; `requests` lists every request.

    The id of a data set begins with `datasets/`, as its address does.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self.address = ""

    def add(self, name: str, folder: Path, **facts: Any) -> None:
        """Publish a folder's files under an id; facts go into what the API says of it."""
        self.repositories[name] = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.facts[name] = facts

    def fetched(self, suffix: str) -> list[str]:
        """The files ending so whose content was asked for."""
        return [a for a in self.requests if a.startswith("GET") and "/resolve/" in a
                and a.endswith(suffix)]  # fmt: skip

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        api = path.startswith("/api/")
        parts = path.removeprefix("/api" if api else "").removeprefix("/models")[1:].split("/")
        kind = parts[0] == "datasets"
        name = "/".join(parts[: 2 + kind])
        parts = parts[kind:]
        if name in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        revision = parts[3] if len(parts) > 3 else "main"
        if revision not in ("main", COMMIT):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = self.repositories[name]
        if api and parts[2:3] == ["tree"]:
            if len(parts) > 4:  # there are no folders
                return 404, {"X-Error-Code": "EntryNotFound"}, b""
            within = [{"type": "file", "path": file, "size": len(data), "oid": COMMIT}
                      for file, data in files.items()]  # fmt: skip
            return 200, {"Content-Type": "application/json"}, json.dumps(within).encode()
        if api:
            facts = {"id": name, "sha": COMMIT, **self.facts[name]}
            facts["siblings"] = [{"rfilename": file, "size": len(data)}
                                for file, data in files.items()]  # fmt: skip
            return 200, {"Content-Type": "application/json"}, json.dumps(facts).encode()
        data = files.get("/".join(parts[4:]))
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        etag = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}, data


@contextmanager
def reached(patch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Run a hub, make it the one that the lab asks, and keep what is fetched in `cache`."""
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.delenv("SPACE_ID", raising=False)
    huggingface_hub.close_session()
    with serve() as hub:
        patch.setenv("HF_ENDPOINT", hub.address)
        yield hub
    huggingface_hub.close_session()


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a hub in a thread until the block ends."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.split("?")[0])
            hub.requests.append(f"{self.command} {path}")
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *parts: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def refused(pattern, *arguments, **named):
    """lab.load refuses this with a message that the pattern matches."""
    with pytest.raises(ValueError, match=pattern):
        lab.load(*arguments, **named)
