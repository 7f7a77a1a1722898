"""The page travels compressed, and its files stay in the browser that has them."""

import asyncio
import gzip
import re

import httpx
import pytest

from lab.ui import build
from lab.ui import delivery as module
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


class App:
    """Answers in two pieces, and counts its requests."""

    def __init__(self, status: int = 200):
        self.status, self.requests = status, 0

    async def __call__(self, scope, receive, send):
        self.requests += 1
        headers = [(b"content-length", b"1000"), (b"etag", b"1")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 999, "more_body": True})
        await send({"type": "http.response.body", "body": b"y"})


def answer(delivery: Delivery, path: str, encoding: str = "gzip") -> tuple[dict, bytes]:
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"accept-encoding", encoding.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    asyncio.run(delivery(scope, None, send))
    return sent[0], b"".join(message["body"] for message in sent[1:])


FILE = "/assets/index-AAAAAAAA.js"


def test_file_is_compressed_once_for_all():
    delivery = Delivery(app := App())
    for _ in range(3):
        start, body = answer(delivery, FILE)
        assert gzip.decompress(body) == b"x" * 999 + b"y"
        assert dict(start["headers"])[b"content-length"] == str(len(body)).encode()
        assert dict(start["headers"])[b"etag"] == b"1"
    assert app.requests == 1
    assert answer(delivery, FILE, "identity")[1] == b"x" * 999 + b"y" and app.requests == 2


@pytest.mark.parametrize("path, status", [("/", 200), (FILE, 404), (FILE, 304)])
def test_page_and_refusals_are_made_anew(path, status):
    delivery = Delivery(app := App(status))
    starts = [answer(delivery, path)[0] for _ in range(2)]
    assert app.requests == 2 and [start["status"] for start in starts] == [status] * 2
    assert (b"content-encoding", b"gzip") not in starts[0]["headers"] or status == 200


def test_files_in_memory_have_room_and_no_more(monkeypatch):
    monkeypatch.setattr(module, "ROOM", 1500)
    delivery = Delivery(app := App())
    names = [FILE.replace("A", letter) for letter in "BCB"]
    for name in names:
        assert len(answer(delivery, name, "identity")[1]) == 1000
    assert app.requests == 2 and len(delivery.files) == 1 and delivery.room == 500
