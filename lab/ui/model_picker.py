"""The field for another model: what it is and costs is told before anything large is fetched."""

from html import escape
from typing import Any, NamedTuple

import gradio as gr

import lab
from lab.models.hub.connection import on_space
from lab.models.hub.download import gb
from lab.ui import loaded_models, slot
from lab.ui.panel_run import explain

EXAMPLES = (
    "google-bert/bert-base-uncased", "dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1",
    "GSAI-ML/LLaDA-8B-Instruct",
)  # fmt: skip
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# Whatever is changed, what was looked up no longer is what would be loaded.
STALE = "() => ({ interactive: false, __type__: 'update' })"


class Field(NamedTuple):
    """What a visitor types and what the field answers."""

    text: gr.Textbox
    examples: gr.Dataset
    dtype: gr.Radio
    trust: gr.Checkbox
    look: gr.Button
    load: gr.Button
    stop: gr.Button
    told: gr.HTML
    found: gr.State
    loaded: gr.State


def field() -> Field:
    """The field itself, folded until it is wanted."""
    public = on_space()
    info = "owner/name or owner/name@revision on the Hugging Face hub, or a folder here."
    if public:
        info = "owner/name@commit; this public page allows small ones that need no code of theirs."
    with gr.Accordion("Other model", open=False, elem_id="other"):
        text = gr.Textbox(
            label="hub id", info=info, elem_id="other-text", max_lines=1,
            max_length=loaded_models.LONGEST, placeholder="owner/name",
        )  # fmt: skip
        examples = gr.Dataset(
            label="for instance", components=[gr.Textbox(visible=False)], visible=not public,
            samples=[[name] for name in EXAMPLES], elem_classes="lab-examples",
        )  # fmt: skip
        with gr.Row(elem_classes="lab-other-actions"):
            look = gr.Button("Look up", size="sm", min_width=70)
            load = gr.Button("Load", size="sm", min_width=60, variant="primary", interactive=False)
            stop = gr.Button("Stop loading", size="sm", min_width=90, visible=False)
        told = gr.HTML("", elem_id="other-told", elem_classes="lab-other")
        with gr.Accordion("how it is opened", open=False, elem_id="other-how"):
            dtype = gr.Radio(
                ["float32", "bfloat16"], value="float32", label="dtype",
                info="bfloat16 takes half the memory, and rounds.",
            )  # fmt: skip
            trust = gr.Checkbox(
                False, label="run its own Python code (trust_remote_code)", visible=not public,
                info="Only for a checkpoint whose code you have read.",
            )  # fmt: skip
    return Field(text, examples, dtype, trust, look, load, stop, told, gr.State(), gr.State([]))


def attach(made: Field, task: gr.Dropdown) -> None:
    """Wire the field; a model that was loaded is chosen in `task`, which the page then follows."""
    asked = [made.text, made.dtype, made.trust]
    gr.on(
        [made.look.click, made.text.submit], _look_up, asked, [made.told, made.found, made.load],
        concurrency_limit=4, show_progress_on=made.told, api_visibility="private",
    )  # fmt: skip
    made.examples.click(lambda sample: sample[0], made.examples, made.text, **QUICK)
    made.text.change(None, None, made.trust, js="() => false", **QUICK)
    for one in asked:
        one.change(None, None, made.load, js=STALE, **QUICK)
    begun = made.load.click(_loading, None, [made.look, made.load, made.stop], **QUICK)
    begun.then(
        _load, [*asked, made.found, made.loaded], [made.told, task, made.loaded],
        concurrency_id="load", show_progress_on=made.told, api_visibility="private",
    ).then(_ready, made.found, [made.look, made.load, made.stop], **QUICK)  # fmt: skip
    made.stop.click(_stop, None, None, **QUICK)


def _look_up(text: Any, dtype: Any, trust: Any) -> list[Any]:
    try:
        found = loaded_models.look_up(text, dtype, trust is True)
    except Exception as error:
        return [refusal(error), None, gr.Button(interactive=False)]
    return [facts(found), found, gr.Button(interactive=True)]


def _load(
    text: Any, dtype: Any, trust: Any, found: loaded_models.Found | None, loaded: list[str],
    request: gr.Request, progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    if found is None or found.asked != (text, dtype, trust is True):
        return [refusal(ValueError("look it up first")), gr.skip(), gr.skip()]
    try:
        with slot.stoppable(_session(request)) as stop:
            found = loaded_models.load(
                found, lambda words, share: progress(share, desc=words), stop
            )
    except Exception as error:
        return [refusal(error), gr.skip(), gr.skip()]
    loaded = [name for name in loaded if name != found.name] + [found.name]
    names = [*lab.tasks(), *loaded]
    return [facts(found, "loaded, and chosen above"), gr.Dropdown(names, value=found.name), loaded]


def _session(request: gr.Request) -> str:
    """Not the session itself: a load and a run each have their own Stop."""
    return f"{request.session_hash} loads"


def _stop(request: gr.Request) -> None:
    slot.stop(_session(request))


def _loading() -> list[Any]:
    off = gr.Button(interactive=False)
    return [off, off, gr.Button(visible=True)]


def _ready(found: loaded_models.Found | None) -> list[Any]:
    on = gr.Button(interactive=True)
    return [on, gr.Button(interactive=found is not None), gr.Button(visible=False)]


def refusal(error: Exception) -> str:
    """Why not, as HTML; text from elsewhere is only ever text."""
    return f'<p class="refusal" role="alert">{escape(explain(error))}</p>'


def facts(found: loaded_models.Found, state: str = "") -> str:
    """What was found, as HTML: what it is, what it costs, what can run it."""
    lines = described(found) | {"samplers": ", ".join(fitting(found)) or "none of the lab's"}
    rows = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>"
        for key, value in lines.items()
        if value
    )
    ended = f'<p class="loaded" role="status">{escape(state)}</p>' if state else ""
    return f"{ended}<dl>{rows}</dl>"


def described(found: loaded_models.Found) -> dict[str, Any]:
    """What was found, in words, for the page and the API."""
    offer, card = found.offer, found.card
    usual = found.sampler and " ".join(filter(None, [found.sampler, found.preset]))
    return {
        "model": found.name,
        "family": found.family,
        "tested": found.tested,
        "download": f"{gb(offer.download)}, {len(offer.files)} files" if offer.files else None,
        "memory": f"about {gb(offer.memory)} of {gb(offer.free)} free",
        "attention": card.attention,
        "corruption": card.corruption,
        "samplers": fitting(found),
        "usual_sampler": usual,
    }


def fitting(found: loaded_models.Found) -> list[str]:
    """The samplers that can run it."""
    return [name for name, reason in found.fits.items() if reason is None]
