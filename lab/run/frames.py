"""From Steps to Frames: who was active, what was written, how confident the model was."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.record.row_record import TOP
from lab.record.trajectory import Frame
from lab.run.plan import Plan
from lab.run.probe import Answer, Probe
from samplers.canvas import Step


class FrameBuilder:
    """Turns each Step into a Frame, with what the probe saw since the Step before.

    confidence [B, T]: of every token, as the Frames so far leave it (Frames hold the window's).
    """

    def __init__(self, plan: Plan, probe: Probe):
        self._probe, self._canvas = probe, plan.canvas
        rows = len(plan.canvas.tokens)
        self._tokens = plan.canvas.tokens
        self._calls, self._seconds = np.zeros(rows, np.int64), np.zeros(rows)
        self._ended = np.zeros(rows, bool)
        self._step = 0
        self.confidence = np.full(plan.canvas.tokens.shape, np.nan, np.float32)
        revision = plan.sampler.revision(plan.values)
        # Where tokens may be wrong by design, each call judges the standing ones again.
        self._judges = revision == "edits" or plan.model.card.corruption != "absorbing"
        # Where written tokens may go again, or nobody stops at an EOS, only the end tells.
        self._ends_at_eos = revision is None and plan.sampler.stops_at_eos(plan.values)
        self._blocks = plan.canvas.blocks()

    def first(self) -> Frame:
        """Frame 0: the canvas before any call."""
        rows = len(self._tokens)
        return Frame(
            step=0,
            tokens=self._tokens.numpy(),
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
        )

    def next(self, step: Step, seconds: float) -> Frame:
        """What one Step changed; `seconds` are charged to the rows that were active."""
        probe, window = self._probe, step.window
        before, shape = self._tokens, step.tokens[:, window].shape
        ended = self._ended if step.finished is None else step.finished.numpy()
        changed = (step.tokens != before).any(-1).numpy()
        active = (probe.calls > self._calls) | changed | (ended & ~self._ended)
        self._seconds = self._seconds + active * seconds
        self._calls, self._tokens, self._ended = probe.calls.copy(), step.tokens, ended
        self._step += 1
        answer = probe.answer if probe.window == window else None  # a Step may come without a call
        if answer is not None:
            self.confidence = self._confidence(answer, window, before[:, window])
        settled = self._canvas.finished(step.tokens).numpy() & self._ends_at_eos
        top_ids, top_probabilities = _alternatives(answer, shape)
        blank = np.full(shape, np.nan, np.float32)
        return Frame(
            step=self._step,
            tokens=step.tokens.numpy(),
            window=window,
            block=self._block(window),
            finished=ended | settled,
            active=active,
            predicted=_numpy(step.predicted, np.full(shape, -1, np.int32), np.int32),
            score=_numpy(step.score, blank, np.float32),
            confidence=self.confidence[:, window],
            entropy=_numpy(answer and answer.entropy, blank, np.float32),
            top_ids=top_ids,
            top_probabilities=top_probabilities,
            calls=self._calls,
            seconds=self._seconds,
            model_seconds=probe.seconds.copy(),
        )

    def _confidence(self, answer: Answer, window: slice, before: Tensor) -> np.ndarray:
        """The confidence [B, T] after a step; the contract in docs says of what and when."""
        now, writable = self._tokens[:, window], self._canvas.writable[:, window]
        mask_id = self._canvas.mask_id
        masked = writable & (now == mask_id) if mask_id is not None else torch.zeros_like(writable)
        fresh = torch.where(masked, answer.top[..., 0], answer.probability(now))
        judged = masked | (now != before) | self._judges
        judged = judged & writable & self._probe.answered[:, None]
        confidence = self.confidence.copy()
        confidence[:, window] = np.where(judged.numpy(), fresh.numpy(), confidence[:, window])
        return confidence

    def _block(self, window: slice) -> np.ndarray:
        """The number of the block in which the window begins, counted from each row's first."""
        number = sum(block.start <= window.start for block in self._blocks) - 1
        earlier = [self._canvas.writable[:, block].any(-1) for block in self._blocks[:number]]
        count = torch.stack(earlier).sum(0) if earlier else torch.zeros(len(self._tokens))
        return count.numpy().astype(np.int32)


def _alternatives(answer: Answer | None, shape: torch.Size) -> tuple[np.ndarray, np.ndarray]:
    """The most likely ids and their probabilities [B, W, TOP]; -1 and 0 where there are fewer."""
    ids = np.full((*shape, TOP), -1, np.int32)
    probabilities = np.zeros((*shape, TOP), np.float32)
    if answer is not None:
        count = answer.top_ids.shape[-1]
        ids[..., :count], probabilities[..., :count] = answer.top_ids.numpy(), answer.top.numpy()
    return ids, probabilities


def _numpy(value: Tensor | None, missing: np.ndarray, dtype: Any) -> np.ndarray:
    return missing if value is None else value.numpy().astype(dtype)
