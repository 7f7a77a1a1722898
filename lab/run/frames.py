"""From Steps to Frames: who was active, what was written, how confident the model was."""

from collections.abc import Generator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lab.record.row_record import TOP
from lab.record.trajectory import Frame
from lab.run.plan import Plan
from lab.run.probe import Probe
from samplers.canvas import Canvas, Step
from samplers.draw import Filters
from samplers.noise import IMPOSSIBLE, Noise


@torch.no_grad()
def frames(plan: Plan) -> Generator[Frame, None, None]:
    """Run a plan: its Frames, the one before any call first. Closed, it ends the run at once.

    The part of a run that needs its model; a Frame is small arrays, and what follows from it may
    be worked out in another process.
    """
    denoise = plan.model.open(plan.canvas, plan.values.get("block_length"))
    rows = len(plan.canvas.tokens)
    probe, canvas = Probe(denoise, rows), denoise.canvas
    noise = Noise(plan.seed, range(plan.first_row, plan.first_row + rows))
    # The function itself: the plan has bound and checked the values, and laid the canvas out.
    run = plan.sampler.function(probe, canvas, noise, **plan.values)
    steps = cast(Generator[Step, None, None], run)
    build = FrameBuilder(plan, probe, canvas, noise)
    try:
        yield build.first()
        while True:
            probe.begin()
            if (step := next(steps, None)) is None:
                return
            yield build.next(step)
    finally:
        steps.close()


