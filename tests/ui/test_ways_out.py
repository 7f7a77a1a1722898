"""No path and no address that a stranger sends leads anywhere: no file opens, nobody is called."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import httpx
import pytest

from lab.ui import build
from tests.kit.project import ROOT
from tests.kit.serving import served

ROUTES = (
    "gradio_api/file=", "gradio_api/file/", "file=", "static/", "assets/", "svelte/", "theme/",
    "custom_component/", "gradio_api/download/", "lab/export/", "lab/study/", "gradio_api/stream/",
)  # fmt: skip
CLIMBS = ("../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "..%252f" * 12, "..\\" * 12, "....//" * 12)
FILES = ("/etc/passwd", "//etc/passwd", "~/.bashrc", f"{ROOT}/app.py", "app.py", "README.md",
         "lab/ui/page.py", "/proc/self/environ")  # fmt: skip
INSIDE = (b"root:", b"build the app", b"sampler lab\n", b"PATH=", b"The page: inputs")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from served(build())


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address of this machine, and who has called it."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

        do_POST = do_HEAD = do_GET

        def log_message(self, *_) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret.json", calls
    server.shutdown()
    thread.join()
    server.server_close()


def get(url: str, path: str) -> tuple[int, bytes]:
    """The answer to a path as it stands; httpx would tidy it up."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        connection.putrequest("GET", "/" + path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("route", ROUTES)
def test_no_path_leads_to_file(url, route):
    paths = [route + file for file in FILES] + [f"{route}{climb}etc/passwd" for climb in CLIMBS]
    for path in paths:
        status, body = get(url, path)
        assert not any(words in body for words in INSIDE), path
        assert status >= 400 or b"<html" in body, path  # an unknown path shows the page


@pytest.mark.parametrize("route", ["gradio_api/file=", "file=", "proxy=", "gradio_api/proxy="])
def test_no_address_is_called(url, elsewhere, route):
    address, calls = elsewhere
    for place in (address, address.replace("http://", "http:/"), "http://169.254.169.254/latest"):
        status, _ = get(url, route + place)
        assert status >= 400 or route == "proxy=", place
    assert not calls


def test_nothing_is_opened_by_its_name(url, elsewhere, tmp_path):
    """What was not uploaded in this session is not a file, whatever a request calls it."""
    address, calls = elsewhere
    (tmp_path / "mine.json").write_text("[]")
    config = httpx.get(url + "config").json()
    uploads = [one["id"] for one in config["components"] if one["type"] == "uploadbutton"]
    events = [one for one in config["dependencies"] if set(one["inputs"]) & set(uploads)]
    assert len(events) == 2  # a file of runs, and one of points
    for event in events:
        for path in (address, "/etc/passwd", str(tmp_path / "mine.json"), str(ROOT / "app.py")):
            file = {"path": path, "url": address, "meta": {"_type": "gradio.FileData"}}
            data = [file if one in uploads else None for one in event["inputs"]]
            body = {"data": data, "fn_index": event["id"], "session_hash": "stranger"}
            answer = httpx.post(url + "gradio_api/run/predict", json=body, timeout=30)
            assert answer.status_code != 200, path
            assert not any(words in answer.content for words in INSIDE)
    assert not calls
