"""A board to type in, where the text of a task is one."""

from typing import Any

import gradio as gr

from lab.tasks import TASKS
from lab.ui.assets import asset, listening


class BoardInput(gr.HTML):
    """value: the text that the cells are drawn from; the browser alone changes it and draws them.

    Hidden where the task has no board, or the text is none.
    """

    def __init__(self, value: str = "", **layout: Any):
        super().__init__(
            value,
            html_template=asset("board", "board.html"),
            js_on_load=listening("board", "board.js"),
            boards={name: list(task.board) for name, task in TASKS.items() if task.board},
            **layout,
        )


def attach(board: BoardInput, text: gr.Textbox) -> None:
    """Draw the board anew whenever the text changes."""
    text.change(None, text, board, js="text => text")
