"""The Study tab: the atlas at a glance, settings into Compare, live measurements beside it."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, NamedTuple

import gradio as gr

import samplers
from lab.study.cells import instances_of
from lab.tasks.task import kind_of
from lab.ui import own_points, slot
from lab.ui.assets import asset, listening
from lab.ui.background import backlog_of, in_background
from lab.ui.error_text import explain
from lab.ui.events import PRIVATE, QUICK
from lab.ui.guard import visitor_of
from lab.ui.live_study import LEAST, MOST, LiveStudy
from lab.ui.picture import best, first_case, known_case, picture, settings_of_point
from lab.ui.points_file import read_file
from lab.ui.run_inputs import check_upload
from lab.ui.safe_text import visible
from lab.ui.settings_form import PANELS, PanelSettings, check_form, for_task, panel_settings
from lab.ui.tasks import misfits

SCRIPTS = ("chart.js", "study.js")
ABOUT = (
    "Which sampler, at which setting, for which budget, and how sure is that? Every point is a "
    "setting, measured on the same instances as all others; the line joins what a sampler does "
    "best at each cost."
)
MEASURE = (
    "Measure the settings of Compare's panels on this case, on the instances that the picture's "
    "points were measured on; they join the picture as stars."
)


class StudyPicture(gr.HTML):
    """The picture. The template is static, and text only ever meets `textContent`.

    value: {task, case, key, change}: what is shown, whose own points belong to it, and a number
    that grows as they do; the points themselves are asked for.
    """

    def __init__(self, **layout: Any):
        super().__init__(
            {"task": "", "case": "", "key": "", "change": 0},
            html_template=asset("study", "study.html"),
            js_on_load="\n".join(asset("study", script) for script in SCRIPTS),
            server_functions=[picture, best],
            **layout,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


class StudyTab(NamedTuple):
    """The components of the tab."""

    picture: StudyPicture
    count: gr.Slider
    measure: gr.Button
    stop: gr.Button
    exports: list[gr.Button]
    load: gr.UploadButton
    status: gr.HTML


def study_tab() -> StudyTab:
    """The components, top to bottom."""
    gr.Markdown(ABOUT, elem_classes="lab-about")
    picture_of_case = StudyPicture(elem_id="study", padding=False)
    gr.Markdown(MEASURE, elem_classes="lab-about")
    with gr.Row(elem_classes="lab-actions lab-measure"):
        count = gr.Slider(LEAST, MOST, value=50, step=10, label="Instances", elem_id="instances")
        measure = gr.Button("Measure", variant="primary", min_width=70, elem_id="measure")
        stop = gr.Button("Stop measuring", variant="stop", min_width=70, interactive=False)
        exports = [
            gr.Button(f"Points as {name}", min_width=70, elem_id=f"points-{name.lower()}")
            for name in ("CSV", "Parquet")
        ]
        load = gr.UploadButton(
            "Load points", min_width=70, elem_id="load-points", file_types=[".csv", ".parquet"]
        )
    status = gr.HTML(
        "", html_template=asset("status", "status.html"),
        js_on_load=listening("status", "status.js"),
        elem_id="study-status", elem_classes="lab-status",
    )  # fmt: skip
    return StudyTab(picture_of_case, count, measure, stop, exports, load, status)


def attach(demo: gr.Blocks, tab: StudyTab, inputs: Any, runs: int) -> None:
    """Wire it. inputs: Compare's; runs: how many events may wait for the model."""
    _attach_measure(demo, tab, inputs.settings, runs)
    script = asset("study", "export.js").split("\n", 1)[1].strip()
    for button in tab.exports:
        suffix = str(button.elem_id).removeprefix("points-")
        js = f"value => ({script})(value, '{suffix}')"
        button.click(None, tab.picture, tab.status, js=js, **QUICK)
    tab.load.upload(
        _load_file, [tab.load, tab.picture], [tab.status, tab.picture],
        concurrency_id="open", **PRIVATE,
    )  # fmt: skip
    tab.picture.select(
        _into_panel, inputs.settings,
        [tab.status, inputs.task, inputs.kind, inputs.text, inputs.settings], **QUICK,
    )  # fmt: skip


