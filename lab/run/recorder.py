"""Run a sampler and record what it did: Frames as they come, a Trajectory a row at the end.

A sampler reports only what tokens cannot show; calls, seconds, confidence and entropy are measured
around the denoiser that it calls (lab.run.probe).
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from lab.models.model import Model
from lab.record.row_record import RecordedSteps, RowRecord, distinct_ids
from lab.record.trajectory import Frame, Trajectory, run_id
from lab.run import prompts
from lab.run.frames import frames
from lab.run.plan import Plan, plan
from lab.run.prompts import RowTexts
from lab.run.request import RunRequest
from samplers.canvas import Canvas

IN_WINDOW = ("predicted", "entropy", "score", "top_ids", "top_probabilities")
COUNTERS = ("block", "calls", "seconds", "model_seconds", "columns_fed")


class Recorder:
    """One run: iterate it for Frames, `close()` it at any step, ask for what was recorded.

    Or `record` Frames that are computed elsewhere (lab.run.frames.frames), and close it in the end.

    The record grows with the run, a row of it only with the steps in which that row was active.
    `steps_since(row, k)` is what is new after step k of that row, at the cost of what is new;
    `trajectories()` is all of it. Frames are passed on and not stored.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.started = False  # whether frame 0 was seen: the canvas before any call
        self._ended = False
        self._card = asdict(plan.model.card)
        self._rows = [RowRecord(*_row(plan.canvas, row), self._card) for row in range(self.rows)]
        self._confidence = np.full(plan.canvas.tokens.shape, np.nan, np.float32)
        self._iterator = self._frames()

    @property
    def rows(self) -> int:
        """How many rows the batch has."""
        return len(self.plan.canvas.tokens)

    def __iter__(self) -> Iterator[Frame]:
        return self._iterator

    def close(self) -> None:
        """Stop at once and release the model's caches; what was recorded stays."""
        self._iterator.close()
        self._ended = True

    def steps(self, row: int) -> int:
        """How many steps a row was active in so far."""
        return self._rows[row].steps

    def steps_since(self, row: int, since: int) -> RecordedSteps:
        """Steps since + 1 and later of a row (0: all), with states, commits, edits and remasks.

        ValueError where `since` is more than the steps that the row has.
        """
        return self._rows[row].steps_since(since)

    def pieces(self, ids: Iterable[int]) -> dict[int, str]:
        """The text of single tokens, {id: text}."""
        return prompts.pieces(self.plan.model, list(ids))

    def texts(self, row: int) -> RowTexts:
        """What a row reads as by now: output, text and filled as a Trajectory has them."""
        record, model = self._rows[row], self.plan.model
        whole = "template" in self.plan.settings[row]
        return prompts.row_texts(model, record.tokens, record.writable, whole)

    def _frames(self) -> Generator[Frame, None, None]:
        run = frames(self.plan)
        try:
            for frame in run:
                self.record(frame)
                yield frame
        finally:
            self._ended = True
            run.close()

    def record(self, frame: Frame) -> None:
        """Take the next Frame of this run, which may have been computed elsewhere."""
        self.started = True
        if not frame.step:
            return
        canvas = self.plan.canvas
        self._confidence[:, frame.window] = frame.confidence
        for row in frame.active.nonzero()[0].tolist():
            record, cut = self._rows[row], _columns(canvas, row)
            span = (0, len(record.writable)) if canvas.layout == "first" else _span(record.writable)
            start = max(frame.window.start - cut.start, span[0])
            stop = min(frame.window.stop - cut.start, span[1])
            shift = cut.start - frame.window.start
            seen = slice(start + shift, stop + shift)
            numbers = {name: getattr(frame, name)[row, seen] for name in IN_WINDOW}
            numbers |= {name: getattr(frame, name)[row] for name in COUNTERS}
            if frame.after_filters is not None:
                numbers["after_filters"] = frame.after_filters[row, seen]
            confidence = self._confidence[row, cut]
            record.add(slice(start, stop), frame.tokens[row, cut], confidence, numbers)

    def trajectories(self) -> list[Trajectory]:
        """What was recorded so far, a Trajectory a row."""
        return [self._trajectory(row) for row in range(self.rows)]

    def _trajectory(self, row: int) -> Trajectory:
        plan, texts = self.plan, self.texts(row)
        arrays: dict[str, Any] = self._rows[row].arrays(self._ended)
        ids = distinct_ids(arrays["tokens"], arrays["predicted"], arrays["top_ids"])
        names: dict[str, Any] = {
            "task": plan.task,
            "model": self._card["name"],
            "sampler": plan.sampler.name,
            "seed": plan.seed,
            "row": plan.first_row + row,
        }
        return Trajectory(
            **arrays,
            writable=self._rows[row].writable,
            draws=self._rows[row].draws(),
            output=texts.output,
            text=texts.text,
            filled=texts.filled,
            pieces=self.pieces(sorted(ids)),
            run_id=run_id(plan.settings[row], **names),
            settings=plan.settings[row],
            card=dict(self._card),
            **names,
        )


def _columns(canvas: Canvas, row: int) -> slice:
    """The columns of a row that are no pads."""
    seen = canvas.visible[row].numpy()
    first = int(seen.argmax())
    return slice(first, first + int(seen.sum()))


def _row(canvas: Canvas, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and writable [L] of a row, pads cut away."""
    cut = _columns(canvas, row)
    return canvas.tokens[row, cut].numpy(), canvas.writable[row, cut].numpy()


def _span(writable: np.ndarray) -> tuple[int, int]:
    columns = writable.nonzero()[0]
    return int(columns[0]), int(columns[-1]) + 1


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
    draft: Any = None,
    **params: Any,
) -> Iterator[Frame]:
    """The Frames of a run as they happen; see `run` for the arguments."""
    request = RunRequest(
        sampler, model, prompts, template, gen_length, seed, rows, first_row, preset,
        chat_template_kwargs, params, draft=draft,
    )  # fmt: skip
    return iter(Recorder(plan(request)))


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
    draft: Any = None,
    **params: Any,
) -> list[Trajectory]:
    """Run a sampler to its end and return a Trajectory a row.

    model: a Model, a model name or a task name. prompts: text, token ids, a chat ({role, content}),
    or a list of those; text is never read as a special token. Without a prompt ("" or None) a row
    begins with the model's start token, where it has one. template: the same with `[MASK]` or
    `[MASK]*8` as masked positions; then prompts and gen_length stay out. gen_length: 64, or what
    the oracle's length leaves; a block_length beyond it makes one block of what is there. rows:
    copies of each prompt; copy number r (counted over all prompts) draws from (seed,
    first_row + r), so a row alone is the same call with its first_row. preset: a sampler's named
    settings, which parameters override. chat_template_kwargs: what the model's chat template takes
    besides the chat, such as {"enable_thinking": False}. draft: what stands at the first masked
    positions as the run begins, as text (with [MASK] for what is open) or ids, to be looked at anew
    by a sampler that edits or remasks.

    Other names are the sampler's parameters. ValueError (rule, value, way out) before any call.
    """
    request = RunRequest(
        sampler, model, prompts, template, gen_length, seed, rows, first_row, preset,
        chat_template_kwargs, params, draft=draft,
    )  # fmt: skip
    recorder = Recorder(plan(request))
    for _ in recorder:
        pass
    return recorder.trajectories()
