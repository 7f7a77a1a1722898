"""What reaches the app at all: host names, sizes, uploads, exports; and how it is started."""

import errno
import threading

import httpx
import pytest

from lab.record import files
from lab.ui import build, exports, guard, loaded_models, page_runs
from lab.ui.guard import bound_to_loopback, visitor, wrong_host
from lab.ui.launch import launch_options
from tests.kit.pressing import CAPITALS, FOUR, press
from tests.kit.serving import served

HERE = ("127.0.0.1", 7860)


@pytest.fixture(scope="module")
def url():
    yield from served(build())


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:7860", "127.0.0.1"]
)
def test_own_names_are_answered(host):
    assert wrong_host(HERE, host) == ""


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example",
                                  "localhost.evil.example:7860", "[::2]"])  # fmt: skip
def test_rebound_name_is_refused(host, url):
    assert "--allow-host" in wrong_host(HERE, host)
    for path in ("", "config", "gradio_api/info"):
        assert httpx.get(url + path, headers={"host": host or "x"}).status_code == 421


def test_public_page_answers_under_any_name(monkeypatch):
    assert wrong_host(("10.0.0.3", 7860), "owner-space.hf.space") == ""
    for name, value in (("SYSTEM", "spaces"), ("SPACE_ID", "owner/space")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert wrong_host(HERE, "owner-space.hf.space") == ""
            assert not bound_to_loopback()


@pytest.mark.parametrize("place", [{"GRADIO_SERVER_NAME": "0.0.0.0"}, {"SYSTEM": "spaces"},
                                   {"SPACE_ID": "owner/space"}])  # fmt: skip
def test_trust_needs_server_that_only_this_machine_reaches(place, monkeypatch, capsys):
    monkeypatch.setattr(loaded_models, "_TRUSTED", set())
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        launch_options(["--trust-remote-code", "owner/name"])
    assert "GRADIO_SERVER_NAME" in capsys.readouterr().err
    assert not loaded_models._TRUSTED


def test_trust_is_start_option(monkeypatch):
    monkeypatch.setattr(loaded_models, "_TRUSTED", set())
    monkeypatch.setattr(guard, "HOSTS", set(guard.HOSTS))
    launch_options(["--trust-remote-code", "a/b", "--allow-host", "lab.example"])
    assert {"a/b"} == loaded_models._TRUSTED and wrong_host(HERE, "lab.example:80") == ""


def test_nothing_on_page_switches_trust_on():
    config = build().get_config_file()
    assert "trust" not in str([c["props"].get("label") for c in config["components"]])
    assert not any("trust" in str(one["api_name"]) for one in config["dependencies"])


def test_request_has_size(url):
    for path in ("gradio_api/queue/join", "gradio_api/call/compare"):
        large = httpx.post(url + path, content=b"x" * (guard.BODY + 1))
        assert large.status_code == 413 and "bytes" in large.text
        endless = httpx.post(url + path, content=(chunk for chunk in [b"x"]))
        assert endless.status_code == 411


def test_uploads_are_bounded_by_address_and_in_all(url):
    """That they are counted at all, and as what: how is Hourly's own."""
    uploads = guard.Guard(None).uploads
    limits = (uploads.count, uploads.each, uploads.everyone)
    assert limits == (guard.UPLOADS, guard.UPLOAD_BYTES, guard.ALL_UPLOAD_BYTES)
    refused = None
    for _ in range(guard.UPLOADS + 1):
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("x.json", b"{}")})
        if answer.status_code != 200:
            refused = answer
    assert refused.status_code == 429 and "200 files an hour" in refused.text


def test_visitor_is_public_address_or_session():
    assert visitor("8.8.8.8", "s") == "8.8.8.8"
    for address in ("127.0.0.1", "10.1.2.3", None, "x"):
        assert visitor(address, "s") == "s"


@pytest.fixture
def runs():
    run, _ = press(CAPITALS, FOUR[:2])
    page_runs.keep("visitor", run.comparison)
    yield run
    page_runs.drop("visitor")


def test_exports_are_written_when_asked_for(url, runs, tmp_path):
    name = runs.panels[0].record.name
    for suffix in ("csv", "json"):
        answer = httpx.get(f"{url}lab/export/{name}/{suffix}", timeout=60)
        assert answer.status_code == 200
        disposition = answer.headers["content-disposition"]
        assert disposition == f'attachment; filename="trajectories-capitals-seed3.{suffix}"'
        (tmp_path / f"x.{suffix}").write_bytes(answer.content)
        for one, other in zip(
            lab_read(tmp_path / f"x.{suffix}"), runs.comparison.runs, strict=True
        ):
            assert one == other
    assert "default-src 'none'" in httpx.get(f"{url}lab/export/{name}/html").text
    assert httpx.get(f"{url}lab/export/{'0' * 32}/csv").status_code == 404


def lab_read(path):
    return files.read(path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_full_disk_costs_file_and_not_run(url, runs, code, monkeypatch):
    name = runs.panels[0].record.name

    def refuse(*_, **__):
        raise OSError(code, "no", "/secret/place")

    for place, attribute in ((exports, "mkdtemp"), (files, "save")):
        with monkeypatch.context() as patch:
            patch.setattr(place, attribute, refuse)
            answer = httpx.get(f"{url}lab/export/{name}/csv", timeout=60)
        assert answer.status_code == 507 and "The run is kept" in answer.text
        assert "/secret" not in answer.text
    assert httpx.get(f"{url}lab/export/{name}/csv", timeout=60).status_code == 200


def test_run_is_computed_where_nothing_can_be_written(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(files, "save", refuse)
    monkeypatch.setattr(exports, "mkdtemp", refuse)
    run, last = press(CAPITALS, FOUR[:1])
    assert last.values[0]["kind"] == "done" and run.comparison.runs
    assert threading.active_count() < 200
