"""The app: everything that knows Gradio, and nothing that the rest of the lab needs."""

from lab.ui.page import LAUNCH, build

__all__ = ["LAUNCH", "build"]
