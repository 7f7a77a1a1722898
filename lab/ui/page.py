"""The page: inputs and outputs wired together by handlers of a few lines."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

import lab
from lab.record.file_limits import BYTES
from lab.tasks import examples
from lab.tasks.task import TEMPLATE, kind_of
from lab.ui import api, loaded_models, model_picker, results, slot
from lab.ui.comparison import Told, press, write
from lab.ui.layout import LENGTH_INFO, Inputs, Outputs, sidebar, stage
from lab.ui.panel import ASSETS
from lab.ui.panel_run import Request, explain, fits
from lab.ui.replay import open_file
from lab.ui.safe_text import visible
from lab.ui.settings_form import PANELS, Choice, choices, for_task
from lab.ui.snippet import reading, snippet

LAUNCH: dict[str, Any] = {
    "theme": gr.themes.Default(
        primary_hue="indigo", neutral_hue="slate",
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"],
    ).set(  # a shade darker than Gradio's own, for text that WCAG wants at 4.5 to 1
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600", color_accent="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    ),
    "css_paths": [ASSETS / "style.css"],
    "footer_links": ["api", "settings"],
    "ssr_mode": False,
    "run_history": False,
    "share": False,
    "show_error": False,
    "max_file_size": BYTES,
    "allowed_paths": [],
    "state_session_capacity": 200,
}  # fmt: skip
# On a phone the open sidebar would cover the page.
NARROW = "() => { if (innerWidth < 768) document.querySelector('.toggle-button')?.click(); }"
QUEUE: dict[str, Any] = {"max_size": 32, "default_concurrency_limit": 1}


def build() -> gr.Blocks:
    """The app, not yet launched; models are loaded by the runs that need them."""
    slot.one_thread()
    with gr.Blocks(
        title="Sampler lab", fill_width=True, analytics_enabled=False, delete_cache=(3600, 3600)
    ) as demo:
        with gr.Sidebar(width=360):
            inputs = sidebar()
        outputs = stage(inputs)
        _wire_settings(inputs)
        model_picker.attach(inputs.other, inputs.task)
        _wire_run(inputs, outputs)
        _wire_open(outputs)
        api.attach()
        demo.load(None, js=NARROW)
        demo.load(
            _load, inputs.task, None, queue=False, show_progress="hidden", api_visibility="private"
        )
    return demo.queue(**QUEUE)


def _wire_settings(inputs: Inputs) -> None:
    """Private and unqueued: a setting never waits for a run."""
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    inputs.task.change(
        _task, [inputs.task, inputs.settings],
        [inputs.kind, inputs.text, inputs.examples, inputs.settings], **quick,
    )  # fmt: skip
    inputs.examples.click(_example, inputs.examples, [inputs.kind, inputs.text], **quick)
    inputs.kind.change(_kind, inputs.kind, inputs.gen_length, **quick)
    inputs.dice.click(lambda: secrets.randbelow(2**31), None, inputs.seed, **quick)
    inputs.task.change(_load, inputs.task, None, **quick)


def _load(task: str) -> None:
    """Load a task's models and the plotting library while the visitor still reads the page."""
    for model in lab.tasks().get(task, {}).values():
        lab.load(model)
    results.warm()


def _task(task: str, settings: Any) -> list[Any]:
    texts = examples(task)
    dataset = gr.Dataset(samples=[[text] for text in texts])
    return [kind_of(texts[0]), texts[0], dataset, settings_for(task, settings)]


def settings_for(task: str, settings: Any) -> dict[str, Any]:
    """The settings once this task, or another model, is chosen."""
    found = loaded_models.known().get(task)
    usual = Choice(found.sampler, found.preset) if found and found.sampler else None
    return {**for_task(settings, fits(task), usual), "task": task}


def _example(sample: list[str]) -> list[str]:
    return [kind_of(sample[0]), sample[0]]


def _kind(kind: str) -> Any:
    info = "A template says itself what is to fill." if kind == TEMPLATE else LENGTH_INFO
    return gr.Slider(interactive=kind != TEMPLATE, info=info)