def _attach_measure(demo: gr.Blocks, tab: StudyTab, settings: Any, runs: int) -> None:
    async def measure(
        form: Any, value: Any, count: Any, request: gr.Request
    ) -> AsyncIterator[dict[Any, Any]]:
        session = request.session_hash or ""
        with slot.stoppable(_session(session)) as stop:
            value = checked(value)
            live = LiveStudy(
                value["task"], value["case"], count, panel_settings(check_form(form)),
                value["key"], stop, visitor_of(request),
            )  # fmt: skip
            yield {tab.measure: gr.Button(interactive=False), tab.stop: gr.Button(interactive=True)}
            backlog = backlog_of(demo._queue, session)
            async for status in in_background(live.updates, stop, backlog):
                value = {**value, "change": value["change"] + 1}
                yield {tab.status: visible(status), tab.picture: value}

    def after() -> list[Any]:
        return [gr.Button(interactive=True), gr.Button(interactive=False)]

    pressed = tab.measure.click(
        measure, [settings, tab.picture, tab.count],
        [tab.status, tab.picture, tab.measure, tab.stop],
        concurrency_id="model", concurrency_limit=runs, **PRIVATE,
    )  # fmt: skip
    pressed.then(after, None, [tab.measure, tab.stop], **QUICK)
    tab.stop.click(None, None, tab.status, js=slot.SAY_STOPPING, **QUICK)
    tab.stop.click(_stop, None, tab.status, **QUICK)


def _session(session: str) -> str:
    """Not the session itself: a run and a measurement each have their own Stop."""
    return f"{session} study"


def _stop(request: gr.Request) -> Any:
    stopping = slot.stop(_session(request.session_hash or ""))
    return gr.skip() if stopping else "Nothing is being measured"


def forget(session: str) -> None:
    """A page was closed: what it measures ends."""
    slot.stop(_session(session))


def checked(value: Any) -> dict[str, Any]:
    """The picture's value with all its fields; a key of our own where it has none."""
    value = value if isinstance(value, dict) else {}
    task, case = known_case(value) or first_case()
    key, change = value.get("key"), value.get("change")
    return {
        "task": task,
        "case": case,
        "key": key if isinstance(key, str) and len(key) == 32 else secrets.token_hex(16),
        "change": change if type(change) is int and 0 <= change < 2**31 else 0,
    }


def _load_file(path: Any, value: Any, request: gr.Request) -> list[Any]:
    value = checked(value)
    try:
        file = check_upload(path, "Load points", "points, as CSV or Parquet")
        points = read_file(file)
        if len(points):
            own_points.add(value["key"], points, visitor_of(request))
    except Exception as error:
        return [f"✕ {visible(explain(error))}", value]
    name = visible(file.name)
    places = points[["task", "case"]].drop_duplicates().itertuples(index=False, name=None)
    where = ", ".join(f"{task} {case}" for task, case in list(places)[:4])
    if not where:
        return [f"{name}: the atlas has all of its points already", value]
    if (
        known_case({"task": value["task"], "case": value["case"]})
        and not ((points["task"] == value["task"]) & (points["case"] == value["case"])).any()
    ):
        value |= {"task": points["task"].iloc[0], "case": points["case"].iloc[0]}
    value["change"] += 1
    return [f"Loaded {len(points)} points from {name}: {where}", value]


def _into_panel(form: Any, event: gr.EventData) -> list[Any]:
    """Put a point's settings into a panel of Compare, and an instance of its case into the text."""
    query, form = event._data if isinstance(event._data, dict) else {}, check_form(form)
    number, name = query.get("panel"), query.get("name")
    point = settings_of_point(query, name)
    if point is None or type(number) is not int or not 1 <= number <= PANELS:
        gone = "✕ this point is no longer here; reload the page"
        return [gone, *[gr.skip()] * 3, form]
    task, case = known_case(query) or first_case()
    value = for_task(form, task, misfits(task))
    value["panels"][number - 1] = asdict(_beside(point, value["shared"]))
    text = instances_of(task, case, 1)[0].text
    status = f"Panel {number} of Compare now has {visible(str(name))}, and a text of {task} {case}"
    return [status, task, kind_of(text), text, value]


def _beside(point: PanelSettings, shared: dict[str, Any]) -> PanelSettings:
    """What a panel must say itself to run the point's settings: what differs from its preset, and
    what all panels would share otherwise."""
    sampler = samplers.get(point.sampler)
    values = sampler.bind(point.params)
    own = sampler.changed(values, point.preset).keys() | shared.keys()
    own_values = {name: value for name, value in values.items() if name in own}
    return PanelSettings(point.sampler, point.preset, own_values)
