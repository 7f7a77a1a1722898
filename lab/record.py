"""Run a sampler and measure it from outside: count, time and probe every call, yield Frames.

A sampler tells only what tokens cannot show; calls, seconds, confidence and entropy are taken
here, round `denoise`, so that none can misreport. Logits never leave this module.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

import samplers
from samplers.core import Canvas, Noise, Step
from samplers.registry import Sampler

from . import canvas as canvases
from . import limits, suites
from .adapters.model import Model, Opened
from .trajectory import SCHEMA, Frame, Trajectory, run_id

TOP = 5


@dataclass(frozen=True)
class Plan:
    """A run that passed every check and has not begun."""

    sampler: Sampler
    model: Model
    suite: str
    values: dict[str, Any]
    canvas: Canvas
    seed: int
    first_row: int
    settings: tuple[dict[str, Any], ...]  # one a row
    work: int  # calls x columns x rows, at most


def plan(
    sampler: str,
    model: Model | str,
    prompts: Any = "",
    *,
    template: Any = None,
    gen_length: int | None = None,
    seed: int = 0,
    rows: int = 1,
    first_row: int = 0,
    preset: str | None = None,
    params: dict[str, Any] | None = None,
) -> Plan:
    """Check everything and lay the canvas out. ValueError before any work is done."""
    chosen = samplers.get(sampler)
    suite, model = suites.resolve(model, sampler)
    card = model.card
    if reason := chosen.misfit(card):
        raise ValueError(reason)
    values = chosen.bind({**_preset(chosen, preset), **(params or {})})
    if chosen.check:
        chosen.check(values, card)
    seed = limits.whole("seed", seed, 0, limits.SEED)
    rows = limits.whole("rows", rows, 1, limits.ROWS)
    first_row = limits.whole("first_row", first_row, 0, limits.SEED)
    given, asked = _given(prompts, template), gen_length
    if template is None:
        encoded = [len(canvases.encode(model, prompt)) or (card.bos_id is not None)
                   for prompt in given]  # fmt: skip
        left = limits.GEN_LENGTH if card.length is None else card.length - max(encoded)
        if gen_length is None:
            gen_length = min(64, left) if card.length is None else left
        gen_length = limits.whole("gen_length", gen_length, 1, limits.GEN_LENGTH)
        laid = [canvases.prompt_row(model, prompt, gen_length) for prompt in given]
    elif asked is not None or prompts not in ("", [], None):
        raise ValueError("template already says what to fill: leave prompts and gen_length out")
    else:
        laid = [canvases.template_row(model, one) for one in given]
        gen_length = None
    longest = max(len(row.ids) for row in laid)
    sliding = bool(values.get("sliding_window"))
    limits.context(longest, gen_length or 0, card, sliding)
    block_length = values.get("block_length")
    canvas = canvases.lay_out([r for r in laid for _ in range(rows)], card, chosen.layout,
                              block_length)  # fmt: skip
    holes = [int(canvas.writable[:, block].sum(-1).max()) for block in canvas.blocks()]
    cached = not card.time_conditioned and card.corruption == "absorbing"
    calls = limits.most_calls(values, holes, cached)
    work = limits.work(calls, longest, len(canvas.tokens))
    key = "prompt" if template is None else "template"
    shared = {"params": values, "gen_length": gen_length, "schema": SCHEMA,
              "versions": _versions()}  # fmt: skip
    settings = tuple({**shared, key: one} for one in given for _ in range(rows))
    return Plan(chosen, model, suite, values, canvas, seed, first_row, settings, work)


def _given(prompts: Any, template: Any) -> list[Any]:
    name, value = ("prompt", prompts) if template is None else ("template", template)
    given = canvases.as_list("" if value is None else value)
    limits.prompts(name, given)
    return given


def _preset(sampler: Sampler, preset: str | None) -> dict[str, Any]:
    if preset is None:
        return {}
    if preset not in sampler.presets:
        known = ", ".join(sampler.presets) or "none"
        raise ValueError(f"{sampler.name} has no preset {preset!r}; it has {known}")
    return dict(sampler.presets[preset])


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "transformers", "numpy")}


class Run:
    """One run: iterate it for Frames, `close()` it at any step, ask for `trajectories()`."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.frames: list[Frame] = []
        self._confidence: list[np.ndarray] = []
        self._iterator = self._frames()

    def __iter__(self) -> Iterator[Frame]:
        return self._iterator

    def close(self) -> None:
        """Stop at once and release the model's caches; what was recorded stays."""
        self._iterator.close()

    def pieces(self, ids: Any) -> dict[int, str]:
        """The text of single tokens, {id: text}."""
        return canvases.pieces(self.plan.model, ids)

    @torch.no_grad()
    def _frames(self) -> Iterator[Frame]:
        plan, canvas = self.plan, self.plan.canvas
        probe = Probe(plan.model.open(canvas, plan.values.get("block_length")), canvas)
        count = len(canvas.tokens)
        noise = Noise(plan.seed, range(plan.first_row, plan.first_row + count))
        steps = plan.sampler(probe, canvas, noise, **plan.values)
        book = _Book(plan, probe)
        try:
            yield self._keep(book.first(), book)
            while True:
                probe.inspection = 0.0
                began = perf_counter()
                step = next(steps, None)
                spent = perf_counter() - began - probe.inspection
                if step is None:
                    return
                yield self._keep(book.frame(step, spent), book)
        finally:
            steps.close()

    def _keep(self, frame: Frame, book: "_Book") -> Frame:
        self.frames.append(frame)
        self._confidence.append(book.confidence)
        return frame

    def trajectories(self) -> list[Trajectory]:
        """What was recorded so far, a Trajectory a row."""
        return [self._trajectory(row) for row in range(len(self.plan.canvas.tokens))]

    def _trajectory(self, row: int) -> Trajectory:
        plan, canvas = self.plan, self.plan.canvas
        seen = canvas.visible[row].numpy()
        first, length = int(seen.argmax()), int(seen.sum())
        cut = slice(first, first + length)
        writable = canvas.writable[row].numpy()[cut]
        kept = [i for i, frame in enumerate(self.frames) if i and frame.active[row]]
        frames = [self.frames[i] for i in kept]
        tokens = np.stack([self.frames[0].tokens[row, cut]] + [f.tokens[row, cut] for f in frames])
        span = _span(writable) if canvas.layout != "first" else (0, length)
        starts = np.array([max(f.window.start - first, span[0]) for f in frames], np.int32)
        stops = np.array([min(f.window.stop - first, span[1]) for f in frames], np.int32)

        def spread(name: str, fill: Any, dtype: Any, *extra: int) -> np.ndarray:
            out = np.full((len(frames), length, *extra), fill, dtype)
            for line, frame, start, stop in zip(out, frames, starts, stops, strict=True):
                shift = first - frame.window.start
                line[start:stop] = getattr(frame, name)[row, start + shift : stop + shift]
            return out

        confidence = [self._confidence[i][row, cut] for i in kept]
        card = asdict(plan.model.card)
        used = {int(i) for i in np.unique(tokens)}
        guess = spread("guess", -1, np.int32)
        top_ids = spread("top_ids", -1, np.int32, TOP)
        used |= {int(i) for i in np.unique(guess)} | {int(i) for i in np.unique(top_ids)}
        output = self._output(tokens[-1], writable)
        number = plan.first_row + row
        names = {"suite": plan.suite, "model": card["name"], "sampler": plan.sampler.name,
                 "seed": plan.seed, "row": number}  # fmt: skip
        return Trajectory(
            tokens=tokens,
            guess=guess,
            confidence=np.stack(confidence) if confidence else np.zeros((0, length)),
            entropy=spread("entropy", np.nan, np.float32),
            score=spread("score", np.nan, np.float32),
            start=starts,
            stop=stops,
            block=np.array([f.block[row] for f in frames], np.int32),
            calls=np.array([f.calls[row] for f in frames], np.int32),
            seconds=np.array([f.seconds[row] for f in frames]),
            model_seconds=np.array([f.model_seconds[row] for f in frames]),
            writable=writable,
            output=output,
            text=canvases.decode(plan.model, output),
            pieces=self.pieces(sorted(used - {-1})),
            run_id=run_id(plan.settings[row], **names),
            settings=plan.settings[row],
            card=card,
            top_ids=top_ids,
            top_probabilities=spread("top_probabilities", 0, np.float32, TOP),
            **names,
        )

    def _output(self, tokens: np.ndarray, writable: np.ndarray) -> list[int]:
        """Ids from the first writable column up to and with the first generated EOS."""
        card, output = self.plan.model.card, []
        for token, free in zip(tokens.tolist(), writable, strict=True):
            if (free or output) and not (free and token in (card.mask_id, card.pad_id)):
                output.append(token)
                if free and token in card.eos_ids:
                    break
        return output


