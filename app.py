"""Build the app and launch it: `python app.py`, `gradio app.py`, or a Space."""

import os

# Before gradio is imported: no analytics, and nothing fetched from a hub that need not be.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from lab.ui import build, launch_options

demo = build()

if __name__ == "__main__":
    demo.launch(**launch_options())
