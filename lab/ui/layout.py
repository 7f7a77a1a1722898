"""What stands where: the sidebar's inputs and the stage's outputs, with no behaviour."""

from typing import Any, NamedTuple

import gradio as gr

from lab.models.catalogue import task_names
from lab.tasks import examples
from lab.tasks.task import PROMPT, TEMPLATE
from lab.ui.assets import asset, listening
from lab.ui.board_input import BoardInput
from lab.ui.lessons import lessons
from lab.ui.model_picker import ModelPicker, model_picker
from lab.ui.panel import TokenPanel
from lab.ui.panel_value import PanelValue, panel_value
from lab.ui.raw_inputs import Examples, RawDropdown, RawNumber, RawRadio, RawSlider, RawTextbox
from lab.ui.run_inputs import ROWS
from lab.ui.settings_form import PANELS, SettingsForm
from lab.ui.sketches import Sketches
from lab.ui.strip import Strip
from lab.ui.study_tab import StudyTab, study_tab
from samplers import get

ABOUT = (
    "# Sampler lab\n"
    "How samplers of diffusion language models write: in any order, step by step, side by side."
)
READING = (
    "Each **panel** runs one sampler, all from the same text and seed. A cell is a token: the "
    "stronger its colour, the more confident the model was when it was written; a frame marks what "
    "was written at this step, a thick bar where a block begins. ▶ plays, the slider goes to any "
    "step, and a token shows what else the model considered when it was written, before and after "
    "temperature and filters.\n\n"
    "**Calls** are forward passes of the model: what a text costs. The small line under a "
    "sampler's name says the model that it runs on, which may differ from panel to panel, and its "
    "**guarantee** at temperature 1: *exact*, its texts follow the model; *O(1/N)*, *O(N^-1/2)*, "
    "its error falls so with the number N of steps; *floor*, its error stays however many steps; "
    "*biased*, it prefers what is likely; *deterministic*, it writes one text.\n\n"
    "Go to any step of a run that is over to **go on from there** in another panel, with the same "
    "sampler or another; before that, a token can be masked again or one of its alternatives put "
    "in its place.\n\n"
    "Everything can be exported: CSV and JSON open again here, the HTML file plays anywhere. "
    "*Copy link* keeps all settings in an address; with `&run=1` at its end it runs at once. "
    "**Ctrl+Enter** runs, **?** shows the other keys."
)
LENGTH_INFO = {
    PROMPT: "0: 64, or as long as the model allows.",
    TEMPLATE: "A template says itself what to fill in.",
}
TOKENS, CONFIDENCE, ORDER = "Tokens", "Confidence", "Decoding order"
UNCERTAINTY = "Uncertainty"
METRICS, TRAJECTORY, CODE = "Metrics", "Trajectory", "Code"
COMPARE, STUDY, SAMPLERS = "Compare", "Study", "Samplers"


class Inputs(NamedTuple):
    """What a visitor sets, in the sidebar."""

    task: gr.Dropdown
    other: ModelPicker
    kind: gr.Radio
    text: gr.Textbox
    board: BoardInput
    examples: gr.Dataset
    gen_length: gr.Slider
    rows: gr.Slider
    draft: gr.Textbox
    settings: SettingsForm


class Outputs(NamedTuple):
    """What stands in the middle: the strip's inputs, and what a run fills."""

    lessons: list[gr.Button]
    strip: Strip
    seed: gr.Number
    dice: gr.Button
    link: gr.Button
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    exports: gr.HTML
    open: gr.UploadButton
    panels: list[TokenPanel]
    heatmaps: list[gr.Plot]
    orders: list[gr.Plot]
    progress: gr.Plot
    uncertainties: list[gr.Plot]
    metrics: gr.Dataframe
    table: gr.Dataframe
    python: gr.Code
    shell: gr.Code
    tabs: list[gr.Tab]
    open_tab: gr.State
    study: StudyTab
    about: gr.Markdown
    about_tab: gr.Tab

    @property
    def results(self) -> list[Any]:
        """What the tabs beside the tokens hold."""
        plots = [*self.heatmaps, *self.orders, self.progress, *self.uncertainties]
        return [*plots, self.metrics, self.table, self.python, self.shell]


