"""How the page's own files travel: compressed, and kept by browsers for good where they may be."""

import gzip
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import brotli  # Gradio compresses by it what has an ending in its name

from lab.ui.exports import Send

PAGE = ("/", "/config")  # without an ending, and the largest of all
# Files that are named after a hash of what is in them, so that a name never means anything else.
NAMED_BY_CONTENT = re.compile(r"/assets/[^/]+-[\w-]{8}\.\w+")
FOR_GOOD = (b"cache-control", b"public, max-age=31536000, immutable")
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    # What the parts of a page have in common lies further apart than gzip looks back.
    "br": partial(brotli.compress, quality=5),
    "gzip": partial(gzip.compress, compresslevel=5),
}


class Delivery:
    """ASGI middleware around Gradio's routes."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and scope["method"] == "GET":
            if path in PAGE and (encoding := accepted(scope)):
                send = _compressed(send, encoding)
            elif NAMED_BY_CONTENT.fullmatch(path):
                send = _for_good(send)
        await self.app(scope, receive, send)


def accepted(scope: dict[str, Any]) -> str:
    """The best encoding of ours that a client reads, "" if none."""
    said = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
    offers = [part.replace(" ", "").partition(";q=") for part in said.split(",")]
    names = {name for name, _, weight in offers if not re.fullmatch(r"0(\.0*)?", weight)}
    return next((name for name in ENCODERS if name in names), "")


def _compressed(send: Send, encoding: str) -> Send:
    """The same for an answer that comes as a whole; another goes through as it is."""
    begun: list[dict[str, Any]] = []

    async def tell(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            begun.append(message)
            return
        if begun:
            start = begun.pop()
            names = {name.lower() for name, _ in start["headers"]}
            if not message.get("more_body") and b"content-encoding" not in names:
                message["body"] = ENCODERS[encoding](message.get("body", b""))
                length = str(len(message["body"])).encode()
                ours = {b"content-encoding": encoding.encode(), b"content-length": length}
                others = [(n, value) for n, value in start["headers"] if n.lower() not in ours]
                start["headers"] = [*others, *ours.items(), (b"vary", b"Accept-Encoding")]
            await send(start)
        await send(message)

    return tell


def _for_good(send: Send) -> Send:
    """The same with a header that lets a browser keep a file that was there."""

    async def tell(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message["headers"] = [*message["headers"], FOR_GOOD]
        await send(message)

    return tell
