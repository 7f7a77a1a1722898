"""Sessions without a copy of the whole page, which Gradio makes as each of them begins."""

from typing import Any

import gradio as gr
from gradio.blocks import Block, BlocksConfig


class _LeanConfig(BlocksConfig):
    """What the page is made of; to a session it says nothing.

    For links that hold a session's state (its "deep links", which this page does not have) Gradio
    keeps what every component looks like, worked out on the loop for each session as it begins:
    time and memory that grow with the page, and many visitors at once had everybody wait.
    """

    @staticmethod
    def config_for_block(
        _id: int, rendered_ids: list[int], block: Block, renderable: Any = None
    ) -> dict[str, Any]:
        # A page is asked for with the ids that are in it, a session's copy with none.
        if not rendered_ids and renderable is None:
            return {}
        return BlocksConfig.config_for_block(_id, rendered_ids, block, renderable)

    def __copy__(self) -> "BlocksConfig":
        copied = super().__copy__()
        copied.__class__ = _LeanConfig
        return copied


def lean_sessions(demo: gr.Blocks) -> None:
    """Let the sessions of this app go without. To be called once the page is built."""
    demo.default_config.__class__ = _LeanConfig
