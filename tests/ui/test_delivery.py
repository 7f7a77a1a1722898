"""The page travels compressed, and its files stay in the browser that has them."""

import asyncio
import re

import httpx
import pytest

from lab.ui import build
from lab.ui.delivery import Delivery, accepted
from tests.kit.serving import served


@pytest.fixture(scope="module")
def url():
    yield from served(build())


def ask(url: str, encoding: str) -> httpx.Response:
    return httpx.get(url, headers={"accept-encoding": encoding})


@pytest.mark.parametrize("encoding", ["br", "gzip"])
@pytest.mark.parametrize("path", ["", "config", "?lesson="])
def test_page_is_compressed(encoding, path, url):
    whole, packed = ask(url + path, "identity"), ask(url + path, f"{encoding}, zstd;q=0.5")
    assert "content-encoding" not in whole.headers
    assert packed.headers["content-encoding"] == encoding
    assert "Accept-Encoding" in packed.headers["vary"]
    assert packed.text == whole.text
    assert int(packed.headers["content-length"]) < len(whole.content) / 4


def test_question_for_headers_alone_is_answered(url):
    assert "content-encoding" not in httpx.head(url, headers={"accept-encoding": "br"}).headers


@pytest.mark.parametrize(
    "said, name",
    [
        ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0.1, gzip", "br"),
        ("br;q=0, gzip", "gzip"), ("gzip; q=0.000", ""), ("identity", ""), ("", ""),
    ],
)  # fmt: skip
def test_client_says_what_it_reads(said, name):
    assert accepted({"headers": [(b"accept-encoding", said.encode())]}) == name


def test_files_named_by_content_are_kept_for_good(url):
    name = re.search(r"assets/index-[\w-]{8}\.js", ask(url, "br").text)[0]
    file = ask(url + name, "br")
    assert file.status_code == 200 and "immutable" in file.headers["cache-control"]
    for other in ("theme.css", "assets/index-AAAAAAAA.js", "gradio_api/info", ""):
        assert "immutable" not in ask(url + other, "br").headers.get("cache-control", "")


def test_answer_in_pieces_goes_through_as_it_is():
    pieces = [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"x" * 999, "more_body": True},
        {"type": "http.response.body", "body": b"y"},
    ]

    async def app(scope, receive, send):
        for piece in pieces:
            await send(dict(piece))

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"br")]}
    asyncio.run(Delivery(app)(scope, None, send))
    assert sent == pieces
