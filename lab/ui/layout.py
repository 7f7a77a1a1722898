"""What stands where: the sidebar's inputs and the stage's outputs, with no behaviour."""

from typing import Any, NamedTuple

import gradio as gr

import lab
from lab.tasks import examples
from lab.tasks.task import PROMPT, TEMPLATE, kind_of
from lab.ui.model_picker import Field, field
from lab.ui.panel import ASSETS, TokenPanel
from lab.ui.panel_run import fits
from lab.ui.settings_form import PANELS, SettingsForm, start_value
from samplers import get

ABOUT = (
    "# Sampler lab\n"
    "Samplers of discrete diffusion language models, side by side on one prompt. Each panel runs "
    "one sampler on the same task of models with the same seed, and shows every step: what was "
    "written, how confident the model was, what was changed again. All of it is measured from "
    "outside "
    "the sampler, and can be taken home: CSV and JSON open again here, the HTML plays anywhere."
)


LENGTH_INFO = "0: 64, or what the model's length leaves."


class Inputs(NamedTuple):
    """What a visitor sets."""

    task: gr.Dropdown
    other: Field
    kind: gr.Radio
    text: gr.Textbox
    examples: gr.Dataset
    gen_length: gr.Slider
    seed: gr.Number
    dice: gr.Button
    settings: SettingsForm


class Outputs(NamedTuple):
    """What a run fills."""

    run: gr.Button
    stop: gr.Button
    status: gr.Markdown
    csv: gr.DownloadButton
    json: gr.DownloadButton
    html: gr.DownloadButton
    open: gr.UploadButton
    panels: list[TokenPanel]
    heatmaps: list[gr.Plot]
    orders: list[gr.Plot]
    metrics: gr.Dataframe
    table: gr.Dataframe
    python: gr.Code


def first_task() -> str:
    """Stories where its models are there, else the first task of tables."""
    return next(iter(lab.tasks()))


def sidebar() -> Inputs:
    """The settings, top to bottom: what to write, then how."""
    task = first_task()
    first = examples(task)[0]
    chosen = gr.Dropdown(
        list(lab.tasks()), value=task, label="task", elem_id="task",
        info="Models of one vocabulary and one corpus; every sampler gets the one it fits.",
    )  # fmt: skip
    other = field()
    kind = gr.Radio(
        [PROMPT, TEMPLATE], value=kind_of(first), label="go on from a prompt, or fill a template",
    )  # fmt: skip
    text = gr.Textbox(
        first, label="text", elem_id="text", lines=2, max_lines=6, max_length=20_000,
        info="In a template, [MASK] or [MASK]*8 are the masked positions.",
    )  # fmt: skip
    dataset = gr.Dataset(
        label="examples", components=[gr.Textbox(visible=False)],
        samples=[[text] for text in examples(task)], elem_classes="lab-examples",
    )  # fmt: skip
    length = gr.Slider(
        0, 256, value=0, step=1, label="gen_length", elem_id="length",
        info=LENGTH_INFO,
    )  # fmt: skip
    seed = gr.Number(0, label="seed", elem_id="seed", precision=0, minimum=0)
    dice = gr.Button("another seed", size="sm")
    settings = SettingsForm({**start_value(fits(task)), "task": task}, elem_id="settings")
    return Inputs(chosen, other, kind, text, dataset, length, seed, dice, settings)


def stage(inputs: Inputs) -> Outputs:
    """The title, Run and Stop, and what a run fills."""
    gr.Markdown(ABOUT, elem_classes="lab-about")
    gr.Button("Prompt and settings", size="md", elem_classes="lab-narrow").click(
        None, js="() => document.querySelector('.toggle-button').click()"
    )
    with gr.Row(elem_classes="lab-actions"):
        run = gr.Button("Run", variant="primary", min_width=60, scale=2)
        stop = gr.Button("Stop", variant="stop", min_width=44, scale=1, interactive=False)
        csv = gr.DownloadButton("CSV", min_width=44, scale=1, interactive=False, elem_id="csv")
        json = gr.DownloadButton("JSON", min_width=44, scale=1, interactive=False, elem_id="json")
        html = gr.DownloadButton("HTML", min_width=44, scale=1, interactive=False, elem_id="html")
        open_file = gr.UploadButton(
            "Open", min_width=44, scale=1, elem_id="open", file_types=[".csv", ".json"]
        )
    status = gr.Markdown("", elem_id="status", elem_classes="lab-status")
    with gr.Tabs():
        with gr.Tab("Tokens"):
            _playback()
            with gr.Row(equal_height=False, elem_classes="lab-panels"):
                panels = _panels(inputs.settings.value["panels"])
        with gr.Tab("Confidence"):
            gr.Markdown("The model's confidence by step and position; blank: still masked.")
            heatmaps = _plots("confidence")
        with gr.Tab("Order of decoding"):
            gr.Markdown("At which step each position was written for the last time.")
            orders = _plots("order")
        with gr.Tab("Metrics"):
            metrics = gr.Dataframe(interactive=False, elem_id="metrics", wrap=True)
        with gr.Tab("Trajectory"):
            gr.Markdown("Every change of every panel. CSV and JSON hold all steps and positions.")
            table = gr.Dataframe(interactive=False, elem_id="trajectory", max_height=560)
        with gr.Tab("Python"):
            gr.Markdown("The same without this page.")
            python = gr.Code(language="python", interactive=False, elem_id="python")
    return Outputs(
        run,
        stop,
        status,
        csv,
        json,
        html,
        open_file,
        panels,
        heatmaps,
        orders,
        metrics,
        table,
        python,
    )


def idle(panel: dict[str, Any] | None) -> dict[str, Any]:
    """A panel before its first run."""
    if panel is None:
        return {"kind": "empty", "run": "idle"}
    sampler = get(panel["sampler"])
    return {
        "kind": "idle", "run": f"idle {sampler.name}", "title": sampler.title,
        "subtitle": f"{sampler.paper} · {sampler.guarantee}", "message": "Press Run.",
        "steps": [], "columns": 0, "pieces": {},
    }  # fmt: skip


def _panels(chosen: list[Any]) -> list[TokenPanel]:
    panels = []
    for number, choice in enumerate(chosen, 1):
        with gr.Column(min_width=235):  # the style sheet hides the column of an empty panel
            panels.append(TokenPanel(idle(choice), number, elem_id=f"panel-{number}"))
    return panels


def _plots(name: str) -> list[gr.Plot]:
    with gr.Row(elem_classes="lab-plots"):
        return [
            gr.Plot(show_label=False, min_width=420, elem_id=f"{name}-{number + 1}", visible=False)
            for number in range(PANELS)
        ]


def _playback() -> gr.HTML:
    folder = ASSETS / "playback"
    return gr.HTML(
        html_template=(folder / "playback.html").read_text(encoding="utf-8"),
        js_on_load=(folder / "playback.js").read_text(encoding="utf-8"),
        elem_id="playback",
    )
