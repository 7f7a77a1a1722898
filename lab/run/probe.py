"""Measure a sampler from outside: the denoiser it calls counts, times and looks at every answer.

A sampler cannot misreport what it never reports: calls, seconds, confidence and entropy are read
off here. Logits stay where they are; what is brought to the CPU, once a step, is a number or five a
position.
"""

from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from lab.models.model import Opened
from lab.record.row_record import TOP
from lab.run.clock import clock
from samplers.canvas import on_cpu
from samplers.draw import Filters
from samplers.noise import IN_CACHE

SOME = 64  # positions that a GPU filters at once: each takes a few vocabularies of memory
CHUNK = 64  # tokens of which a CPU first finds the largest, to look for the five largest of all


class Answer(NamedTuple):
    """The latest answer of every row over one window: rows may differ in the call it is from.

    logits [B, W, V]; best, the largest of them, and level, how far their logsumexp is above it
    [B, W]; entropy [B, W] in nats; top_ids and top, the most likely tokens and their probabilities
    [B, W, k].
    """

    logits: Tensor
    best: Tensor
    level: Tensor
    entropy: Tensor
    top_ids: Tensor
    top: Tensor

    def probability(self, ids: Tensor) -> Tensor:
        """Softmax probability [B, W] of ids [B, W]."""
        known = ids.clamp(0, self.logits.shape[-1] - 1)[..., None]
        return (self.logits.gather(-1, known)[..., 0] - self.best - self.level).exp()

    def after(self, filters: Filters, where: Tensor) -> Tensor:
        """The probabilities [B, W, k] of top_ids after these filters at the True of `where` [B, W],
        NaN elsewhere; no more memory than some positions take.
        """
        logits, ids = self.logits.flatten(0, 1), self.top_ids.flatten(0, 1)
        if not on_cpu(logits):  # it would have to wait for how many are written
            parts = zip(logits.split(SOME), ids.split(SOME), strict=True)
            after = torch.cat([filters.weights(part).gather(-1, top) for part, top in parts])
            return after.view(self.top.shape).where(where[..., None], torch.nan)
        result = torch.full_like(self.top, torch.nan)
        for place in where.flatten().nonzero()[:, 0].split(max(1, IN_CACHE // logits.shape[-1])):
            weights = filters.weights(logits[place]).gather(-1, ids[place])
            result.flatten(0, 1)[place] = weights
        return result


class Probe:
    """A denoiser that counts, times and looks at every answer before it hands it on.

    calls, seconds, columns_fed [B]: what each row has cost so far; seconds are the model's own.
    window: that of the latest call, where `answer` holds; answered [B]: the rows that called in
    this window, on the device.
    """

    def __init__(self, denoise: Opened, rows: int):
        self.card, self._denoise = denoise.card, denoise
        self.calls = np.zeros(rows, np.int64)
        self.window: slice | None = None
        self.answered = torch.zeros(rows, dtype=torch.bool, device=denoise.model.device)
        self.answer: Answer | None = None
        self._broken: Tensor | None = None
        self._clock = clock(denoise.model.device, rows)

    @property
    def seconds(self) -> ndarray:
        """What the model took for each row so far [B], as of the latest `fetch`."""
        return self._clock.model

    def reward(self, texts: Tensor, name: str) -> Tensor:
        """What whole texts are worth."""
        return self._denoise.reward(texts, name)

    @property
    def frequencies(self) -> Tensor:
        """How often each token occurs [V]."""
        return self._denoise.frequencies

    @property
    def columns_fed(self) -> ndarray:
        """The columns that the model really computed for each row so far [B]."""
        return self._denoise.columns_fed.numpy()

    def __call__(
        self,
        tokens: Tensor,
        *,
        window: slice,
        t: Tensor | None = None,
        rows: Tensor | None = None,
        guidance: float | None = None,
        **more: Any,
    ) -> Tensor:
        began = self._clock.now()
        logits = self._denoise(tokens, window=window, t=t, rows=rows, guidance=guidance, **more)
        everyone = bool(self._denoise.callers.all())
        self._count(logits, window, rows, everyone, began, 2 if guidance else 1)
        return logits

    def each(
        self, canvases: Tensor, *, window: slice, rows: Tensor, t: Tensor | None = None
    ) -> Tensor:
        """Several canvases of a row: a call each, of which the first is looked at."""
        began = self._clock.now()
        logits = self._denoise.each(canvases, window=window, rows=rows, t=t)
        self._count(logits[0], window, rows[0], False, began, 1)
        return logits

    def with_quality(
        self, tokens: Tensor, *, window: slice, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A call whose answer also says how likely written tokens are right."""
        began = self._clock.now()
        logits, quality = self._denoise.with_quality(tokens, window=window, rows=rows)
        self._count(logits, window, rows, bool(self._denoise.callers.all()), began, 1)
        return logits, quality

    def _count(
        self, logits: Tensor, window: slice, rows: Tensor | None, everyone: bool, began: Any,
        passes: int,
    ) -> None:  # fmt: skip
        done = self._clock.now()
        callers = self._denoise.callers.numpy()
        self.calls += callers * passes
        self._look(logits, window, rows, everyone)
        self._clock.add(callers > 0, began, done, self._clock.now())

    def draft(self, tokens: Tensor, *, window: slice, rows: Tensor | None = None) -> Tensor:
        """Time the draft model. It is no call: calls are those of the model itself."""
        began = self._clock.now()
        logits = self._denoise.draft(tokens, window=window, rows=rows)
        done = self._clock.now()
        self._clock.add(self._denoise.callers.numpy() > 0, began, done, done)
        return logits

    def begin(self) -> None:
        """A step begins here, for the clock."""
        self._clock.begin()

    def fetch(self, values: dict[str, Tensor]) -> tuple[dict[str, ndarray], float]:
        """After a step: its values on the CPU, in one copy, and its seconds, without those that
        were spent looking. ValueError for an answer that nothing could be drawn from.
        """
        self._clock.worked()
        broken = {} if self._broken is None else {"broken": self._broken}
        arrays = on_host(values | broken)
        if broken and bool(arrays["broken"]):
            self._refuse()
        return arrays, self._clock.step()

    def _look(self, logits: Tensor, window: slice, rows: Tensor | None, everyone: bool) -> None:
        answer = describe(logits)
        active = torch.ones_like(self.answered) if rows is None or everyone else rows
        broken = (active & ~answer.level.isfinite().all(-1)).any()
        if on_cpu(logits):
            if bool(broken):
                self._refuse()
        else:  # it is known with the values of the step
            self._broken = broken if self._broken is None else self._broken | broken
        if self.answer is None or window != self.window:
            self.answered = torch.zeros_like(self.answered)
        elif not everyone:
            answer = Answer(*(_fresh(active, new, old)
                              for new, old in zip(answer, self.answer, strict=True)))  # fmt: skip
        self.window, self.answer, self.answered = window, answer, self.answered | active

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"{self.card.name} answered with NaN, infinity or no possible token; "
            "the run was stopped"
        )


def _fresh(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in these rows [B], `old` in the others."""
    return torch.where(rows.view(-1, *[1] * (new.dim() - 1)), new, old)


def describe(logits: Tensor) -> Answer:
    """What is recorded of logits [B, W, V]; a level of NaN where no token is possible.

    On a CPU some positions at a time, which stay in its cache.
    """
    flat = logits.flatten(0, 1)
    size = max(1, IN_CACHE // flat.shape[-1]) if on_cpu(flat) else max(1, len(flat))
    parts = [_describe(part) for part in flat.split(size)]
    joined = parts[0] if len(parts) == 1 else [torch.cat(each) for each in zip(*parts, strict=True)]
    return Answer(logits, *(each.view(*logits.shape[:2], *each.shape[1:]) for each in joined))


def _describe(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All of an Answer but the logits [N, V] themselves."""
    best = logits.amax(-1)
    p = logits.softmax(-1)
    top, ids = _largest(p, min(TOP, p.shape[-1]))
    level = -top[:, 0].log()  # of the sum of exp(logits - best)
    # Positive terms alone, so that neither the level of the logits nor rounding shows.
    behind = p.mul_((best[:, None] - logits).clamp_(max=1e30)).sum(-1)
    return best, level, level + behind, ids, top


def _largest(p: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of p [N, V] and their ids [N, k], the largest first.

    A CPU looks at the largest of each chunk first: those k are in the k chunks of largest maximum.
    """
    chunks = p.shape[-1] // CHUNK
    if not on_cpu(p) or chunks < 4 * k or p.shape[-1] % CHUNK:
        return p.topk(k, dim=-1)
    parts = p.view(len(p), chunks, CHUNK)
    best = parts.amax(-1).topk(k, dim=-1).indices
    near = parts.gather(1, best[..., None].expand(-1, -1, CHUNK)).flatten(1)
    top, place = near.topk(k, dim=-1)
    return top, best.gather(-1, place // CHUNK) * CHUNK + place % CHUNK


def on_host(values: dict[str, Tensor]) -> dict[str, ndarray]:
    """Tensors as numpy arrays; those of a GPU are joined as bytes and come in one copy."""
    if not values or on_cpu(next(iter(values.values()))):
        return {name: value.numpy() for name, value in values.items()}
    # The widest first, so that each begins where its numbers may begin.
    order = sorted(values, key=lambda name: -values[name].element_size())
    flat = torch.cat([values[name].reshape(-1).view(torch.uint8) for name in order]).cpu().numpy()
    arrays, start = {}, 0
    for name in order:
        value = values[name]
        stop = start + value.numel() * value.element_size()
        dtype = np.dtype(str(value.dtype).removeprefix("torch."))
        arrays[name] = flat[start:stop].view(dtype).reshape(value.shape)
        start = stop
    return arrays
