"""A session that begins copies nothing of the page, and the page is as it was."""

import json

import gradio as gr
from gradio.state_holder import SessionState

from lab.ui.lean_sessions import lean_sessions


def built() -> gr.Blocks:
    with gr.Blocks() as demo:
        text, state = gr.Textbox("a", label="Text"), gr.State(3)
        gr.HTML("<p>b</p>")
        text.change(lambda text: text, text, text)
        gr.Button().click(lambda value: value, state, state)
    return demo


def page_of(demo: gr.Blocks) -> str:
    config = demo.get_config_file()
    return json.dumps([config["components"], config["layout"], config["dependencies"]], default=str)


def test_session_holds_nothing_of_page():
    demo = built()
    assert all(SessionState(demo).config_values.values())  # else there is nothing to spare
    before = page_of(demo)
    lean_sessions(demo)
    session = SessionState(demo)
    assert not any(session.config_values.values()) and list(session.components) == []
    assert page_of(demo) == before


def test_session_still_has_state_and_values():
    demo = built()
    lean_sessions(demo)
    session = SessionState(demo)
    text, state = (one for one in demo.blocks.values() if isinstance(one, (gr.Textbox, gr.State)))
    session._update_value_in_config(text._id, "b")
    assert session[state._id] == 3 and session[text._id] is text
    session[state._id] = 4
    assert session[state._id] == 4 and SessionState(demo)[state._id] == 3
    session[text._id] = changed = gr.Textbox("c")
    assert session[text._id] is changed and SessionState(demo)[text._id] is text