class FrameBuilder:
    """Turns each Step into a Frame, with what the probe saw since the Step before.

    canvas, noise: the run's, where the model is.
    """

    def __init__(self, plan: Plan, probe: Probe, canvas: Canvas, noise: Noise):
        self._probe, self._canvas, self._plan, self._noise = probe, canvas, plan, noise
        rows = len(canvas.tokens)
        self._tokens = canvas.tokens
        self._calls, self._seconds = np.zeros(rows, np.int64), np.zeros(rows)
        self._ended = np.zeros(rows, bool)
        self._step = 0
        self._confidence = np.full(canvas.tokens.shape, np.nan, np.float32)
        revision = plan.sampler.revision(plan.values)
        # Where tokens may be wrong by design, each call judges the standing ones again.
        self._judges = revision == "edits" or plan.model.card.corruption != "absorbing"
        # Where written tokens may go again, or nobody stops at an EOS, only the end tells.
        self._ends_at_eos = revision is None and plan.sampler.stops_at_eos(plan.values)
        self._blocks = canvas.blocks()
        self._numbers: dict[int, np.ndarray] = {}  # of the window that begins at a column
        self._window, self._calls_before = slice(0, 0), self._calls
        # Tokens of a noise process, which no model chose.
        self._unchosen = canvas.writable & (canvas.tokens != canvas.mask_id)

    def first(self) -> Frame:
        """Frame 0: the canvas before any call."""
        rows = len(self._tokens)
        return Frame(
            step=0,
            tokens=self._plan.canvas.tokens.numpy(),
            window=self._blocks[0] if self._blocks else slice(0, 0),
            block=np.zeros(rows, np.int32),
            finished=np.zeros(rows, bool),
            active=np.ones(rows, bool),
            predicted=None,
            score=None,
            confidence=None,
            entropy=None,
            top_ids=None,
            top_probabilities=None,
            calls=self._calls,
            seconds=self._seconds,
            model_seconds=self._seconds,
            columns_fed=np.zeros(rows, np.int64),
        )

    def next(self, step: Step) -> Frame:
        """What one Step changed; its seconds are charged to the rows that were active."""
        probe, window = self._probe, step.window
        values, seconds = probe.fetch(self._values(step))
        if values.get("impossible", False):
            raise ValueError(IMPOSSIBLE)
        shape = (len(self._tokens), window.stop - window.start)
        ended = values.get("finished", self._ended)
        active = (probe.calls > self._calls) | values["changed"] | (ended & ~self._ended)
        self._seconds = self._seconds + active * seconds
        self._calls, self._tokens, self._ended = probe.calls.copy(), step.tokens, ended
        self._step += 1
        if "judged" in values:
            self._confidence = self._confidence.copy()
            np.copyto(self._confidence[:, window], values["fresh"], where=values["judged"])
        top_ids, top_probabilities = _alternatives(values, shape)
        after = values.get("after")
        blank = np.full(shape, np.nan, np.float32)
        return Frame(
            step=self._step,
            tokens=values["tokens"],
            window=window,
            block=self._block(window),
            finished=ended | (values["settled"] & self._ends_at_eos),
            active=active,
            predicted=_cast(values.get("predicted"), np.int32, np.full(shape, -1, np.int32)),
            score=_cast(values.get("scores"), np.float32, blank),
            confidence=self._confidence[:, window],
            entropy=_cast(values.get("entropy"), np.float32, blank),
            top_ids=top_ids,
            top_probabilities=top_probabilities,
            calls=self._calls,
            seconds=self._seconds,
            model_seconds=probe.seconds,
            columns_fed=probe.columns_fed.copy(),
            after_filters=None if after is None else _padded(after, 0),
        )

    def _values(self, step: Step) -> dict[str, Tensor]:
        """All that the Frame is made of, still where the model is."""
        probe, window, before = self._probe, step.window, self._tokens
        changed = step.tokens != before
        values = {
            "tokens": step.tokens,
            "changed": changed.any(-1),
            "settled": self._canvas.finished(step.tokens),
        }
        own = {"finished": step.finished, "predicted": step.predicted, "scores": step.score,
               "impossible": self._noise.impossible}  # fmt: skip
        values |= {name: value for name, value in own.items() if value is not None}
        filters = self._filters(window)
        written = self._written(step, changed[:, window]) if filters else None
        if probe.answer is not None and probe.window == window:  # a Step may come without a call
            answer, now = probe.answer, step.tokens[:, window]
            writable = self._canvas.writable[:, window]
            # The contract in docs says what confidence is of, and when.
            masked = writable & (now == self._canvas.mask_id)
            fresh = torch.where(masked, answer.top[..., 0], answer.probability(now))
            judged = masked | changed[:, window] | self._judges
            values |= {
                "fresh": fresh,
                "judged": judged & writable & probe.answered[:, None],
                "entropy": answer.entropy,
                "top_ids": answer.top_ids,
                "top": answer.top,
            }
            if filters and written is not None:
                values["after"] = answer.after(filters, written)
        return values

    def _filters(self, window: slice) -> Filters | None:
        """What this step's tokens were drawn through; None where that changed nothing."""
        if window != self._window:
            self._window, self._calls_before = window, self._calls
        call = int((self._probe.calls - self._calls_before).max()) - 1
        filters = self._plan.sampler.filters(self._plan.values, max(0, call))
        return None if filters is None or filters.greedy or filters.plain else filters

    def _written(self, step: Step, changed: Tensor) -> Tensor:
        """Where [B, W] a step wrote a token of the model's; changed [B, W]: where it wrote any.

        They are the commits and edits of lab.record.history: what a noise process wrote counts once
        the model has chosen the same.
        """
        window, now = step.window, step.tokens[:, step.window]
        stands = self._canvas.writable[:, window] & (now != self._canvas.mask_id)
        if self._plan.model.card.corruption == "absorbing":
            return changed & stands
        agrees = torch.zeros_like(changed) if step.predicted is None else step.predicted == now
        before = self._unchosen[:, window]
        after = torch.where(changed | agrees, stands & ~agrees, before)
        self._unchosen = self._unchosen.clone()
        self._unchosen[:, window] = after
        return stands & agrees & (changed | before)

    def _block(self, window: slice) -> np.ndarray:
        """The number of the block in which the window begins, counted from each row's first."""
        if window.start not in self._numbers:
            number = sum(block.start <= window.start for block in self._blocks) - 1
            writable = self._plan.canvas.writable.numpy()
            earlier = [writable[:, block].any(-1) for block in self._blocks[: max(0, number)]]
            count = np.sum(earlier, 0) if earlier else np.zeros(len(writable))
            self._numbers[window.start] = count.astype(np.int32)
        return self._numbers[window.start]


def _alternatives(
    values: dict[str, np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The most likely ids and their probabilities [B, W, TOP]; -1 and 0 where there are fewer."""
    if "top" not in values:
        return np.full((*shape, TOP), -1, np.int32), np.zeros((*shape, TOP), np.float32)
    return _padded(values["top_ids"].astype(np.int32), -1), _padded(values["top"], 0)


def _padded(values: np.ndarray, missing: int) -> np.ndarray:
    """Values [B, W, k] as [B, W, TOP]: a vocabulary may have fewer."""
    edges = ((0, 0), (0, 0), (0, TOP - values.shape[-1]))
    return np.pad(values, edges, constant_values=missing)


def _cast(value: np.ndarray | None, dtype: Any, missing: np.ndarray) -> np.ndarray:
    return missing if value is None else value.astype(dtype)
