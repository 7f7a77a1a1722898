"""Load another model: what it is and costs is shown before anything large is fetched."""

from html import escape
from typing import Any, NamedTuple

import gradio as gr

from lab.models.catalogue import task_names
from lab.models.hub.connection import on_space
from lab.models.hub.download import gb
from lab.ui import loaded_models, slot
from lab.ui.error_text import explain
from lab.ui.events import QUICK
from lab.ui.guard import visitor_of
from lab.ui.raw_inputs import Examples, RawRadio, RawTextbox

EXAMPLES = (
    "google-bert/bert-base-uncased", "dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1",
    "GSAI-ML/LLaDA-8B-Instruct",
)  # fmt: skip
# Whatever is changed, what was looked up no longer is what would be loaded.
DISABLE_LOAD = "() => ({ interactive: false, __type__: 'update' })"


class ModelPicker(NamedTuple):
    """The inputs, and the answer to them; entry: the model looked up last; loaded: task names."""

    text: gr.Textbox
    examples: gr.Dataset
    dtype: gr.Radio
    look_up: gr.Button
    load: gr.Button
    stop: gr.Button
    answer: gr.HTML
    entry: gr.State
    loaded: gr.State


def model_picker() -> ModelPicker:
    """The components, folded until they are needed."""
    public = on_space()
    info = "owner/name or owner/name@revision on the Hugging Face hub, or a folder on this machine."
    if public:
        info = "owner/name@commit. This public page opens small models that need no code of theirs."
    with gr.Accordion("Load another model", open=False, elem_id="other"):
        text = RawTextbox(
            label="Hub id or folder", info=info, elem_id="other-text", max_lines=1,
            max_length=loaded_models.LONGEST, placeholder="owner/name",
        )  # fmt: skip
        examples = Examples(
            label="Examples", components=[gr.Textbox(visible=False)], visible=not public,
            samples=[[name] for name in EXAMPLES], elem_classes="lab-examples",
        )  # fmt: skip
        with gr.Row(elem_classes="lab-other-actions"):
            look_up = gr.Button("Look up", size="sm", min_width=70)
            load = gr.Button("Load", size="sm", min_width=60, variant="primary", interactive=False)
            stop = gr.Button("Stop loading", size="sm", min_width=90, visible=False)
        answer = gr.HTML("", elem_id="other-answer", elem_classes="lab-other")
        with gr.Accordion("Loading options", open=False, elem_id="other-options"):
            dtype = RawRadio(
                ["float32", "bfloat16"], value="float32", label="Precision",
                info="bfloat16 takes half the memory, and rounds.",
            )  # fmt: skip
    return ModelPicker(text, examples, dtype, look_up, load, stop, answer, gr.State(), gr.State([]))


def attach(picker: ModelPicker, task: gr.Dropdown) -> None:
    """Wire it; a model that was loaded is chosen in `task`, which the page then follows."""
    query = [picker.text, picker.dtype]
    gr.on(
        [picker.look_up.click, picker.text.submit], _look_up, query,
        [picker.answer, picker.entry, picker.load],
        concurrency_limit=4, show_progress_on=picker.answer, api_visibility="private",
    )  # fmt: skip
    picker.examples.click(lambda text: text, picker.examples, picker.text, **QUICK)
    for one in (picker.text, picker.dtype):
        one.change(None, None, picker.load, js=DISABLE_LOAD, **QUICK)
    buttons = [picker.look_up, picker.load, picker.stop]
    loading = picker.load.click(_buttons_while_loading, None, buttons, **QUICK)
    loading.then(
        _load, [*query, picker.entry, picker.loaded], [picker.answer, task, picker.loaded],
        concurrency_id="load", show_progress_on=picker.answer, api_visibility="private",
    ).then(_buttons_after_loading, picker.entry, buttons, **QUICK)  # fmt: skip
    picker.stop.click(_stop, None, None, **QUICK)


def _look_up(text: Any, dtype: Any) -> list[Any]:
    try:
        entry = loaded_models.look_up(text, dtype)
    except Exception as error:
        return [refusal(error), None, gr.Button(interactive=False)]
    return [summary(entry), entry, gr.Button(interactive=True)]


def _load(
    text: Any, dtype: Any, entry: loaded_models.ModelEntry | None, loaded: list[str],
    request: gr.Request, progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    if entry is None or entry.query != (text, dtype):
        return [refusal(ValueError("look the model up first")), gr.skip(), gr.skip()]
    try:
        with slot.stoppable(_session(request)) as stop:
            entry = loaded_models.load(
                entry, lambda words, share: progress(share, desc=words), stop, visitor_of(request)
            )
    except Exception as error:
        return [refusal(error), gr.skip(), gr.skip()]
    loaded = [name for name in loaded if name != entry.name] + [entry.name]
    names = [*task_names(), *loaded]
    status = "loaded, and chosen as the task"
    return [summary(entry, status), gr.Dropdown(names, value=entry.name), loaded]


def _session(request: gr.Request) -> str:
    """Not the session itself: a load and a run each have their own Stop."""
    return f"{request.session_hash} loads"


def _stop(request: gr.Request) -> None:
    slot.stop(_session(request))


def _buttons_while_loading() -> list[Any]:
    off = gr.Button(interactive=False)
    return [off, off, gr.Button(visible=True)]


def _buttons_after_loading(entry: loaded_models.ModelEntry | None) -> list[Any]:
    on = gr.Button(interactive=True)
    return [on, gr.Button(interactive=entry is not None), gr.Button(visible=False)]


def refusal(error: Exception) -> str:
    """Why not, as HTML; text from elsewhere is only ever text."""
    return f'<p class="refusal" role="alert">{escape(explain(error))}</p>'


def summary(entry: loaded_models.ModelEntry, status: str = "") -> str:
    """A model as HTML: what it is, what it costs, what can run it."""
    lines = describe(entry) | {"samplers": ", ".join(fitting(entry)) or "none of the lab's"}
    rows = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>"
        for key, value in lines.items()
        if value
    )
    loaded = f'<p class="loaded" role="status">{escape(status)}</p>' if status else ""
    return f"{loaded}<dl>{rows}</dl>"


def describe(entry: loaded_models.ModelEntry) -> dict[str, Any]:
    """A model in words, for the page and the API."""
    offer, card = entry.offer, entry.card
    usual = entry.sampler and " ".join(filter(None, [entry.sampler, entry.preset]))
    return {
        "model": entry.name,
        "family": entry.family,
        "tested": entry.tested,
        "download": f"{gb(offer.download)}, {len(offer.files)} files" if offer.files else None,
        "memory": f"about {gb(offer.memory)} of {gb(offer.free)} free",
        "attention": card.attention,
        "corruption": card.corruption,
        "samplers": fitting(entry),
        "usual_sampler": usual,
    }


def fitting(entry: loaded_models.ModelEntry) -> list[str]:
    """The samplers that can run it."""
    return [name for name, reason in entry.misfits.items() if reason is None]
