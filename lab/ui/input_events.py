"""What a change of one input does to the others, and what Run is given."""

import secrets
from contextlib import suppress
from typing import Any

import gradio as gr

import lab
from lab.models.catalogue import served
from lab.tasks import examples
from lab.tasks.task import PROMPT, kind_of
from lab.ui import loaded_models, picture, result_tabs, slot
from lab.ui.events import QUICK
from lab.ui.layout import LENGTH_INFO, Inputs, Outputs
from lab.ui.run_inputs import RunInputs, check_kind, run_inputs
from lab.ui.settings_form import (
    FormValue,
    PanelSettings,
    check_form,
    for_task,
    panel_settings,
)
from lab.ui.tasks import check_task, misfits


def run_fields(inputs: Inputs, outputs: Outputs) -> list[Any]:
    """The components that say what is run, as `run_request` takes their values."""
    return [
        inputs.task, inputs.kind, inputs.text, inputs.gen_length, outputs.seed, inputs.settings,
        inputs.rows, inputs.draft,
    ]  # fmt: skip


def attach(demo: gr.Blocks, inputs: Inputs, outputs: Outputs) -> list[Any]:
    """Wire them. Returns the events after which a task's models are open."""
    inputs.task.change(
        _change_task, [inputs.task, inputs.settings],
        [inputs.kind, inputs.text, inputs.examples, inputs.settings], **QUICK,
    )  # fmt: skip
    inputs.examples.click(_use_example, inputs.examples, [inputs.kind, inputs.text], **QUICK)
    inputs.kind.change(_change_kind, inputs.kind, inputs.gen_length, **QUICK)
    outputs.dice.click(lambda: secrets.randbelow(2**31), None, outputs.seed, **QUICK)
    return [
        opens(_load_models, inputs.task, None, **QUICK) for opens in (demo.load, inputs.task.change)
    ]


def _load_models(task: Any) -> None:
    """Load a task's models and the plotting library while the visitor still reads the page.

    Never beside a run, which would share the cores and, while weights are read, torch's default
    dtype; the run then loads what it needs.
    """
    result_tabs.warm()
    picture.atlas()
    with suppress(slot.NoPlace), slot.LINE.ticket() as ticket:
        if ticket.wait(0) == 0:
            for model in served(_checked_task(task)).values():
                lab.load(model, device=loaded_models.device())


def _change_task(task: Any, settings: Any) -> list[Any]:
    form = _checked(settings)
    texts = examples(_checked_task(task))
    dataset = gr.Dataset(samples=[[text] for text in texts])
    if form["task"] == task:  # whoever chose it has set the rest already
        return [gr.skip(), gr.skip(), dataset, gr.skip()]
    return [kind_of(texts[0]), texts[0], dataset, settings_for(task, form)]


def settings_for(task: str, form: FormValue) -> FormValue:
    """The settings once this task, or another model, is chosen."""
    entry = loaded_models.known().get(task)
    usual = PanelSettings(entry.sampler, entry.preset) if entry and entry.sampler else None
    return for_task(form, task, misfits(task), usual)


def _checked(settings: Any) -> FormValue:
    """gr.Error, which Gradio shows, where the form is malformed."""
    try:
        return check_form(settings)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _checked_task(task: Any) -> str:
    try:
        return check_task(task)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _use_example(text: str) -> list[str]:
    return [kind_of(text), text]


def _change_kind(kind: Any) -> Any:
    try:
        kind = check_kind(kind)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None
    return gr.Slider(interactive=kind == PROMPT, info=LENGTH_INFO[kind])


def run_request(
    task: Any,
    kind: Any,
    text: Any,
    gen_length: Any,
    seed: Any,
    settings: Any,
    rows: Any = 1,
    draft: Any = "",
) -> tuple[RunInputs, list[PanelSettings | None]]:
    """What Run is to do; pressed before a change of the task came back, what that will bring."""
    form = _checked(settings)
    if form["task"] != task:
        text = examples(_checked_task(task))[0]
        kind, form = kind_of(text), settings_for(task, form)
    try:
        return run_inputs(task, kind, text, gen_length, seed, rows, draft), panel_settings(form)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None
