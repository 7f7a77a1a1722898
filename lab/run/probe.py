"""Measure a sampler from outside: every call counted, timed and looked at, every Step a Frame."""

from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.models.model import Opened
from lab.record.trajectory import Frame
from lab.run.plan import Plan
from samplers.canvas import Canvas, Step

TOP = 5


class Probe:
    """A denoiser that counts, times and looks at every answer before it hands it on."""

    def __init__(self, denoise: Opened, canvas: Canvas):
        rows = len(canvas.tokens)
        self.card, self._denoise = denoise.card, denoise
        self.calls = np.zeros(rows, np.int64)
        self.seconds = np.zeros(rows)
        self.inspection = 0.0  # seconds spent looking: nobody is charged for them
        self.window: slice | None = None
        self.answered = torch.zeros(rows, dtype=torch.bool)
        self.logits = self.total = self.entropy = self.top_ids = self.top = None

    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        began = perf_counter()
        logits = self._denoise(tokens, window=window, t=t, rows=rows, guidance=guidance)
        done = perf_counter()
        asked = torch.ones(len(tokens), dtype=torch.bool) if rows is None else rows
        self.calls += asked.numpy() * (2 if guidance else 1)
        self.seconds += asked.numpy() * (done - began)
        self._look(logits, window, asked)
        self.inspection += perf_counter() - done
        return logits

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """Time the draft model. It is no call: calls count what the model itself was asked."""
        began = perf_counter()
        logits = self._denoise.draft(tokens, window=window, rows=rows)
        asked = torch.ones(len(tokens), dtype=torch.bool) if rows is None else rows
        self.seconds += asked.numpy() * (perf_counter() - began)
        return logits

    def _look(self, logits: Tensor, window: slice, asked: Tensor) -> None:
        # Confidence and entropy must not depend on what a model adds to all of its logits.
        logits = logits - logits.amax(-1, keepdim=True)
        total = logits.logsumexp(-1)
        if not bool(torch.isfinite(total[asked]).all()):
            raise ValueError(
                f"{self.card.name} answered with NaN, infinity or no possible token; "
                "the run was stopped"
            )
        top, ids = logits.topk(min(TOP, logits.shape[-1]), dim=-1)
        found = {
            "logits": logits,
            "total": total,
            "entropy": _entropy(logits, total),
            "top_ids": ids,
            "top": (top - total[..., None]).exp(),
        }
        if window != self.window:
            self.window, self.answered = window, torch.zeros_like(asked)
        for name, value in found.items():
            old = getattr(self, name)
            if self.answered.any() and not asked.all():
                value = torch.where(asked.view(-1, *[1] * (value.dim() - 1)), value, old)
            setattr(self, name, value)
        self.answered = self.answered | asked

    def probability(self, ids: Tensor) -> Tensor:
        """Softmax probability [B, W] of ids [B, W] in the latest answer of each row."""
        chosen = self.logits.gather(-1, ids.clamp(0, self.logits.shape[-1] - 1)[..., None])[..., 0]
        return (chosen - self.total).exp()


def _entropy(logits: Tensor, total: Tensor) -> Tensor:
    p = (logits - total[..., None]).exp()
    return (total - (p * logits.clamp(min=-1e30)).sum(-1)).clamp(min=0)


class Book:
    """Turns Steps into Frames: who was active, what was written, how confident the model was."""

    def __init__(self, plan: Plan, probe: Probe):
        self.plan, self.probe, self.canvas = plan, probe, plan.canvas
        rows = len(plan.canvas.tokens)
        self.tokens = plan.canvas.tokens
        self.calls, self.seconds = np.zeros(rows, np.int64), np.zeros(rows)
        self.ended = np.zeros(rows, bool)
        self.step = 0
        self.confidence = np.full(plan.canvas.tokens.shape, np.nan, np.float32)
        revision = plan.sampler.revision(plan.values)
        # Where tokens may be wrong by design, each call judges the standing ones again.
        self.judges = revision == "edits" or plan.model.card.corruption != "absorbing"
        # Where written tokens may go again, or nobody stops at an EOS, only the end tells.
        self.ends_at_eos = revision is None and plan.sampler.stops_at_eos(plan.values)
        self.blocks = plan.canvas.blocks()

    def first(self) -> Frame:
        """Frame 0: the canvas before any call."""
        rows = len(self.tokens)
        window = self.blocks[0] if self.blocks else slice(0, 0)
        return Frame(
            0, self.tokens.numpy(), window, np.zeros(rows, np.int32), np.zeros(rows, bool),
            np.ones(rows, bool), None, None, None, None, None, None,
            self.calls, self.seconds, self.seconds,
        )  # fmt: skip

    def frame(self, step: Step, spent: float) -> Frame:
        """What one Step changed; `spent` seconds are charged to the rows that were active."""
        probe, window = self.probe, step.window
        before, now = self.tokens[:, window], step.tokens[:, window]
        ended = self.ended if step.finished is None else step.finished.numpy()
        changed = (step.tokens != self.tokens).any(-1).numpy()
        active = (probe.calls > self.calls) | changed | (ended & ~self.ended)
        self.seconds = self.seconds + active * spent
        self.calls, self.tokens, self.ended = probe.calls.copy(), step.tokens, ended
        self.step += 1
        shape = now.shape
        known = probe.window == window
        if known:
            self.confidence = self._confidence(window, before, now)
        blank = np.full(shape, np.nan, np.float32)
        finished = ended | (self.canvas.finished(step.tokens).numpy() & self.ends_at_eos)
        ids = np.full((*shape, TOP), -1, np.int32)
        top = np.zeros((*shape, TOP), np.float32)
        if known:
            width = probe.top_ids.shape[-1]
            ids[..., :width], top[..., :width] = probe.top_ids.numpy(), probe.top.numpy()
        return Frame(
            step=self.step,
            tokens=step.tokens.numpy(),
            window=window,
            block=self._block(window),
            finished=finished,
            active=active,
            predicted=_numpy(step.predicted, np.full(shape, -1, np.int32), np.int32),
            score=_numpy(step.score, blank, np.float32),
            confidence=self.confidence[:, window],
            entropy=_numpy(probe.entropy if known else None, blank, np.float32),
            top_ids=ids,
            top_probabilities=top,
            calls=self.calls,
            seconds=self.seconds,
            model_seconds=probe.seconds.copy(),
        )

    def _confidence(self, window: slice, before: Tensor, now: Tensor) -> np.ndarray:
        probe, free = self.probe, self.canvas.writable[:, window]
        masked = free & (now == self.canvas.mask_id if self.canvas.mask_id is not None else False)
        fresh = torch.where(masked, probe.top[..., 0], probe.probability(now))
        judged = masked | (now != before) | self.judges
        judged = (judged & free & probe.answered[:, None]).numpy()
        kept = self.confidence.copy()
        kept[:, window] = np.where(judged, fresh.numpy(), kept[:, window])
        return kept

    def _block(self, window: slice) -> np.ndarray:
        """The number of the block in which the window begins, counted from each row's first."""
        number = sum(block.start <= window.start for block in self.blocks) - 1
        earlier = [self.canvas.writable[:, block].any(-1) for block in self.blocks[:number]]
        count = torch.stack(earlier).sum(0) if earlier else torch.zeros(len(self.tokens))
        return count.numpy().astype(np.int32)


def _numpy(value: Tensor | None, missing: np.ndarray, dtype: Any) -> np.ndarray:
    return missing if value is None else value.numpy().astype(dtype)
