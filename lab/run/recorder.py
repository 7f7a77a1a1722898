"""Run a sampler and keep what it did: Frames as they come, a Trajectory a row at the end.

A sampler tells only what tokens cannot show; calls, seconds, confidence and entropy are taken
round `denoise` (lab.run.probe), so that none can misreport. Logits never leave the probe.
"""

from collections.abc import Iterator
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np
import torch

from lab.models.model import Model
from lab.record.trajectory import Frame, Trajectory, run_id
from lab.run import prompts as canvases
from lab.run.plan import Plan, plan
from lab.run.probe import TOP, Book, Probe
from samplers.noise import Noise


class Run:
    """One run: iterate it for Frames, `close()` it at any step, ask for `trajectories()`."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.frames: list[Frame] = []
        self._confidence: list[np.ndarray] = []
        self._card = asdict(plan.model.card)
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
        book = Book(plan, probe)
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

    def _keep(self, frame: Frame, book: Book) -> Frame:
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
        card = dict(self._card)
        used = {int(i) for i in np.unique(tokens)}
        predicted = spread("predicted", -1, np.int32)
        top_ids = spread("top_ids", -1, np.int32, TOP)
        used |= {int(i) for i in np.unique(predicted)} | {int(i) for i in np.unique(top_ids)}
        output = canvases.output(plan.model.card, tokens[-1], writable)
        number = plan.first_row + row
        names = {"task": plan.task, "model": card["name"], "sampler": plan.sampler.name,
                 "seed": plan.seed, "row": number}  # fmt: skip
        return Trajectory(
            tokens=tokens,
            predicted=predicted,
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


def _span(writable: np.ndarray) -> tuple[int, int]:
    columns = writable.nonzero()[0]
    return int(columns[0]), int(columns[-1]) + 1


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
    chat_template_kwargs: dict[str, Any] | None = None,
    **params: Any,
) -> Run:
    """Check everything at once and return a Run that has made no call yet."""
    checked = plan(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, chat_template_kwargs=chat_template_kwargs,
        params=params,
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
    chat_template_kwargs: dict[str, Any] | None = None,
    **params: Any,
) -> Iterator[Frame]:
    """The Frames of a run as they happen; see `run` for the arguments."""
    made = start(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, chat_template_kwargs=chat_template_kwargs, **params,
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
    chat_template_kwargs: dict[str, Any] | None = None,
    **params: Any,
) -> list[Trajectory]:
    """Run a sampler to its end and return a Trajectory a row.

    model: a Model, a model name or a task name. prompts: text, a list of texts, of chats
    ({role, content}) or of id lists; text is never read as a special token. template: the same
    with `[MASK]` or `[MASK]*8` as masked positions; then prompts and gen_length stay out.
    gen_length: 64, or what the oracle's length leaves. rows: copies a prompt; copy number r
    (counted over all prompts) draws from (seed, first_row + r), so a row alone is the same call
    with its first_row. chat_template_kwargs: what the model's chat template takes besides the chat,
    such as {"enable_thinking": False}.
    Other names are the sampler's parameters. ValueError (rule, value, way out) before any call.
    """
    made = start(
        sampler, model, prompts, template=template, gen_length=gen_length, seed=seed, rows=rows,
        first_row=first_row, preset=preset, chat_template_kwargs=chat_template_kwargs, **params,
    )  # fmt: skip
    for _ in made:
        pass
    return made.trajectories()