def _wire_run(inputs: Inputs, outputs: Outputs) -> None:
    given = [inputs.task, inputs.kind, inputs.text, inputs.gen_length, inputs.seed]

    def run(
        task: str, kind: str, text: str, gen_length: float, seed: float, settings: Any,
        request: gr.Request,
    ) -> Iterator[dict[Any, Any]]:  # fmt: skip
        asked, chosen = pressed_with(task, kind, text, gen_length, seed, settings)
        session = request.session_hash or ""
        with slot.stoppable(session) as stop, closing(press(asked, chosen, stop)) as items:
            for told in items:
                yield _told(outputs, told, asked, chosen)

    pressed = outputs.run.click(
        run, [*given, inputs.settings], _flat(outputs), concurrency_id="model",
        concurrency_limit=slot.WAITING, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    # A second event, so that Run comes back also where the first one failed.
    pressed.then(
        _ready, None, [outputs.run, outputs.stop, outputs.open], queue=False,
        show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    outputs.stop.click(
        _stop, None, outputs.status, queue=False, show_progress="hidden", api_visibility="private"
    )


def pressed_with(
    task: Any, kind: Any, text: Any, gen_length: Any, seed: Any, settings: Any
) -> tuple[Request, list[Any]]:
    """What Run shall do; pressed before a change of the task came back, what it will bring."""
    chosen = chosen_from(settings)
    if settings.get("task") != task:
        text = examples(task)[0]
        kind, chosen = kind_of(text), chosen_from(settings_for(task, settings))
    return asked_for(task, kind, text, gen_length, seed), chosen


def asked_for(task: Any, kind: Any, text: Any, gen_length: Any, seed: Any) -> Request:
    """The visitor's inputs as a Request; a slider at 0 leaves the length to the model."""
    if kind == TEMPLATE:
        return Request(task, template=text, seed=seed)
    return Request(task, text, gen_length=None if gen_length == 0 else gen_length, seed=seed)


def chosen_from(settings: Any) -> list[Any]:
    """One Choice or None a panel; gr.Error, which Gradio shows, where the form is malformed."""
    try:
        chosen = choices(settings)
    except ValueError as error:
        raise gr.Error(str(error)) from None
    return chosen + [None] * (PANELS - len(chosen))


def _stop(request: gr.Request) -> str:
    return "stopping …" if slot.stop(request.session_hash or "") else "nothing runs"


def _ready() -> list[Any]:
    return [
        gr.Button(interactive=True),
        gr.Button(interactive=False),
        gr.UploadButton(interactive=True),
    ]


def _wire_open(outputs: Outputs) -> None:
    def opened(path: str) -> Iterator[dict[Any, Any]]:
        try:
            found = open_file(Path(path))
        except Exception as error:
            yield {outputs.status: f"✕ {visible(explain(error))}"}
            return
        with TemporaryDirectory(prefix="sampler-lab-") as folder:
            runs = [run for run in found.trajectories if run]
            files, source = write(Path(folder), runs), reading(Path(path).name)
            yield {
                outputs.status: visible(found.status),
                **dict(zip(outputs.panels, found.values, strict=True)),
                **results.update(outputs, found.trajectories, found.values, files, source),
            }

    outputs.open.upload(
        opened, outputs.open, _flat(outputs), concurrency_id="open", show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip


def _flat(outputs: Outputs) -> list[Any]:
    return [x for one in outputs for x in (one if isinstance(one, list) else [one])]


def _told(outputs: Outputs, told: Told, asked: Request, chosen: list[Any]) -> dict[Any, Any]:
    """What one item of a press changes on the page."""
    update = dict(zip(outputs.panels, told.values, strict=True))
    update[outputs.status] = told.status
    update[outputs.run] = gr.Button(interactive=False)
    update[outputs.stop] = gr.Button(interactive=True)
    update[outputs.open] = gr.UploadButton(interactive=False)
    if told.result is not None:
        source = snippet(asked, [one for one in chosen if one])
        files = (told.result.csv, told.result.json)
        update |= results.update(outputs, told.result.trajectories, told.values, files, source)
    return update
