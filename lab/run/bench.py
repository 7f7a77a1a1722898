"""What a sampler costs beside the calls of its model, and llada2 beside diffusers: as ratios.

Every repeat times all sides one after the other, each in turn first, in seconds of this thread
(`time.thread_time`, so that other work on the machine shows less). A ratio is the median of the
repeats' own ratios, so that a slow minute weighs on both of its sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import median
from time import thread_time
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lab.models.model import Opened
from lab.run import limits
from lab.run.plan import Plan
from lab.run.prompts import output
from lab.run.recorder import Recorder
from samplers.canvas import Canvas
from samplers.noise import Noise

Side = Callable[[], Tensor | None]  # one way to do the work; the canvas at the end, if any


@dataclass
class Tape:
    """A denoiser that records its calls, so that they can be repeated alone."""

    denoise: Opened
    calls: list[tuple[str, Tensor, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.card, self.canvas = self.denoise.card, self.denoise.canvas

    def __call__(self, tokens: Tensor, **how: Any) -> Tensor:
        """Record a call of the model."""
        self.calls.append(("__call__", tokens, how))
        return self.denoise(tokens, **how)

    def draft(self, tokens: Tensor, **how: Any) -> Tensor:
        """Record a call of the draft model."""
        self.calls.append(("draft", tokens, how))
        return self.denoise.draft(tokens, **how)


@dataclass(frozen=True)
class Cost:
    """One sampler on one model: calls of the model, milliseconds each, ratios over them.

    sampling: the run without recording over its calls alone; recording: with Frames and
    Trajectories; diffusers: diffusers' pipeline over our run without recording, NaN where it has
    none to compare; same: whether both wrote the same tokens.
    """

    sampler: str
    model: str
    calls: int
    milliseconds: float
    sampling: float
    recording: float
    diffusers: float = float("nan")
    same: bool | None = None


def costs(plans: Sequence[Plan], repeats: int = 5) -> list[Cost]:
    """Measure plans one after the other. ValueError for repeats out of range, before any work."""
    repeats = limits.whole("repeats", repeats, 1, 1000)
    return [_cost(plan, repeats) for plan in plans]


def _cost(plan: Plan, repeats: int) -> Cost:
    length = plan.values.get("block_length")
    tape = Tape(plan.model.open(plan.canvas, length))
    _sample(plan, tape)
    sides: dict[str, Side] = {
        "alone": lambda: _replay(plan.model.open(plan.canvas, length), tape),
        "sampling": lambda: _sample(plan, plan.model.open(plan.canvas, length)),
        "recording": lambda: _record(plan),
    }
    if comparable(plan):
        sides["diffusers"] = diffusers_run(plan)
    results = {name: side() for name, side in sides.items()}  # warms caches up
    seconds = _time(sides, repeats)

    def ratio(above: str, below: str) -> float:
        return median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))

    calls = sum(kind == "__call__" for kind, *_ in tape.calls)
    compared = "diffusers" in sides
    ours, theirs = (_output(plan, results.get(name)) for name in ("sampling", "diffusers"))
    return Cost(
        plan.sampler.name,
        plan.model.card.name,
        calls,
        1000 * median(seconds["alone"]) / calls,
        ratio("sampling", "alone"),
        ratio("recording", "alone"),
        ratio("diffusers", "sampling") if compared else float("nan"),
        ours == theirs if compared else None,
    )


def _time(sides: dict[str, Side], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side in each repeat; who goes first changes from repeat to repeat."""
    names = list(sides)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in names[turn:] + names[:turn]:
            began = thread_time()
            sides[name]()
            seconds[name].append(thread_time() - began)
    return seconds


def _output(plan: Plan, canvas: Tensor | None) -> list[int] | None:
    """The ids that the first row of a canvas [B, T] generated."""
    if canvas is None:
        return None
    return output(plan.model.card, canvas[0].numpy(), plan.canvas.writable[0].numpy())


def table(costs: list[Cost]) -> pd.DataFrame:
    """One line a sampler, in words."""
    return pd.DataFrame(
        {
            "Sampler": [each.sampler for each in costs],
            "Model": [each.model for each in costs],
            "Model calls": [each.calls for each in costs],
            "Milliseconds a call": [round(each.milliseconds, 2) for each in costs],
            "Sampling / calls alone": [round(each.sampling, 3) for each in costs],
            "Recording / calls alone": [round(each.recording, 3) for each in costs],
            "diffusers / sampling": [round(each.diffusers, 2) for each in costs],
            "Same tokens as diffusers": [each.same for each in costs],
        }
    )


@torch.no_grad()
def _replay(denoise: Opened, tape: Tape) -> None:
    for kind, tokens, how in tape.calls:
        getattr(denoise, kind)(tokens, **how)


@torch.no_grad()
def _sample(plan: Plan, denoise: Any) -> Tensor:
    """The canvas [B, T] at the end."""
    noise, canvas = Noise(plan.seed, range(len(plan.canvas.tokens))), denoise.canvas
    tokens = canvas.tokens
    for step in plan.sampler.function(denoise, canvas, noise, **plan.values):
        tokens = step.tokens
    return tokens.cpu()


def _record(plan: Plan) -> None:
    run = Recorder(plan)
    for _ in run:
        pass
    run.trajectories()


def comparable(plan: Plan) -> bool:
    """Whether diffusers has what this plan runs: greedy block refinement of one row in blocks."""
    values = plan.values
    return (
        find_spec("diffusers") is not None
        and plan.sampler.name == "llada2"
        and plan.model.card.attention == "block_causal"
        and len(plan.canvas.tokens) == 1
        and values["temperature"] == 0
        and plan.sampler.revision(values) is None
        and bool((plan.canvas.writable[0].int().diff() >= 0).all())
    )


def diffusers_run(plan: Plan) -> Callable[[], Tensor]:
    """Diffusers' LLaDA2Pipeline on the same model; called, it gives the canvas [1, T] at the end.

    The pipeline leaves the mask to the model: here it is the block-causal one. It keeps no cache.
    """
    from diffusers import BlockRefinementScheduler, LLaDA2Pipeline

    model, values, canvas = plan.model, plan.values, plan.canvas
    length, card = values["block_length"], model.card

    class Network(torch.nn.Module):
        """The model as that pipeline calls one: ids and which of them are visible, both [1, C]."""

        dtype, device = torch.float32, torch.device("cpu")

        def forward(self, input_ids: Tensor, attention_mask: Tensor, **rest: Any) -> Any:
            seen = attention_mask.bool()
            whole = Canvas(input_ids, ~seen, seen, card.mask_id, card.eos_ids)
            denoise = Opened(model, whole, length, caches=False)
            logits = denoise(input_ids, window=slice(0, input_ids.shape[1]))
            return SimpleNamespace(logits=logits)

    pipe: Any = LLaDA2Pipeline(
        model=Network(), scheduler=BlockRefinementScheduler(), tokenizer=None
    )
    pipe.set_progress_bar_config(disable=True)
    free = int(canvas.writable.sum())
    prompt = canvas.tokens[:, :-free]

    def run() -> Tensor:
        result = pipe(
            input_ids=prompt,
            gen_length=free,
            block_length=length,
            num_inference_steps=values["steps"],
            threshold=2.0 if values["threshold"] is None else values["threshold"],
            editing_threshold=None,
            mask_token_id=card.mask_id,
            eos_token_id=card.eos_ids[0] if card.eos_ids else None,
            eos_early_stop=plan.sampler.stops_at_eos(values),
            output_type="seq",
        )
        return torch.cat([prompt, result.sequences], 1)

    return run
