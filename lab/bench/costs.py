"""What a sampler costs beside the calls of its model, and beside another library: as ratios."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lab.bench.peers import Peer
from lab.bench.timing import NOTHING, Side, Spread, measure, ratio, spread
from lab.models.model import Opened
from lab.run import limits
from lab.run.plan import Plan
from lab.run.prompts import output
from lab.run.recorder import Recorder
from samplers.noise import Noise


@dataclass
class Tape:
    """A denoiser that records its calls, so that they can be repeated alone."""

    denoise: Opened
    calls: list[tuple[str, Tensor, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.card, self.canvas = self.denoise.card, self.denoise.canvas

    def reward(self, texts: Tensor, name: str) -> Tensor:
        """What whole texts are worth."""
        return self.denoise.reward(texts, name)

    @property
    def frequencies(self) -> Tensor:
        """How often each token occurs [V]."""
        return self.denoise.frequencies

    def __call__(self, tokens: Tensor, **how: Any) -> Tensor:
        """Record a call of the model."""
        self.calls.append(("__call__", tokens, how))
        return self.denoise(tokens, **how)

    def each(self, canvases: Tensor, **how: Any) -> Tensor:
        """Record a call about several canvases of a row."""
        self.calls.append(("each", canvases, how))
        return self.denoise.each(canvases, **how)

    def with_quality(self, tokens: Tensor, **how: Any) -> tuple[Tensor, Tensor]:
        """Record a call whose answer also says how likely written tokens are right."""
        self.calls.append(("with_quality", tokens, how))
        return self.denoise.with_quality(tokens, **how)

    def draft(self, tokens: Tensor, **how: Any) -> Tensor:
        """Record a call of the draft model."""
        self.calls.append(("draft", tokens, how))
        return self.denoise.draft(tokens, **how)


@dataclass(frozen=True)
class Cost:
    """One plan: calls of the model, columns that they computed, milliseconds each, ratios.

    sampling: the run without recording over its calls alone; recording: with Frames and
    Trajectories; peer: another library's way over our run without recording, NaN where it has none
    to compare; same: whether both wrote the same tokens, None where they need not.
    """

    plan: Plan
    calls: int
    columns_fed: int
    milliseconds: Spread
    sampling: Spread
    recording: Spread
    repeats: int
    peer_name: str = ""
    peer: Spread = NOTHING
    same: bool | None = None


def costs(plans: Sequence[Plan], repeats: int = 5, peers: Sequence[Peer | None] = ()) -> list[Cost]:
    """Measure plans one after the other, each beside its peer, if it has one.

    ValueError for repeats out of range, before any work.
    """
    repeats = limits.whole("repeats", repeats, 1, 1000)
    return [
        _cost(plan, repeats, peer)
        for plan, peer in zip(plans, peers or [None] * len(plans), strict=True)
    ]


def _cost(plan: Plan, repeats: int, peer: Peer | None) -> Cost:
    tape = Tape(opened(plan))
    sample(plan, tape)
    sides: dict[str, Side] = {
        "alone": lambda: replay(opened(plan), tape),
        "sampling": lambda: sample(plan, opened(plan)),
        "recording": lambda: _record(plan),
    }
    if peer:
        sides["peer"] = peer.run
    results = {name: side() for name, side in sides.items()}  # warms caches up
    seconds = measure(sides, repeats, plan.model.device)
    calls = sum(_canvases(kind, how) for kind, _, how in tape.calls)
    cost = Cost(
        plan,
        calls,
        int(tape.denoise.columns_fed.sum()),
        spread([1000 * each / calls for each in seconds["alone"]]),
        ratio(seconds, "sampling", "alone"),
        ratio(seconds, "recording", "alone"),
        repeats,
    )
    return cost if peer is None else _compared(cost, seconds, peer, results)


def _canvases(kind: str, how: dict[str, Any]) -> int:
    """How many calls of the model one call of the denoiser is."""
    if kind == "each":
        return int(how["rows"].any(-1).sum())
    return int(kind in ("__call__", "with_quality"))


def _compared(cost: Cost, seconds: Any, peer: Peer, results: dict[str, Any]) -> Cost:
    """The cost beside that of a peer, a call where the two make different numbers of them."""
    ours, theirs = (_output(cost.plan, results[name]) for name in ("sampling", "peer"))
    above = ratio(seconds, "peer", "sampling")
    if peer.calls:
        share = cost.calls / peer.calls()
        above = Spread(*(share * value for value in above))
    same = None if peer.calls else ours == theirs
    return Cost(**{**vars(cost), "peer_name": peer.name, "peer": above, "same": same})


def _output(plan: Plan, canvas: Tensor) -> list[int]:
    """The ids that the first row of a canvas [B, T] generated."""
    return output(plan.model.card, canvas[0].numpy(), plan.canvas.writable[0].numpy())


def opened(plan: Plan) -> Opened:
    """The plan's model for one run."""
    return plan.model.open(plan.canvas, plan.values.get("block_length"))


@torch.no_grad()
def replay(denoise: Opened, tape: Tape) -> None:
    """The calls of a run again, and nothing else."""
    for kind, tokens, how in tape.calls:
        getattr(denoise, kind)(tokens, **how)


@torch.no_grad()
def sample(plan: Plan, denoise: Any) -> Tensor:
    """The run without recording; the canvas [B, T] at the end, on the CPU."""
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
