"""The named API as a stranger's client sees it, and what anybody can post to it."""

import errno
import json
from collections.abc import Iterator
from time import sleep

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

import lab
from lab.record import files
from lab.ui import build, exports
from samplers import SAMPLERS
from tests.kit import fake_hub, tiny
from tests.kit.serving import served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from served(build())


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def test_samplers_lists_every_sampler_with_its_parameters(client: Client):
    listed = client.predict(api_name="/samplers")
    assert [one["name"] for one in listed] == list(SAMPLERS)
    for one in listed:
        names = [param.name for param in SAMPLERS[one["name"]].params]
        assert [param["name"] for param in one["params"]] == names


def test_compare_equals_lab_run(client: Client, tmp_path):
    answer = client.predict(
        "capitals", ["llada2", "mdlm"], "The capital of", None, None, 5,
        {"steps": 4, "llada2": {"threshold": 0.5}}, "csv", api_name="/compare",
    )  # fmt: skip
    (tmp_path / "runs.csv").write_text(answer["trajectories"], encoding="utf-8", newline="")
    runs = files.read(tmp_path / "runs.csv")
    expected = [
        *lab.run("llada2", "capitals", "The capital of", seed=5, steps=4, threshold=0.5),
        *lab.run("mdlm", "capitals", "The capital of", seed=5, steps=4),
    ]
    for mine, theirs, result in zip(runs, expected, answer["results"], strict=True):
        assert mine.same_tokens(theirs)
        assert result["text"] == theirs.text and result["error"] is None
        assert result["metrics"]["calls"] == theirs.calls[-1]


def test_compare_takes_names_in_one_text_and_template(client: Client):
    answer = client.predict(
        task="capitals", samplers="mdlm, bd3lm", template="The capital of [MASK] is Paris.",
        api_name="/compare",
    )  # fmt: skip
    assert [one["text"].split()[3] for one in answer["results"]] == ["France", "France"]
    assert answer["trajectories"] is None


def test_one_sampler_that_fails_leaves_other_alone(client: Client):
    answer = client.predict(
        samplers="llada2,mdlm", prompt="The capital of", params={"mdlm": {"steps": 0}},
        api_name="/compare",
    )  # fmt: skip
    good, bad = answer["results"]
    assert good["error"] is None and good["text"]
    assert "steps must be" in bad["error"] and bad["text"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"samplers": "llada2", "params": {"mdlm": {"steps": 3}}}, "not among the samplers"),
        ({"samplers": "treshold"}, "no sampler 'treshold'"),
        ({"samplers": []}, "one to 4 names"),
        ({"samplers": "mdlm,mdlm,mdlm,mdlm,mdlm"}, "one to 4 names"),
        ({"samplers": [["mdlm"]]}, "no sampler"),
        ({"params": "{not json"}, "params must be a JSON object"),
        ({"params": [1]}, "params must be a JSON object"),
        ({"params": {"tempo": 3}}, "'tempo' is no parameter of these samplers"),
        ({"params": {"mdlm": 3}}, "'mdlm' must be a JSON object"),
        ({"template": "[MASK]*12", "gen_length": 3}, "leave prompt and gen_length out"),
        ({"trajectories": "xml"}, "none, csv, json"),
    ],
)
def test_bad_input_is_one_sentence(client: Client, arguments, words):
    with pytest.raises(AppError) as caught:
        client.predict(**arguments, api_name="/compare")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "/etc/passwd"}, "task must be one of"),
        ({"task": {"a": 1}}, "task must be one of"),
        ({"prompt": "The capital of", "gen_length": 2.5}, "gen_length must be a whole number"),
        ({"prompt": "The capital of", "gen_length": 10**18}, "gen_length must be a whole number"),
        ({"prompt": 3}, "must be text"),
        ({"seed": "7"}, "seed must be a whole number"),
        ({"prompt": "<img src=x onerror=alert(1)>"}, "words this model knows"),
    ],
)
def test_where_every_sampler_fails_answer_is_one_error(client: Client, arguments, words):
    with pytest.raises(AppError) as caught:
        client.predict(**{"samplers": "mdlm,llada2", **arguments}, api_name="/compare")
    assert str(caught.value).count(words) == 1