def sidebar() -> Inputs:
    """The settings, top to bottom: what to write, then how; those of the first lesson."""
    first = lessons()[0]
    task, texts = first.task, examples(first.task)
    chooser = RawDropdown(
        task_names(), value=task, label="Task", elem_id="task",
        info="Models of one vocabulary and one corpus; each sampler runs on the one that fits it.",
    )  # fmt: skip
    other = model_picker()
    kind = RawRadio(
        [("Continue a prompt", PROMPT), ("Fill in a template", TEMPLATE)],
        value=first.kind, label="What to generate", elem_id="kind",
    )  # fmt: skip
    text = RawTextbox(
        first.prompt, label="Text", elem_id="text", lines=2, max_lines=6, max_length=20_000,
        info="In a template, [MASK] or [MASK]*8 are the masked positions.",
    )  # fmt: skip
    board = BoardInput(first.prompt, elem_id="board", padding=False)
    dataset = Examples(
        label="Examples", components=[gr.Textbox(visible=False)],
        samples=[[text] for text in texts], elem_classes="lab-examples",
    )  # fmt: skip
    length = RawSlider(
        0, 256, value=0, step=1, label="Length (gen_length)", elem_id="length",
        info=LENGTH_INFO[first.kind], interactive=first.kind == PROMPT,
    )  # fmt: skip
    rows = RawSlider(
        1, ROWS, value=1, step=1, label="Rows", elem_id="rows",
        info="Texts that each panel writes: one is shown, all are counted.",
    )  # fmt: skip
    draft = RawTextbox(
        "", label="Draft", elem_id="draft", lines=1, max_lines=4, max_length=20_000,
        info="What stands there at first, for samplers that edit or remask; [MASK] is open.",
    )  # fmt: skip
    settings = SettingsForm(first.form(), elem_id="settings")
    return Inputs(chooser, other, kind, text, board, dataset, length, rows, draft, settings)


def stage(inputs: Inputs) -> Outputs:
    """The title; Compare with its lessons, Run, Stop and what a run fills; Study."""
    gr.Markdown(ABOUT, elem_classes="lab-about")
    with gr.Accordion("How to read this", open=False, elem_id="reading"):
        gr.Markdown(READING)
    gr.Button("Prompt and settings", size="md", elem_classes="lab-narrow").click(
        None, js="() => document.querySelector('.toggle-button').click()"
    )
    with gr.Tabs():
        with gr.Tab(COMPARE):
            parts = _compare(inputs)
        with gr.Tab(STUDY):
            study = study_tab()
        with gr.Tab(SAMPLERS) as tab:
            text = gr.Markdown(elem_id="about-samplers", elem_classes="lab-about-samplers")
    return Outputs(**parts, study=study, about=text, about_tab=tab)


def _compare(inputs: Inputs) -> dict[str, Any]:
    with gr.Row(elem_classes="lab-lessons"):
        cards = [
            gr.Button(one.title, min_width=120, size="md", elem_id=f"lesson-{one.name}")
            for one in lessons()
        ]
    with gr.Column(elem_classes="lab-controls"):
        buttons = _buttons()
        with gr.Row(elem_classes="lab-strip-row"):
            strip = Strip(elem_id="strip", padding=False)
            with gr.Column(scale=0, min_width=120, elem_classes="lab-seed"):
                seed = RawNumber(
                    lessons()[0].seed, label="Seed", elem_id="seed", precision=0, minimum=0
                )
                dice = gr.Button("Random seed", size="sm", min_width=40)
    status = _plain_html("status", "", elem_id="status", elem_classes="lab-status")
    controls = {"strip": strip, "seed": seed, "dice": dice}
    outputs = {"lessons": cards, "status": status, "open_tab": gr.State(TOKENS)}
    return {**buttons, **controls, **outputs, **_tabs(inputs)}


