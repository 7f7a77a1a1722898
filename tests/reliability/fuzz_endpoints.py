"""I1: what anybody may post, to every endpoint, public and private.

Nothing dies or hangs, no traceback of ours is written, and each refusal of ours is a sentence that
names the field. What Gradio refuses before it reaches us, it refuses without a word: arguments that
are too few, and an uploaded file that nobody uploaded.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

from samplers import SAMPLERS
from tests.reliability import Figure, none_of
from tests.reliability.payloads import junk, sample, spoilt
from tests.reliability.visitor import SMALL, Answer, Visitor, Visitors, form, visitors
from tests.reliability.watched_app import Site

SIZE = 1000
AT_ONCE = 4
UPLOADS = {"open_upload", "_load_file"}
PATIENCE = 60.0  # seconds, several runs being in the line
SECRET = re.compile(r"Traceback|\.py\b|/tmp/|hf_[A-Za-z]")
FIELDS = {"task", "samplers", "sampler", "prompt", "template", "gen_length", "seed", "params",
          "trajectories", "rows", "draft", "settings", "preset", "model", "dtype", "text",
          "kind", "example",
          *(param.name for sampler in SAMPLERS.values() for param in sampler.params)}  # fmt: skip
Send = Callable[[Visitor, Sequence[Any]], Awaitable[Answer]]


class Endpoint(NamedTuple):
    """Where it is sent, and arguments that are valid there."""

    name: str
    valid: Sequence[Any]
    send: Send


def endpoints(config: dict[str, Any]) -> list[Endpoint]:
    """All that takes a payload."""
    public = {
        "compare": [*SMALL[:5], 0, {"steps": 4, "mdlm": {"temperature": 0.5}}, "none"],
        "samplers": [],
        "look_up": ["owner/name", "float32"],
        "load": ["owner/name", "float32"],
    }
    inputs, file = form(), {"path": "x.csv", "meta": {"_type": "gradio.FileData"}}
    queued = {
        "run": inputs,
        "_look_up": ["owner/name", "float32"],
        "_load": ["owner/name", "float32", None, None],
        "open_upload": [file, None],
        "_load_file": [file, None],
    }
    quick: dict[str, list[Any]] = {
        "_change_task": [inputs[0], inputs[5]],
        "_use_example": [0],
        "_change_kind": ["prompt"],
        "_load_models": ["capitals"],
        "lambda_1": [0],
        "after_run": [None],
        "_buttons_after_loading": [None],
    }
    quick |= {
        one["api_name"]: []
        for one in config["dependencies"]
        if one["backend_fn"] and not one["queue"] and not one["inputs"]
    }
    ids = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
    panel, sketch = ids["panel-1"], ids["sketch-uncertainty"]
    questions = {
        "film": {"run": "0" * 32, "start": 0},
        "alternatives": {"run": "0" * 32, "step": 1, "position": 1},
        "row": {"run": "0" * 32, "row": 1},
    }
    return [
        *(Endpoint(name, valid, _call(name)) for name, valid in public.items()),
        *(Endpoint(name, valid, _press(name)) for name, valid in queued.items()),
        *(Endpoint(name, valid, _poke(name)) for name, valid in quick.items()),
        *(Endpoint(name, [valid], _ask(panel, name)) for name, valid in questions.items()),
        Endpoint("entropies", [questions["film"]], _ask(sketch, "entropies")),
    ]  # fmt: skip


def _call(name: str) -> Send:
    return lambda visitor, data: visitor.call(name, data, PATIENCE)


def _press(name: str) -> Send:
    return lambda visitor, data: visitor.press(name, data, PATIENCE)


def _poke(name: str) -> Send:
    return lambda visitor, data: visitor.poke(name, data, PATIENCE)


def _ask(component: int, name: str) -> Send:
    return lambda visitor, data: visitor.ask(component, name, data[0] if data else None, PATIENCE)


class Verdict(NamedTuple):
    """What was wrong with an answer, "" for nothing; and the answer."""

    fault: str
    endpoint: str
    data: Sequence[Any]
    answer: Answer


def fault_of(endpoint: Endpoint, data: Sequence[Any], answer: Answer) -> str:
    """What an answer has that no answer may have; "" for nothing."""
    if answer.kind == "hung":
        return "hung"
    refusals = [answer.text] if answer.kind == "error" else list(refusals_in(answer.data))
    if any(map(SECRET.search, refusals)):
        return "a secret"
    if "" in refusals:
        never_ours = len(data) < len(endpoint.valid) or endpoint.name in UPLOADS
        return "Gradio's" if never_ours else "no reason"
    named = all(any(field in text for field in FIELDS) for text in refusals)
    return "" if named else "no field"


def refusals_in(data: Any) -> Iterator[str]:
    """What stands in the panels of a page, or in the results of a call, that were refused."""
    if isinstance(data, dict):
        if data.get("kind") == "error":
            yield data.get("message", "")
        if "metrics" in data and isinstance(data.get("error"), str):
            yield data["error"]
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for part in parts:
        yield from refusals_in(part)


def check(site: Site, size: int = SIZE) -> list[Figure]:
    """`size` payloads an endpoint."""
    verdicts, died = asyncio.run(_check(site, size))
    faults = Counter(verdict.fault for verdict in verdicts)
    for verdict in verdicts:
        if verdict.fault not in ("", "Gradio's"):
            print(f"{verdict.fault}: {verdict.endpoint}: {str(verdict.data)[:300]} -> "
                  f"{(verdict.answer.text or str(verdict.answer.data))[:300]!r}")  # fmt: skip
    ours = site.tracebacks()
    for text in dict.fromkeys(ours):
        print(text)
    names = {verdict.endpoint for verdict in verdicts}
    return [
        Figure("payloads sent", f"{len(verdicts):,} to {len(names)} endpoints"),
        none_of("of them ended the process", int(died)),
        none_of("hung", faults["hung"]),
        Figure("refused by Gradio before they reach us, without a reason", str(faults["Gradio's"])),
        none_of("refused without a reason", faults["no reason"]),
        none_of("refused by a sentence that names no field", faults["no field"]),
        none_of("answered with a path or a token", faults["a secret"]),
        none_of("tracebacks in the log that go through our files", len(ours)),
    ]


async def _check(site: Site, size: int) -> tuple[list[Verdict], bool]:
    turns, verdicts = asyncio.Semaphore(AT_ONCE), []
    async with visitors(site.url) as door:
        for endpoint in endpoints(door.config):
            strategy = spoilt(endpoint.valid) if endpoint.valid else junk().map(lambda x: [x])
            data = sample(strategy, size if endpoint.valid else max(1, size // 10))
            work = [_send(door, turns, endpoint, one) for one in data]
            verdicts += await asyncio.gather(*work)
        alive = await door.new().call("compare", SMALL)
    return verdicts, alive.kind != "complete"


async def _send(
    door: Visitors, turns: asyncio.Semaphore, endpoint: Endpoint, data: Sequence[Any]
) -> Verdict:
    async with turns:
        answer = await endpoint.send(door.new(), data)
    return Verdict(fault_of(endpoint, data, answer), endpoint.name, data, answer)
