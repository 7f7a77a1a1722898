"""The page: inputs and outputs wired together by handlers of a few lines."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from lab.tasks import examples
from lab.ui import (
    about,
    api,
    board_input,
    input_events,
    lessons,
    model_picker,
    page_runs,
    permalink,
    result_tabs,
    slot,
    strip,
    study_tab,
)
from lab.ui.assets import asset
from lab.ui.background import backlog_of, in_background
from lab.ui.branch import beside, branch
from lab.ui.comparison import Run, Update
from lab.ui.error_text import explain
from lab.ui.events import PRIVATE, QUICK
from lab.ui.guard import visitor_of
from lab.ui.input_events import run_fields, run_request
from lab.ui.layout import Inputs, Outputs, sidebar, stage
from lab.ui.lean_sessions import lean_sessions
from lab.ui.page_runs import PageRuns
from lab.ui.replay import open_file
from lab.ui.run_inputs import check_upload
from lab.ui.safe_text import visible
from lab.ui.settings_form import check_form

# On a phone the open sidebar would cover the page.
NARROW = "() => { if (innerWidth < 768) document.querySelector('.toggle-button')?.click(); }"
# ?lesson=NAME opens on that lesson, ?lesson= on none.
OPENING = """() => {
  const query = new URLSearchParams(location.search);
  if (query.has('task')) return;
  document.getElementById(`lesson-${query.get('lesson') ?? '%s'}`)?.click();
}"""
QUEUE: dict[str, Any] = {"max_size": 32, "default_concurrency_limit": 1}
# Runs that wait are told their place; Gradio's own queue, which tells nothing, is never reached.
RUNS = slot.LONGEST + 8


def build() -> gr.Blocks:
    """The app, not yet launched; models are loaded by the runs that need them."""
    slot.one_thread()
    with gr.Blocks(
        title="Sampler lab", fill_width=True, analytics_enabled=False, delete_cache=(3600, 3600)
    ) as demo:
        with gr.Sidebar(width=360):
            inputs = sidebar()
        outputs = stage(inputs)
        fields = run_fields(inputs, outputs)
        loaded = input_events.attach(demo, inputs, outputs)
        board_input.attach(inputs.board, inputs.text)
        strip.attach(outputs.strip, fields, inputs.settings, outputs.status, loaded)
        permalink.attach(demo, fields, inputs.examples, outputs.link, outputs.status)
        model_picker.attach(inputs.other, inputs.task)
        _wire_run(demo, inputs, outputs)
        _wire_results(outputs)
        study_tab.attach(demo, outputs.study, inputs, RUNS)
        outputs.about_tab.select(about.about, None, outputs.about, **QUICK)
        _wire_lessons(inputs, outputs)
        api.attach(demo)
        demo.load(None, js=NARROW)
        demo.load(None, js=OPENING % lessons.lessons()[0].name)
        for script in (("keys", "keys.js"), ("figures", "click.js")):
            demo.load(None, js=asset(*script).split("\n", 2)[2])
        demo.unload(_forget)
    lean_sessions(demo)
    return demo.queue(**QUEUE)


def _wire_lessons(inputs: Inputs, outputs: Outputs) -> None:
    """A card brings a lesson's settings and plays it."""
    shared = [*run_fields(inputs, outputs), inputs.examples]
    stage = [outputs.status, *outputs.panels, outputs.exports, *outputs.results]
    for lesson, card in zip(lessons.lessons(), outputs.lessons, strict=True):
        # The settings first: a panel notes under which of them it was shown.
        show = _showing(inputs, outputs, lesson)
        card.click(show, outputs.open_tab, [*shared, *stage], **QUICK)


def _settings_of(inputs: Inputs, outputs: Outputs, lesson: lessons.Lesson) -> dict[Any, Any]:
    return {
        inputs.task: lesson.task,
        inputs.kind: lesson.kind,
        inputs.text: lesson.prompt,
        inputs.examples: gr.Dataset(samples=[[text] for text in examples(lesson.task)]),
        inputs.gen_length: 0,
        outputs.seed: lesson.seed,
        inputs.settings: lesson.form(),
        inputs.rows: 1,
        inputs.draft: "",
    }


def _showing(
    inputs: Inputs, outputs: Outputs, lesson: lessons.Lesson
) -> Callable[[str, gr.Request], Any]:
    """Puts a recorded lesson into settings and panels, in place of what stood there; a run is
    stopped.
    """

    def show(tab: str, request: gr.Request) -> dict[Any, Any]:
        session = request.session_hash or ""
        slot.stop(session)
        values, comparison = lessons.show(lesson)
        page_runs.keep(session, comparison, visitor_of(request))
        return {
            **_settings_of(inputs, outputs, lesson),
            outputs.status: lesson.text,
            **dict(zip(outputs.panels, values, strict=True)),
            **_exportable(outputs, comparison),
            **result_tabs.clear(outputs),
            **result_tabs.fill(outputs, tab, comparison),
        }

    return show


