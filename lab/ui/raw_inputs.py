"""Inputs whose values are handed on as they were sent.

Gradio would round 5.7 and take true for 1; other types it refuses without a word, or in words that
name no field. What a run takes is checked where it is planned, for every front end alike.
"""

from typing import Any

import gradio as gr

from lab.run import limits


class RawDropdown(gr.Dropdown):
    """The chosen value, or whatever else was sent."""

    is_template = True  # in the browser it is the class it derives from

    def preprocess(self, payload: Any) -> Any:
        return payload


class RawRadio(gr.Radio):
    """The chosen value, or whatever else was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class RawTextbox(gr.Textbox):
    """The text, or whatever else was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class RawSlider(gr.Slider):
    """The number, or whatever else was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class RawNumber(gr.Number):
    """The number, or whatever else was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Examples(gr.Dataset):
    """Texts to click on: the text, or one sentence on what is no number of one."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        samples = self.raw_samples or []
        try:
            return samples[limits.whole("example", payload, 0, len(samples) - 1)][0]
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
