"""A visitor over raw HTTP: presses Run as the page does, or calls the API; listens or hangs up."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from lab.tasks import examples
from lab.tasks.task import kind_of
from lab.ui.settings_form import start_value
from lab.ui.tasks import misfits

SMALL = ("capitals", "mdlm", "The capital of", None, None, 0, {"steps": 4}, "none")
LARGE = ("stories", "hybrid", "Once upon a time", None, 250, 0, {"steps": 1000}, "none")


class Answer(NamedTuple):
    """How a request ended.

    kind: joined (it goes on as `event`), complete, error (text says why), busy (503: Gradio's
    queue is full), refused (any other status) or hung (no answer in time).
    """

    kind: str
    text: str = ""
    data: Any = None
    event: str = ""


class Visitor:
    """One session at one app."""

    def __init__(self, http: httpx.AsyncClient, config: dict[str, Any]):
        self._http, self.session = http, uuid4().hex[:12]
        self._functions = {one["api_name"]: one["id"] for one in config["dependencies"]}

    async def call(self, name: str, data: Sequence[Any], seconds: float = 60) -> Answer:
        """A public endpoint, its answer listened to for so long."""
        return await self._within(seconds, self._call(name, data))

    async def start(self, name: str, data: Sequence[Any]) -> Answer:
        """Begin a call and do not listen; the kind is then `joined`."""
        body = {"data": list(data), "session_hash": self.session}
        return _joined(await self._post(f"call/{name}", body))

    async def _call(self, name: str, data: Sequence[Any]) -> Answer:
        joined = await self.start(name, data)
        if joined.kind != "joined":
            return joined
        async with self._http.stream("GET", f"gradio_api/call/{name}/{joined.event}") as reply:
            kind = ""
            async for line in reply.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: ") and kind in ("complete", "error"):
                    return _answer(kind, json.loads(line.removeprefix("data: ")))
        return Answer("refused", f"the stream ended without an answer ({reply.status_code})")

    async def press(self, name: str, data: Sequence[Any], seconds: float = 60) -> Answer:
        """An event of the page that goes through the queue."""
        return await self._within(seconds, self._press(name, data))

    async def _press(self, name: str, data: Sequence[Any]) -> Answer:
        joined = await self.join(name, data)
        if joined.kind != "joined":
            return joined
        async with self.listen() as lines:
            async for message in lines:
                if message.get("event_id") not in (None, joined.event):
                    continue
                if message["msg"] == "process_completed":
                    output = message["output"]
                    kind = "complete" if message["success"] else "error"
                    return _answer(kind, output if kind == "error" else output.get("data"))
                if message["msg"] in ("unexpected_error", "server_stopped"):
                    return Answer("error", str(message.get("message")))
        return Answer("refused", "the stream ended without an answer")

    async def join(self, name: str, data: Sequence[Any]) -> Answer:
        """Join the queue and do not listen; the kind is then `joined`."""
        body = {
            "data": list(data),
            "fn_index": self._functions[name],
            "session_hash": self.session,
        }
        return _joined(await self._post("queue/join", body))

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The messages of this session's queue; hangs up where the block ends."""
        path = f"gradio_api/queue/data?session_hash={self.session}"
        async with self._http.stream("GET", path) as reply:
            yield (
                json.loads(line.removeprefix("data: "))
                async for line in reply.aiter_lines()
                if line.startswith("data: ")
            )

    async def poke(self, name: str, data: Sequence[Any], seconds: float = 60) -> Answer:
        """An event of the page that does not go through the queue."""
        body = {
            "data": list(data),
            "fn_index": self._functions[name],
            "session_hash": self.session,
        }
        return await self._within(seconds, self._poke("run/predict", body))

    async def ask(self, component: int, name: str, query: Any, seconds: float = 60) -> Answer:
        """A question of a panel to the server."""
        body = {
            "data": query,
            "component_id": component,
            "fn_name": name,
            "session_hash": self.session,
        }
        return await self._within(seconds, self._poke("component_server", body))

    async def cancel(self, name: str, event: str) -> None:
        """What Gradio's own client sends where an event is cancelled."""
        body = {
            "fn_index": self._functions[name],
            "session_hash": self.session,
            "event_id": event,
        }
        await self._post("cancel", body)

    @asynccontextmanager
    async def page(self) -> AsyncIterator["Visitor"]:
        """An open page: the connection by which Gradio knows that it is, closed at the end."""
        async with self._http.stream("GET", f"gradio_api/heartbeat/{self.session}") as reply:
            beats = reply.aiter_lines()  # held, for the connection is closed with it
            await anext(beats)
            yield self

    async def _poke(self, path: str, body: dict[str, Any]) -> Answer:
        reply = await self._post(path, body)
        if isinstance(reply, Answer):
            return reply
        return Answer("complete", data=reply.get("data", reply))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | Answer:
        """The JSON of a reply; an Answer where it is not 200."""
        # Not httpx's json=: it refuses the NaN and lone surrogates that a stranger may send.
        reply = await self._http.post(
            f"gradio_api/{path}",
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        if reply.status_code == 200:
            return reply.json()
        try:
            text = reply.json()
        except ValueError:
            text = reply.text
        if reply.status_code == 500 and isinstance(text, dict) and "error" in text:
            return _answer("error", text)
        return Answer("busy" if reply.status_code == 503 else "refused", str(text))

    @staticmethod
    async def _within(seconds: float, work: Any) -> Answer:
        try:
            return await asyncio.wait_for(work, seconds)
        except TimeoutError:
            return Answer("hung")


def _joined(reply: dict[str, Any] | Answer) -> Answer:
    return reply if isinstance(reply, Answer) else Answer("joined", event=reply["event_id"])


def _answer(kind: str, data: Any) -> Answer:
    if kind == "error":
        text = data.get("error") if isinstance(data, dict) else data
        return Answer("error", "" if text is None else str(text))
    return Answer(kind, data=data)


class Visitors(NamedTuple):
    """Whoever comes to one app."""

    http: httpx.AsyncClient
    config: dict[str, Any]

    def new(self) -> Visitor:
        """Somebody who was not there before."""
        return Visitor(self.http, self.config)


@asynccontextmanager
async def visitors(url: str) -> AsyncIterator[Visitors]:
    """The way in, for as long as the block lasts."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=limits) as http:
        yield Visitors(http, (await http.get("config")).json())


def form(task: str = "capitals") -> list[Any]:
    """What the page sends when Run is pressed as it stands."""
    text = examples(task)[0]
    return [task, kind_of(text), text, 0, 0, start_value(task, misfits(task)), 1, ""]
