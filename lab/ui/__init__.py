"""The app: everything that knows Gradio, and nothing that the rest of the lab needs."""

from lab.ui.launch import LAUNCH, launch_options
from lab.ui.page import build

__all__ = ["LAUNCH", "build", "launch_options"]
