"""The page's settings as a short query string, and back: a link that a paper or a mail can hold.

    ?task=sudoku4&text=1+[MASK]*15&steps=8&1=margin&2=llada2:llada2.1_quality&2.threshold=0.8&run=1

Only what differs from how the page opens on that task is said, in one order, so that equal settings
have equal links.
"""

import json
from dataclasses import asdict
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import gradio as gr

from lab.run import limits
from lab.run.request import RunRequest
from lab.tasks import examples
from lab.tasks.task import kind_of
from lab.ui.error_text import explain
from lab.ui.events import QUICK
from lab.ui.run_inputs import ROWS, check_kind
from lab.ui.safe_text import visible
from lab.ui.settings_form import (
    PANELS,
    SHARED,
    FormValue,
    PanelSettings,
    check_form,
    for_task,
    start_value,
)
from lab.ui.tasks import check_task, misfits
from samplers.signature import brief

LONGEST = 8000  # characters of a query that is read: what servers and mails pass on
MOST_FIELDS = 200


class Linked(NamedTuple):
    """What a link sets; run: whether the run is begun at once."""

    task: str
    kind: str
    text: str
    gen_length: int
    seed: int
    form: FormValue
    rows: int
    draft: str
    run: bool


def start(task: str) -> Linked:
    """How the page opens on a task."""
    text, fits = examples(task)[0], misfits(task)
    form = for_task(start_value(task, fits), task, fits)
    return Linked(task, kind_of(text), text, 0, 0, form, 1, "", False)


def to_query(state: Linked) -> str:
    """The query of a link. ValueError for a state that the page would not send."""
    usual, form = start(check_task(state.task)), check_form(state.form)
    fields: list[tuple[str, Any]] = [("task", state.task)]
    fields += [("text", state.text)] * (state.text != usual.text)
    fields += [("kind", state.kind)] * (check_kind(state.kind) != kind_of(state.text))
    fields += [("length", state.gen_length)] * (state.gen_length != 0)
    fields += [("seed", state.seed)] * (state.seed != 0)
    fields += [("rows", state.rows)] * (state.rows != 1)
    fields += [("draft", state.draft)] * (state.draft != "")
    fields += [(name, _json(form["shared"][name])) for name in SHARED if name in form["shared"]]
    panels = zip(form["panels"], usual.form["panels"], strict=True)
    for number, (panel, opened) in enumerate(panels, 1):
        if panel != opened:
            fields += _panel_fields(number, panel)
    fields += [("run", 1)] * state.run
    return urlencode(fields, safe="[]*:")


def from_query(query: str) -> Linked | None:
    """What a link sets; None where it names no task. ValueError names the field that is wrong.

    A link comes from anybody: samplers, presets and parameters are checked as a run checks them.
    """
    if len(query) > LONGEST:
        raise ValueError(f"a link must have at most {LONGEST} characters, got {len(query)}")
    query = query.removeprefix("?")
    fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    if "task" not in fields:
        return None
    usual = start(check_task(fields["task"]))
    text = fields.get("text", usual.text)
    shared = {name: _value(name, fields[name]) for name in SHARED if name in fields}
    panels = [_panel(number, fields, usual) for number in range(1, PANELS + 1)]
    for panel in filter(None, panels):
        RunRequest(
            panel["sampler"], "", preset=panel["preset"], params=panel["params"], shared=shared
        ).values()
    form = check_form({**usual.form, "shared": shared, "panels": panels})
    return Linked(
        usual.task,
        check_kind(fields.get("kind", kind_of(text))),
        text,
        _whole("length", fields.get("length", "0")),
        _whole("seed", fields.get("seed", "0")),
        form,
        limits.whole("rows", _whole("rows", fields.get("rows", "1")), 1, ROWS),
        fields.get("draft", ""),
        fields.get("run") == "1",
    )


def _panel_fields(number: int, panel: dict[str, Any] | None) -> list[tuple[str, Any]]:
    if panel is None:
        return [(str(number), "")]
    preset = f":{panel['preset']}" if panel["preset"] else ""
    own = [(f"{number}.{name}", _json(x)) for name, x in sorted(panel["params"].items())]
    return [(str(number), panel["sampler"] + preset), *own]


def _panel(number: int, fields: dict[str, str], usual: Linked) -> dict[str, Any] | None:
    if str(number) not in fields:
        return usual.form["panels"][number - 1]
    name, _, preset = fields[str(number)].partition(":")
    if not name:
        return None
    own = {
        field.partition(".")[2]: _value(field, x)
        for field, x in fields.items()
        if field.startswith(f"{number}.")
    }
    return asdict(PanelSettings(name, preset or None, own))


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(name: str, text: str) -> Any:
    """A parameter's value: a number, true, false, null, or else text."""
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, (dict, list)):
        raise ValueError(f"{name} must be one value, got {brief(text)}")
    return value


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 20:
        raise ValueError(f"{name} must be a whole number from 0, got {brief(text)}")
    return int(text)


COPY = """query => {
  if (!query) return 'This cannot be a link: see the message below the settings';
  const link = `${location.origin}${location.pathname}?${query}`;
  navigator.clipboard?.writeText(link).catch(() => {});
  history.replaceState(null, '', link);
  return `Link copied: ${link}`;
}"""
# Gradio has drawn what the link set before Run is pressed.
RUN = """begin => {
  if (begin !== 'run') return;
  const run = () => [...document.querySelectorAll('.lab-actions button')]
    .find(one => one.textContent.trim() === 'Run');
  setTimeout(() => run()?.click(), 300);
}"""


def attach(
    demo: gr.Blocks, fields: list[Any], samples: gr.Dataset, link: gr.Button, status: gr.HTML
) -> None:
    """Wire the button that copies a link, and what a link does as the page opens."""
    passed = gr.Textbox(visible=False)
    copied = link.click(_query, fields, passed, **QUICK)
    copied.then(None, passed, status, js=COPY, **QUICK)
    opened = demo.load(
        _restore, passed, [*fields, samples, status, passed], js="() => location.search", **QUICK
    )
    opened.then(None, passed, None, js=RUN, **QUICK)


def _query(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, settings: Any, rows: Any,
    draft: Any,
) -> str:  # fmt: skip
    try:
        return to_query(Linked(task, kind, text, gen_length, seed, settings, rows, draft, False))
    except ValueError:
        return ""


def _restore(query: Any) -> list[Any]:
    try:
        linked = from_query(query if isinstance(query, str) else "")
    except ValueError as error:
        return [*[gr.skip()] * 9, f"✕ This link cannot be opened: {visible(explain(error))}", ""]
    if linked is None:
        return [*[gr.skip()] * 10, ""]
    samples = gr.Dataset(samples=[[text] for text in examples(linked.task)])
    *fields, begin = linked
    return [*fields, samples, "", "run" if begin else ""]
