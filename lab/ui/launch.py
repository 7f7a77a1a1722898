"""How the app is started: Gradio's launch options, and ours from the command line."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import gradio as gr

from lab.record.file_limits import BYTES
from lab.ui import delivery, guard, loaded_models
from lab.ui.assets import ASSETS

THEME = gr.themes.Default(
    primary_hue="indigo",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(  # a shade darker than Gradio's own, for text that WCAG wants at 4.5 to 1
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    button_primary_background_fill="*primary_600",
    color_accent="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)


class _Middleware(tuple):
    """What FastAPI unpacks into a middleware: a class, its arguments, its keywords."""


LAUNCH: dict[str, Any] = {
    "theme": THEME,
    "css_paths": [ASSETS / "style.css"],
    "footer_links": ["api", "settings"],
    "ssr_mode": False,
    "run_history": False,
    "share": False,
    "show_error": False,
    "max_file_size": BYTES,
    "allowed_paths": [],
    "state_session_capacity": 200,
    "app_kwargs": {
        "middleware": [_Middleware((each, (), {})) for each in (guard.Guard, delivery.Delivery)]
    },
}


def launch_options(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """LAUNCH, once the command line is obeyed; exits with one sentence where it cannot be.

    The API answers MCP clients too where the package `mcp` is installed, as on a Space.
    """
    parser = argparse.ArgumentParser(prog="python app.py", description="Start the sampler lab.")
    parser.add_argument(
        "--trust-remote-code", metavar="MODEL", action="append", default=[],
        help="let this model (owner/name, or a folder) run the Python code beside its weights; "
        "only where nobody but this machine can reach the app",
    )  # fmt: skip
    parser.add_argument(
        "--allow-host", metavar="NAME", action="append", default=[],
        help="answer under this host name too, such as that of a proxy on this machine",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.trust_remote_code and not guard.bound_to_loopback():
        parser.error(
            "--trust-remote-code would let every visitor of a public page run that code; leave it "
            "out, or serve on 127.0.0.1 (GRADIO_SERVER_NAME)"
        )
    loaded_models.trust(options.trust_remote_code)
    guard.allow_hosts(options.allow_host)
    return {**LAUNCH, "mcp_server": find_spec("mcp") is not None}