def _span(writable: np.ndarray) -> tuple[int, int]:
    columns = writable.nonzero()[0]
    return int(columns[0]), int(columns[-1]) + 1


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

    def _look(self, logits: Tensor, window: slice, asked: Tensor) -> None:
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


class _Book:
    """Turns Steps into Frames: who was active, what was written, how sure the model was."""

    def __init__(self, plan: Plan, probe: Probe):
        self.plan, self.probe, self.canvas = plan, probe, plan.canvas
        rows = len(plan.canvas.tokens)
        self.tokens = plan.canvas.tokens
        self.calls, self.seconds = np.zeros(rows, np.int64), np.zeros(rows)
        self.ended = np.zeros(rows, bool)
        self.step = 0
        self.confidence = np.full(plan.canvas.tokens.shape, np.nan, np.float32)
        # Standing tokens are judged again by each call unless every written token is final.
        self.revises = (
            plan.model.card.corruption != "absorbing"
            or plan.values.get("editing_threshold") is not None
        )
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
        finished = ended | (self.canvas.finished(step.tokens).numpy() & (not self.revises))
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
            guess=_numpy(step.guess, np.full(shape, -1, np.int32), np.int32),
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
        hole = free & (now == self.canvas.mask_id if self.canvas.mask_id is not None else False)
        fresh = torch.where(hole, probe.top[..., 0], probe.probability(now))
        judged = hole | (now != before) | self.revises
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


