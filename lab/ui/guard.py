"""What reaches the app at all: its own host name, bodies and uploads of a size, exports.

And who is asking: Gradio answers an MCP call by a call of its own to this app, from this machine
and in one session for all; a header, set here and nowhere else, names the call that it is for.
"""

import ipaddress
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import uuid4

from lab.models.hub.connection import on_space
from lab.record.file_limits import BYTES
from lab.ui import exports, slot
from lab.ui.shelf import Hourly

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = exports.Send

BODY = 2_000_000  # bytes of a request that is no upload
UPLOADS, UPLOAD_BYTES = 200, 4 * BYTES  # of one address, an hour
ALL_UPLOAD_BYTES = 16 * BYTES  # of all addresses, an hour: Gradio keeps a file that long
MCP, CALL = "/gradio_api/mcp", b"x-lab-mcp-call"
HOSTS = {"localhost", "127.0.0.1", "::1"}


def allow_hosts(names: Iterable[str]) -> None:
    """Answer under these names too, such as that of a proxy on this machine."""
    HOSTS.update(name.lower() for name in names)


def bound_to_loopback() -> bool:
    """Whether only this machine can reach the app."""
    return not on_space() and _is_loopback(os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))


def visitor(address: str | None, session: str) -> str:
    """Who counts as one visitor: a public address, else (behind a proxy, at home) a session."""
    try:
        if address and ipaddress.ip_address(address).is_global:
            return address
    except ValueError:
        pass
    return session


_CALLS: dict[str, str] = {}  # the address of each MCP call that goes on


def mcp_call(request: Any) -> str:
    """The MCP call that a request is for; "" for any other."""
    call = request.headers.get(CALL.decode()) if request else None
    return call if call in _CALLS else ""


def visitor_of(request: Any) -> str:
    """Who counts as one visitor, of a call of the API, through MCP or not."""
    if call := mcp_call(request):
        return visitor(_CALLS[call], call)
    client = request.client if request else None
    return visitor(client.host if client else None, (request and request.session_hash) or "")


class Guard:
    """ASGI middleware in front of Gradio's routes."""

    def __init__(self, app: Any):
        self.app = app
        self.uploads = Hourly("uploaded", UPLOADS, UPLOAD_BYTES, ALL_UPLOAD_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): x.decode("latin-1") for name, x in scope["headers"]}
        if reason := wrong_host(scope.get("server"), headers.get("host", "")):
            await exports.refuse(send, 421, reason)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] in ("GET", "HEAD") and await exports.serve(path, send):
            return
        if scope["method"] == "POST":
            status, reason = self._size(path, headers, (scope.get("client") or [""])[0])
            if reason:
                await exports.refuse(send, status, reason)
                return
            if path.startswith(MCP):
                await self._mcp(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the call; whatever it runs ends with it, also where the caller hangs up."""
        call = uuid4().hex
        _CALLS[call] = (scope.get("client") or [""])[0]
        headers = [(name, value) for name, value in scope["headers"] if name != CALL]
        named = {**scope, "headers": [*headers, (CALL, call.encode())]}
        try:
            await self.app(named, receive, send)
        finally:
            del _CALLS[call]
            slot.stop(call)

    def _size(self, path: str, headers: dict[str, str], address: str) -> tuple[int, str]:
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "A request must say its length (content-length)"
        if path.rstrip("/").endswith("/upload"):
            return 429, self.uploads.refusal(address, int(length))
        if int(length) > BODY:
            return 413, f"A request may have at most {BODY:,} bytes, got {int(length):,}"
        return 200, ""


def wrong_host(server: Any, host: str) -> str:
    """Why a Host header is refused, "" where it is not.

    A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding) and then counts as this
    origin, but it cannot change the name it is asked under.
    """
    if on_space() or not server or not _is_loopback(server[0]):
        return ""
    name = host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.split(":")[0]
    if name.lower() in HOSTS:
        return ""
    return (
        f"This app answers under {', '.join(sorted(HOSTS))} alone; start it with "
        "--allow-host NAME to add a name"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"
