"""A GPU that a Space lends for seconds (ZeroGPU), by the package `spaces` that is there installed.

`spaces.GPU` runs a generator in a process that is forked for it and ended when its time is up. What
goes in and comes out is pickled; nothing else that happens there is seen here. gradio imports the
package by itself, as it must be, before anything that may use CUDA.
"""

import re
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import gradio as gr
import torch

from lab.models.hub.connection import on_zero_gpu
from lab.models.model import Model
from lab.ui.error_text import explain

Generating = Callable[..., Generator[Any, None, None]]


class NoGpu(ValueError):
    """No GPU was lent, or it was taken back."""


def lend(function: Generating, duration: Callable[..., int]) -> Generating:
    """A generator that gets a GPU, for `duration` of its arguments in seconds; the function itself
    where none are lent.
    """
    if not on_zero_gpu():
        return function
    import spaces

    return spaces.GPU(duration=duration)(function)


def on_gpu(function: Generating, *arguments: Any) -> Generator[Any, None, None]:
    """The items of a generator that was lent a GPU. NoGpu, in words, for whatever goes wrong."""
    try:
        with closing(function(*arguments)) as items:
            yield from items
    except gr.Error as error:
        raise NoGpu(re.sub(r"<[^<>]*>", "", str(error.message))) from None
    except Exception as error:
        raise NoGpu(explain(error)) from None


def gpu() -> torch.device:
    """The GPU, within the process that it is lent to."""
    return torch.device("cuda")


def move(model: Model) -> None:
    """Lay a model's networks on the GPU; a table or a chain is computed on the CPU."""
    for part in vars(model).values():
        if isinstance(part, torch.nn.Module):
            part.to(gpu())