def _buttons() -> dict[str, Any]:
    with gr.Row(elem_classes="lab-actions"):
        run = gr.Button("Run", variant="primary", min_width=60, scale=2)
        stop = gr.Button("Stop", variant="stop", min_width=44, scale=1, interactive=False)
        exports = gr.HTML(
            False,
            html_template=asset("export", "menu.html"),
            js_on_load=asset("export", "export.js") + asset("export", "menu.js"),
            elem_id="export", elem_classes="lab-export-menu", padding=False, min_width=80,
        )  # fmt: skip
        gr.HTML(
            html_template=asset("recent", "recent.html"),
            js_on_load=listening("recent", "recent.js"),
            elem_id="recent", elem_classes="lab-export-menu", padding=False, min_width=80,
        )  # fmt: skip
        open_file = gr.UploadButton(
            "Open", min_width=44, scale=1, elem_id="open", file_types=[".csv", ".json"]
        )
        link = gr.Button("Copy link", min_width=44, scale=1, elem_id="link")
    return {"run": run, "stop": stop, "exports": exports, "open": open_file, "link": link}


def _tabs(inputs: Inputs) -> dict[str, Any]:
    with gr.Tabs():
        with gr.Tab(TOKENS) as tokens:
            _plain_html("playback", None, elem_id="playback")
            with gr.Row(equal_height=False, elem_classes="lab-panels"):
                panels = _panels(inputs.settings.value["panels"])
        with gr.Tab(CONFIDENCE) as confidence:
            gr.Markdown("The model's confidence by step and position. Blank: still masked.")
            heatmaps = _plots("confidence")
            Sketches("confidence")
        with gr.Tab(ORDER) as order:
            gr.Markdown("At which step each position was written for the last time.")
            orders = _plots("order")
            Sketches("order")
            gr.Markdown("How much was still open after so many calls: each sampler's own schedule.")
            progress = gr.Plot(show_label=False, elem_id="progress", visible=False)
            Sketches("progress")
        with gr.Tab(UNCERTAINTY) as uncertainty:
            gr.Markdown(
                "How open each choice was, as entropy by step and position; above it, how often "
                "the most likely token changed."
            )
            uncertainties = _plots("uncertainty")
            Sketches("uncertainty")
        with gr.Tab(METRICS) as metrics:
            numbers = gr.Dataframe(interactive=False, elem_id="metrics", wrap=True)
        with gr.Tab(TRAJECTORY) as trajectory:
            gr.Markdown("Every change in every panel. CSV and JSON hold all steps and positions.")
            table = gr.Dataframe(interactive=False, elem_id="trajectory", max_height=560)
        with gr.Tab(CODE) as code:
            gr.Markdown("What gives the same tokens again, in Python and from a shell.")
            python = gr.Code(language="python", label="Python", interactive=False, elem_id="python")
            shell = gr.Code(language="shell", label="Shell", interactive=False, elem_id="shell")
    return {
        "tabs": [tokens, confidence, order, uncertainty, metrics, trajectory, code],
        "panels": panels,
        "heatmaps": heatmaps,
        "orders": orders,
        "progress": progress,
        "uncertainties": uncertainties,
        "metrics": numbers,
        "table": table,
        "python": python,
        "shell": shell,
    }


def idle(panel: dict[str, Any] | None) -> PanelValue:
    """A panel before its first run."""
    if panel is None:
        return panel_value("empty", "idle")
    sampler = get(panel["sampler"])
    return panel_value(
        "idle", f"idle {sampler.name}", title=sampler.title, subtitle=sampler.paper,
        message="Press Run.",
    )  # fmt: skip


def _panels(selected: list[Any]) -> list[TokenPanel]:
    panels = []
    for number, panel in enumerate(selected, 1):
        with gr.Column(min_width=235):  # the style sheet hides the column of an empty panel
            panels.append(TokenPanel(idle(panel), number, elem_id=f"panel-{number}"))
    return panels


def _plots(name: str) -> list[gr.Plot]:
    with gr.Row(elem_classes="lab-plots"):
        return [
            gr.Plot(show_label=False, min_width=420, elem_id=f"{name}-{number + 1}", visible=False)
            for number in range(PANELS)
        ]


def _plain_html(name: str, value: Any, **layout: Any) -> gr.HTML:
    """A component of assets/NAME: a static template, and a script that sets its text."""
    return gr.HTML(
        value,
        html_template=asset(name, f"{name}.html"),
        js_on_load=listening(name, f"{name}.js"),
        **layout,
    )