def start(
    sampler: str,
    model: Model | str,
    prompts: Any = "",
    *,
    template: Any = None,
    gen_length: int | None = None,
    seed: int = 0,
    rows: int = 1,
    first_row: int = 0,
    preset: str | None = None,
    **params: Any,
) -> Run:
    """Check everything at once and return a Run that has made no call yet."""
    checked = plan(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, params=params,
    )  # fmt: skip
    return Run(checked)


def stream(
    sampler: str,
    model: Model | str,
    prompts: Any = "",
    *,
    template: Any = None,
    gen_length: int | None = None,
    seed: int = 0,
    rows: int = 1,
    first_row: int = 0,
    preset: str | None = None,
    **params: Any,
) -> Iterator[Frame]:
    """The Frames of a run as they happen; see `run` for the arguments."""
    made = start(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, **params,
    )  # fmt: skip
    return iter(made)


def run(
    sampler: str,
    model: Model | str,
    prompts: Any = "",
    *,
    template: Any = None,
    gen_length: int | None = None,
    seed: int = 0,
    rows: int = 1,
    first_row: int = 0,
    preset: str | None = None,
    **params: Any,
) -> list[Trajectory]:
    """Run a sampler to its end and return a Trajectory a row.

    model: a Model, a model name or a suite name. prompts: text, a list of texts, of chats
    ({role, content}) or of id lists; text is never read as a special token. template: the same
    with `[MASK]` or `[MASK]*8` as holes; then prompts and gen_length stay out. gen_length: 64, or
    what the oracle's length leaves. rows: copies a prompt; copy number r (counted over all
    prompts) draws from (seed, first_row + r), so a row alone is the same call with its first_row.
    Other names are the sampler's parameters. ValueError (rule, value, way out) before any call.
    """
    made = start(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, **params,
    )  # fmt: skip
    for _ in made:
        pass
    return made.trajectories()
