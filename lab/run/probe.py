"""Measure a sampler from outside: the denoiser it calls counts, times and looks at every answer.

A sampler cannot misreport what it never reports: calls, seconds, confidence and entropy are read
off here. Logits stay here too; what leaves is a number or five a position.
"""

from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.models.model import Opened
from lab.record.row_record import TOP


class Answer(NamedTuple):
    """The latest answer of every row over one window: rows may differ in the call it is from.

    logits [B, W, V], shifted so that the largest is 0; total, their logsumexp [B, W]; entropy
    [B, W] in nats; top_ids and top, the most likely tokens and their probabilities [B, W, k].
    """

    logits: Tensor
    total: Tensor
    entropy: Tensor
    top_ids: Tensor
    top: Tensor

    def probability(self, ids: Tensor) -> Tensor:
        """Softmax probability [B, W] of ids [B, W]."""
        known = ids.clamp(0, self.logits.shape[-1] - 1)[..., None]
        return (self.logits.gather(-1, known)[..., 0] - self.total).exp()


class Probe:
    """A denoiser that counts, times and looks at every answer before it hands it on.

    calls, seconds [B]: what each row has cost so far. window: that of the latest call, where
    `answer` holds; answered [B]: the rows that called in this window.
    """

    def __init__(self, denoise: Opened, rows: int):
        self.card, self._denoise = denoise.card, denoise
        self.calls = np.zeros(rows, np.int64)
        self.seconds = np.zeros(rows)
        self.inspection = 0.0  # seconds spent looking: nobody is charged for them
        self.window: slice | None = None
        self.answered = torch.zeros(rows, dtype=torch.bool)
        self.answer: Answer | None = None

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
        active = torch.ones(len(tokens), dtype=torch.bool) if rows is None else rows
        self.calls += active.numpy() * (2 if guidance else 1)
        self.seconds += active.numpy() * (done - began)
        self._look(logits, window, active)
        self.inspection += perf_counter() - done
        return logits

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """Time the draft model. It is no call: calls are those of the model itself."""
        began = perf_counter()
        logits = self._denoise.draft(tokens, window=window, rows=rows)
        active = torch.ones(len(tokens), dtype=torch.bool) if rows is None else rows
        self.seconds += active.numpy() * (perf_counter() - began)
        return logits

    def _look(self, logits: Tensor, window: slice, active: Tensor) -> None:
        # Confidence and entropy must not depend on what a model adds to all of its logits.
        logits = logits - logits.amax(-1, keepdim=True)
        total = logits.logsumexp(-1)
        if not bool(torch.isfinite(total[active]).all()):
            raise ValueError(
                f"{self.card.name} answered with NaN, infinity or no possible token; "
                "the run was stopped"
            )
        top, ids = logits.topk(min(TOP, logits.shape[-1]), dim=-1)
        probability = (top - total[..., None]).exp()
        answer = Answer(logits, total, _entropy(logits, total), ids, probability)
        if window != self.window:
            self.window, self.answered = window, torch.zeros_like(active)
        if self.answer is not None and self.answered.any() and not active.all():
            answer = Answer(*(_fresh(active, new, old)
                              for new, old in zip(answer, self.answer, strict=True)))  # fmt: skip
        self.answer, self.answered = answer, self.answered | active


def _fresh(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in these rows [B], `old` in the others."""
    return torch.where(rows.view(-1, *[1] * (new.dim() - 1)), new, old)


def _entropy(logits: Tensor, total: Tensor) -> Tensor:
    p = (logits - total[..., None]).exp()
    return (total - (p * logits.clamp(min=-1e30)).sum(-1)).clamp(min=0)