def _wire_run(demo: gr.Blocks, inputs: Inputs, outputs: Outputs) -> None:
    async def run(
        task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, settings: Any, rows: Any,
        draft: Any, request: gr.Request,
    ) -> AsyncIterator[dict[Any, Any]]:  # fmt: skip
        shared, panels = run_request(task, kind, text, gen_length, seed, settings, rows, draft)
        session = request.session_hash or ""
        with slot.stoppable(session) as stop:
            run = Run(shared, panels, stop, who := visitor_of(request))
            page_runs.keep(session, run.comparison, who)
            async for change in _changes(demo, outputs, run, session):
                yield change

    async def go_on(
        task: Any, seed: Any, settings: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[dict[Any, Any]]:
        session = request.session_hash or ""
        parents = page_runs.of_session(session)
        try:
            plan = branch(event._data, parents, task, seed, check_form(settings))
        except ValueError as error:
            yield {outputs.status: f"✕ {visible(explain(error))}"}
            return
        with slot.stoppable(session) as stop:
            run = Run(plan.inputs, plan.panels, stop, visitor_of(request), origin=plan.origin)
            page_runs.keep(session, beside(parents, run.comparison), visitor_of(request))
            yield {inputs.settings: plan.form}
            async for change in _changes(demo, outputs, run, session):
                yield change

    buttons = [outputs.run, outputs.stop, outputs.open, outputs.exports]
    stage = [outputs.status, *outputs.panels, *buttons, *outputs.results]
    computing: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": RUNS, **PRIVATE}
    pressed = outputs.run.click(run, run_fields(inputs, outputs), stage, **computing)
    branched = gr.on(
        [panel.select for panel in outputs.panels], go_on,
        [inputs.task, outputs.seed, inputs.settings], [*stage, inputs.settings], **computing,
    )  # fmt: skip
    # A second event, so that Run comes back also where the first one failed.
    for event in (pressed, branched):
        event.then(_after_run(outputs), outputs.open_tab, [*buttons, *outputs.results], **QUICK)
    outputs.stop.click(None, None, outputs.status, js=slot.SAY_STOPPING, **QUICK)
    outputs.stop.click(_stop, None, outputs.status, **QUICK)


async def _changes(
    demo: gr.Blocks, outputs: Outputs, run: Run, session: str
) -> AsyncIterator[dict[Any, Any]]:
    """What a run changes on its page, as it goes on."""
    backlog, first = backlog_of(demo._queue, session), True
    async for update in in_background(run.updates, run.stop, backlog):
        yield _page_update(outputs, update, first, run.origin)
        first = False
    page_runs.trim()


def _after_run(outputs: Outputs) -> Callable[[str, gr.Request], dict[Any, Any]]:
    def after_run(tab: str, request: gr.Request) -> dict[Any, Any]:
        session = request.session_hash or ""
        return {
            outputs.run: gr.Button(interactive=True),
            outputs.stop: gr.Button(interactive=False),
            outputs.open: gr.UploadButton(interactive=True),
            **_exportable(outputs, page_runs.of_session(session)),
            **_filled(outputs, tab, session),
        }

    return after_run


def _stop(request: gr.Request) -> Any:
    return gr.skip() if slot.stop(request.session_hash or "") else "Nothing is running"


def _forget(request: gr.Request) -> None:
    """A page was closed: its run ends, and nothing of it is kept."""
    session = request.session_hash or ""
    slot.stop(session)
    study_tab.forget(session)
    page_runs.drop(session)


def _page_update(
    outputs: Outputs, update: Update, first: bool, branched: str = ""
) -> dict[Any, Any]:
    """What one update of a run changes on the page; branched: its other panels stay as they are."""
    both = zip(outputs.panels, update.values, strict=True)
    change: dict[Any, Any] = {
        panel: value for panel, value in both if not branched or value["kind"] != "empty"
    }
    change[outputs.status] = update.status
    if first:
        change[outputs.exports] = False
        change |= result_tabs.clear(outputs)
        change[outputs.run] = gr.Button(interactive=False)
        change[outputs.stop] = gr.Button(interactive=True)
        change[outputs.open] = gr.UploadButton(interactive=False)
    return change


def _exportable(outputs: Outputs, runs: PageRuns | None) -> dict[Any, Any]:
    return {outputs.exports: bool(runs and runs.runs)}


def _wire_results(outputs: Outputs) -> None:
    """Figures and tables, each made when it is asked for."""
    for tab in outputs.tabs:
        _wire_tab(outputs, tab)
    _wire_open(outputs)


def _filled(outputs: Outputs, tab: str, session: str) -> dict[Any, Any]:
    """What a tab holds; nothing where another run began while it was made."""
    runs = page_runs.of_session(session)
    change = result_tabs.fill(outputs, tab, runs)
    return change if page_runs.of_session(session) is runs else {}


def _wire_tab(outputs: Outputs, tab: gr.Tab) -> None:
    name = str(tab.label)

    def show(request: gr.Request) -> dict[Any, Any]:
        return {outputs.open_tab: name, **_filled(outputs, name, request.session_hash or "")}

    tab.select(show, None, [outputs.open_tab, *outputs.results], **QUICK)


def _wire_open(outputs: Outputs) -> None:
    def open_upload(path: Any, tab: str, request: gr.Request) -> dict[Any, Any]:
        try:
            replay = open_file(check_upload(path, "Open", "runs, as CSV or JSON"))
            page_runs.keep(request.session_hash or "", replay.comparison, visitor_of(request))
            change = {
                **result_tabs.clear(outputs),
                **result_tabs.fill(outputs, tab, replay.comparison),
            }
        except Exception as error:
            return {outputs.status: f"✕ {visible(explain(error))}"}
        return {
            **change,
            outputs.status: visible(replay.status),
            **dict(zip(outputs.panels, replay.values, strict=True)),
            **_exportable(outputs, replay.comparison),
        }

    outputs.open.upload(
        open_upload, [outputs.open, outputs.open_tab],
        [outputs.status, *outputs.panels, outputs.exports, *outputs.results],
        concurrency_id="open", **PRIVATE,
    )  # fmt: skip
