"""How the page's own files travel: compressed, and for good where a name never means anything else.

Gradio compresses a file again for each request, on the loop that all visitors share, and the page
itself, which is larger than any of them, not at all.
"""

import gzip
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import brotli

from lab.ui.exports import Send

Message = dict[str, Any]

PAGE = ("/", "/config")
NAMED_BY_CONTENT = re.compile(r"/assets/[^/]+-[\w-]{8}\.(css|js|json|svg)")
FOR_GOOD = b"public, max-age=31536000, immutable"
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    # What the parts of a page have in common lies further apart than gzip looks back.
    "br": partial(brotli.compress, quality=5),
    "gzip": partial(gzip.compress, compresslevel=5),
    "": bytes,
}
ROOM = 32_000_000  # bytes of files in memory; Gradio's take less


class Delivery:
    """ASGI middleware around Gradio's routes."""

    def __init__(self, app: Any):
        self.app = app
        self.files: dict[tuple[str, str], list[Message]] = {}
        self.room = ROOM

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        file = NAMED_BY_CONTENT.fullmatch(path) is not None
        if scope["type"] != "http" or scope["method"] != "GET" or not (file or path in PAGE):
            await self.app(scope, receive, send)
            return
        encoding = accepted(scope)
        answer = self.files.get((path, encoding))
        if answer is None:
            answer = await self._ask(scope, receive, encoding, file)
            size = len(answer[1]["body"])
            if file and answer[0]["status"] == 200 and size <= self.room:
                self.files[path, encoding] = answer
                self.room -= size
        for message in answer:
            await send(dict(message))

    async def _ask(
        self, scope: dict[str, Any], receive: Any, encoding: str, file: bool
    ) -> list[Message]:
        """The app's answer as one start and one body, encoded."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, collect)
        start, *rest = messages
        body = b"".join(message.get("body", b"") for message in rest)
        if start["status"] != 200:
            return [start, {"type": "http.response.body", "body": body}]
        body = ENCODERS[encoding](body)
        ours = {b"content-length": str(len(body)).encode(), b"vary": b"Accept-Encoding"}
        if encoding:
            ours[b"content-encoding"] = encoding.encode()
        if file:
            ours[b"cache-control"] = FOR_GOOD
        others = [(name, value) for name, value in start["headers"] if name.lower() not in ours]
        start["headers"] = [*others, *ours.items()]
        return [start, {"type": "http.response.body", "body": body}]


def accepted(scope: dict[str, Any]) -> str:
    """The best encoding of ours that a client reads, "" for none."""
    said = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
    offers = [part.replace(" ", "").partition(";q=") for part in said.split(",")]
    names = {name for name, _, weight in offers if not re.fullmatch(r"0(\.0*)?", weight)}
    return next((name for name in ENCODERS if name in names), "")
