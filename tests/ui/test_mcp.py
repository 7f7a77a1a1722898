"""The API as tools: what a client of the Model Context Protocol sees of the app."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from time import monotonic

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import lab
from lab.ui import build, guard, slot
from lab.ui.launch import launch_options
from samplers import SAMPLERS
from tests.kit.serving import served

PATH = "gradio_api/mcp/"
LONG = {"samplers": "hybrid", "prompt": "The capital of", "params": {"steps": 5000}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from served(build(), mcp_server=True)


@asynccontextmanager
async def connected(url: str, headers: dict[str, str] | None = None):
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as http,
        streamable_http_client(url + PATH, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def call(url: str, tool: str, headers: dict[str, str] | None = None, **arguments):
    """The answer to one call: whether it is an error, and its text."""

    async def ask():
        async with connected(url, headers) as session:
            answer = await session.call_tool(tool, arguments)
            (content,) = answer.content
            return answer.isError, content.text

    return asyncio.run(ask())


def test_tools_are_api_with_their_arguments_explained(url):
    async def ask():
        async with connected(url) as session:
            return (await session.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(ask())}
    assert set(tools) == {"compare", "samplers", "look_up", "load"}
    assert "side by side" in tools["compare"].description
    arguments = tools["compare"].inputSchema["properties"]
    assert set(arguments) == {
        "task", "samplers", "prompt", "template", "gen_length", "seed", "params", "trajectories",
    }  # fmt: skip
    for tool in tools.values():
        for name, schema in tool.inputSchema["properties"].items():
            assert schema["description"].endswith("."), f"{name} of {tool.name} is cut short"


@pytest.mark.parametrize("headers", [None, {guard.CALL.decode(): "b" * 32}], ids=["", "forged"])
def test_samplers_answer_as_json(url, headers):
    error, text = call(url, "samplers", headers)
    listed = json.loads(text)
    assert not error and [one["name"] for one in listed] == list(SAMPLERS)
    assert all(one["params"] for one in listed)


def test_compare_answers_as_lab_run(url):
    error, text = call(url, "compare", samplers="mdlm,llada2", prompt="The capital of", seed=3)
    assert not error
    answer = json.loads(text)
    for name, result in zip(("mdlm", "llada2"), answer["results"], strict=True):
        (alone,) = lab.run(name, "capitals", "The capital of", seed=3)
        assert result["text"] == alone.text and result["metrics"]["calls"] == alone.calls[-1]


@pytest.mark.parametrize(("arguments", "words"), [
    ({"samplers": "mdml"}, "no sampler 'mdml'"),
    ({"samplers": "mdlm", "params": {"steps": 0}}, "steps must be"),
    ({"samplers": "mdlm", "task": "/etc"}, "task must be one of"),
])  # fmt: skip
def test_refusal_is_error_of_tool(url, arguments, words):
    error, text = call(url, "compare", **arguments)
    assert error and words in text


def test_run_ends_with_call_that_hangs_up(url):
    async def leave():
        async with connected(url) as session:
            await asyncio.wait_for(session.call_tool("compare", LONG), 1.5)

    with pytest.raises(BaseExceptionGroup):
        asyncio.run(leave())
    end = monotonic() + 10
    while len(slot.LINE) and monotonic() < end:
        pass
    assert not len(slot.LINE) and not guard._CALLS


def test_callers_are_told_apart(url, monkeypatch):
    """Gradio makes the calls of all in one session, and a caller may name another's call."""
    visitors, other = [], "a" * 32
    monkeypatch.setitem(guard._CALLS, other, "8.8.8.8")
    monkeypatch.setattr(guard, "visitor", lambda *who: visitors.append(who) or who[1])
    for headers in (None, {guard.CALL.decode(): other}):
        call(url, "compare", headers, samplers="mdlm", prompt="The capital of")
    assert [address for address, _ in visitors] == ["127.0.0.1"] * 2
    assert len({other, *(call for _, call in visitors)}) == 3


def test_app_has_tools_where_package_is_installed(monkeypatch):
    assert launch_options([])["mcp_server"] is True
    monkeypatch.setattr("lab.ui.launch.find_spec", lambda name: None)
    assert launch_options([])["mcp_server"] is False
