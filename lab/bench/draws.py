"""One step of block refinement whose logits are ready, and the same by diffusers."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import samplers
from lab.bench.machine import machine_columns
from lab.bench.timing import measure, ratio, spread
from lab.models.device import CPU
from lab.models.model import ModelCard
from lab.run import limits
from samplers.canvas import Canvas
from samplers.noise import Noise

POSITIONS = 32
SETTINGS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0},
    "temperature 1": {"temperature": 1.0},
    "temperature 1, top-p 0.9": {"temperature": 1.0, "top_p": 0.9},
}


def draws(vocabulary: int, repeats: int = 5, device: torch.device = CPU) -> pd.DataFrame:
    """One line a setting: milliseconds of our step; diffusers' over it, where it is installed."""
    vocabulary = limits.whole("vocabulary", vocabulary, 2, 1_000_000)
    repeats = limits.whole("repeats", repeats, 1, 1000)
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(1, POSITIONS, vocabulary, generator=random).to(device)
    lines = []
    for name, settings in SETTINGS.items():
        sides = {"ours": _ours(logits, settings)}
        if find_spec("diffusers") is not None:
            sides["diffusers"] = _theirs(logits, settings)
        for side in sides.values():
            side()
        seconds = measure(sides, repeats, device)
        line: dict[str, Any] = {"setting": name, "vocabulary": vocabulary, "positions": POSITIONS}
        line |= spread([1000 * each for each in seconds["ours"]]).columns("milliseconds")
        if "diffusers" in sides:
            line |= ratio(seconds, "diffusers", "ours").columns("diffusers_over_ours")
        lines.append(line | machine_columns(device))
    return pd.DataFrame(lines)


def _ours(logits: Tensor, settings: dict[str, float]) -> Callable[[], Tensor]:
    size = logits.shape[-1]
    card = ModelCard("", size, mask_id=size - 1, attention="block_causal")
    tokens = torch.full((1, POSITIONS), size - 1, device=logits.device)
    every = torch.ones_like(tokens, dtype=torch.bool)
    sampler = samplers.get("llada2")
    values = sampler.bind({**settings, "block_length": POSITIONS, "steps": POSITIONS})
    canvas = Canvas(tokens, every, every, size - 1, (), sampler.layout, POSITIONS)

    def denoise(x: Tensor, **how: Any) -> Tensor:
        return logits

    denoise.card = card  # type: ignore[attr-defined]

    def step() -> Tensor:
        steps = sampler.function(denoise, canvas, Noise(0, range(1)), **values)
        return next(iter(steps)).tokens

    return step


def _theirs(logits: Tensor, settings: dict[str, float]) -> Callable[[], Tensor]:
    from diffusers import BlockRefinementScheduler

    scheduler: Any = BlockRefinementScheduler()
    scheduler.set_timesteps(POSITIONS, block_length=POSITIONS)
    mask = logits.shape[-1] - 1
    blank = torch.full((1, POSITIONS), mask, device=logits.device)

    @torch.no_grad()
    def step() -> Tensor:
        out = scheduler.step(logits, 0, blank, mask_token_id=mask, threshold=0.95, **settings)
        return out.prev_sample

    return step