def _post(url: str, **changes) -> str:
    arguments = {
        "task": "capitals", "samplers": "mdlm", "prompt": "The capital of", "template": None,
        "gen_length": None, "seed": 0, "params": None, "trajectories": "none", **changes,
    }  # fmt: skip
    start = httpx.post(
        f"{url}gradio_api/call/compare",
        content=json.dumps({"data": list(arguments.values())}),
        headers={"content-type": "application/json"},
    )
    return httpx.get(f"{url}gradio_api/call/compare/{start.json()['event_id']}", timeout=60).text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, "x", [1], {"a": 1}])
def test_any_seed_gets_answer(url: str, value):
    said = _post(url, seed=value)
    assert "seed must be a whole number" in said
    assert "Traceback" not in said and ".py" not in said


def test_lone_surrogate_and_nul_get_answer(url: str):
    for text in ("a\ud800", "a\0"):
        assert "surrogate" in _post(url, prompt=text)


def test_cancelled_job_stops_and_next_one_runs(client: Client):
    job = client.submit(
        "capitals", "hybrid", "The capital of", None, None, 0, {"steps": 3000}, api_name="/compare"
    )
    while not job.outputs():
        pass
    job.cancel()
    assert client.predict("capitals", "mdlm", "The capital of", api_name="/compare")["results"]


def test_parameter_named_like_sampler_can_be_shared(client: Client):
    answer = client.predict(
        "capitals", "llada2,mdlm", "The capital of", None, None, 5, {"threshold": 0.5},
        "csv", api_name="/compare",
    )  # fmt: skip
    (alone,) = lab.run("llada2", "capitals", "The capital of", seed=5, threshold=0.5)
    assert answer["results"][0]["text"] == alone.text
    assert answer["results"][0]["metrics"]["calls"] == alone.calls[-1]


def test_updates_hold_what_there_is_so_far(client: Client):
    job = client.submit("stories", "hybrid", "Once upon a time", api_name="/compare")
    job.result(timeout=120)
    partial = [answer["results"][0] for answer in job.outputs()[1:-1]]
    assert partial and all(one["model"] == "stories-hybrid" for one in partial)
    assert all(isinstance(one["text"], str) for one in partial)
    calls = [one["metrics"]["calls"] for one in partial]
    assert calls == sorted(calls) and calls[-1] > 0


def test_nothing_is_written_unless_file_is_asked_for(client: Client, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    monkeypatch.setattr(files, "save", refuse)
    monkeypatch.setattr(exports, "TemporaryDirectory", refuse)
    answer = client.predict(samplers="mdlm", api_name="/compare")
    assert answer["results"][0]["text"] and answer["trajectories"] is None
    answer = client.predict(samplers="mdlm", trajectories="csv", api_name="/compare")
    assert answer["results"][0]["text"] and answer["trajectories"] is None
    assert "no CSV: the disk of this machine is full" in answer["status"]
    assert "/secret" not in answer["status"]


def test_two_visitors_take_turns_and_know_their_place(client: Client, url: str):
    other = Client(url, verbose=False)
    long = client.submit(samplers="hybrid", params={"steps": 600}, api_name="/compare")
    while not long.outputs():
        sleep(0.01)
    short = other.submit(samplers="mdlm", api_name="/compare")
    assert short.result(timeout=60)["results"][0]["text"]
    assert any("you are next" in answer["status"] for answer in short.outputs())
    assert long.done() and long.result()["results"][0]["text"]


def test_another_model_is_looked_up_loaded_and_run(client: Client, tmp_path, monkeypatch):
    with fake_hub.reached(monkeypatch, tmp_path / "cache") as hub:
        hub.add("me/mine", tiny.write(tmp_path / "mine", "block-absorbing"))
        listing = client.predict("me/mine", api_name="/look_up")
        assert "bd3lm" in listing["samplers"] and "mdlm" not in listing["samplers"]
        assert not hub.fetched(".safetensors")
        name = client.predict("me/mine", api_name="/load")["model"]
        assert name == listing["model"]
        answer = client.predict(name, "bd3lm", "One day", None, 8, api_name="/compare")
        (alone,) = lab.run("bd3lm", lab.load("me/mine"), "One day", gen_length=8)
        assert answer["results"][0]["text"] == alone.text
        with pytest.raises(AppError, match="there is no me/none on the hub"):
            client.predict("me/none", api_name="/load")


def test_every_endpoint_says_what_it_does(client: Client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert set(described) == {"/compare", "/samplers", "/look_up", "/load"}
    names = [one["parameter_name"] for one in described["/compare"]["parameters"]]
    assert names == ["task", "samplers", "prompt", "template", "gen_length", "seed", "params",
                     "trajectories"]  # fmt: skip
