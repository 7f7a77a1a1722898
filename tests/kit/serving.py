"""Serve a Blocks for the length of a test, as app.py would, on a port that is free."""

import socket
from collections.abc import Iterator
from typing import Any

import gradio as gr

from lab.ui import LAUNCH


def served(demo: gr.Blocks, **options: Any) -> Iterator[str]:
    """Yield the address; the server is closed when the test is done with it."""
    # Looking for a port itself, gradio leaves a socket open for each one that is taken.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # gradio adds to the dict that it is given.
    options |= {**LAUNCH, "app_kwargs": dict(LAUNCH["app_kwargs"])}
    _, url, _ = demo.launch(
        **options, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port
    )
    yield url
    demo.close()
