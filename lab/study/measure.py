"""One cell measured: its rows run in batches without a record, counted, timed and scored."""

import hashlib
import math
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.models.judge import nats_of
from lab.models.load import load
from lab.record.metrics import distinct, entropy
from lab.record.trajectory import canonical
from lab.run import prompts
from lab.run.plan import Plan, versions
from lab.study.cells import Cell, fingerprint
from lab.tasks import TASKS
from lab.tasks.task import Instance
from samplers.noise import Noise

HASH_DIGITS = 16


class Meter:
    """A denoiser that counts what each row asks for. Nothing of the answers is kept."""

    def __init__(self, denoise: Any, rows: int):
        self.card, self._denoise = denoise.card, denoise
        self._device = denoise.canvas.tokens.device
        self.calls = torch.zeros(rows, dtype=torch.int64)
        self.seconds = torch.zeros(rows, dtype=torch.float64)  # a call's, shared by its rows

    def __call__(self, tokens: Tensor, **options: Any) -> Tensor:
        began = self._now()
        logits = self._denoise(tokens, **options)
        self._charge(self._now() - began)
        self.calls += self._denoise.callers * (2 if options.get("guidance") else 1)
        return logits

    def each(self, canvases: Tensor, **options: Any) -> Tensor:
        """Several canvases of a row in one pass: a call each."""
        began = self._now()
        logits = self._denoise.each(canvases, **options)
        self._charge(self._now() - began)
        self.calls += self._denoise.callers
        return logits

    def with_quality(self, tokens: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        """A call whose answer also says how likely written tokens are right."""
        began = self._now()
        answers = self._denoise.with_quality(tokens, **options)
        self._charge(self._now() - began)
        self.calls += self._denoise.callers
        return answers

    def draft(self, tokens: Tensor, **options: Any) -> Tensor:
        """Time the draft model; it is no call of the model."""
        began = self._now()
        logits = self._denoise.draft(tokens, **options)
        self._charge(self._now() - began)
        return logits

    def reward(self, texts: Tensor, name: str) -> Tensor:
        """What whole texts are worth."""
        return self._denoise.reward(texts, name)

    @property
    def frequencies(self) -> Tensor:
        """How often each token occurs [V]."""
        return self._denoise.frequencies

    @property
    def columns_fed(self) -> Tensor:
        """How many columns the model really computed for each row [B]."""
        return self._denoise.columns_fed

    def _now(self) -> float:
        """Seconds of a clock, once a GPU has done all that it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()

    def _charge(self, spent: float) -> None:
        callers = (self._denoise.callers > 0).double()
        self.seconds += callers * (spent / max(float(callers.sum()), 1.0))


def nothing() -> None:
    """What is called between two steps where nothing is to be done."""


def measure(cell: Cell, study: str) -> list[dict[str, Any]]:
    """The rows of one cell, as lab.study.results has them."""
    return [row for batch in batches(cell, study) for row in batch]


def batches(
    cell: Cell, study: str, between: Callable[[], None] = nothing
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a cell as they are measured; `between` is called after every step, and may raise
    to end the run."""
    for each, batch in cell.plans():
        yield list(_rows(cell, study, each, batch, between))


@torch.no_grad()
def run(plan: Plan, between: Callable[[], None] = nothing) -> tuple[Tensor, Meter, float]:
    """Run a plan without a record: tokens [B, T], what was counted, seconds in all."""
    opened = plan.model.open(plan.canvas, plan.values.get("block_length"))
    meter = Meter(opened, len(plan.canvas.tokens))
    noise = Noise(plan.seed, range(plan.first_row, plan.first_row + len(plan.canvas.tokens)))
    tokens, began = opened.canvas.tokens, perf_counter()
    for step in plan.sampler(meter, opened.canvas, noise, **plan.values):
        tokens = step.tokens
        between()
    tokens = tokens.cpu()
    noise.check()
    return tokens, meter, perf_counter() - began


def _rows(
    cell: Cell, study: str, plan: Plan, batch: list[Instance], between: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    tokens, meter, seconds = run(plan, between)
    task, model = TASKS[cell.task], plan.model
    judged = _judged(cell, plan, tokens)
    shared = {
        "study": study, "task": cell.task, "case": cell.case, "model": cell.model,
        "fingerprint": fingerprint(cell.model), "sampler": cell.sampler,
        "preset": cell.setting.preset or "", "settings": canonical(plan.values),
        "setting": cell.setting.label, "seed": cell.seed, "versions": canonical(versions()),
        "instances": cell.instances, "gen_length": cell.gen_length or 0,
    }  # fmt: skip
    pieces: dict[int, str] = {}
    for number, instance in enumerate(batch):
        seen = plan.canvas.visible[number]
        ids = tokens[number][seen].numpy()
        writable = plan.canvas.writable[number][seen].numpy()
        output = prompts.output(model.card, ids, writable)
        pieces |= prompts.pieces(model, sorted(set(ids.tolist()) - pieces.keys()))
        words = [pieces[i] for i in ids.tolist()]
        score = task.score(words, instance if instance.solution else None)
        text = [token for token in output if token not in (*model.card.eos_ids, model.card.mask_id)]
        yield shared | {
            "instance": plan.first_row + number,
            "row": plan.first_row + number,
            "score": score.value,
            "message": score.message,
            "calls": int(meter.calls[number]),
            "columns_fed": int(meter.columns_fed[number]),
            "tokens": len(output),
            "model_seconds": float(meter.seconds[number]),
            "seconds": seconds / len(batch),
            "nats": judged[number] if judged else _nats(task, words, score.value),
            "entropy": entropy(text),
            "distinct_2": distinct(text, 2),
            "text": prompts.decode(model, output),
            "token_hash": token_hash(output),
        }


def _judged(cell: Cell, plan: Plan, tokens: Tensor) -> list[float] | None:
    judge = TASKS[cell.task].judge
    if judge is None:
        return None
    return nats_of(
        load(judge, device=cell.device), tokens, plan.canvas.writable, plan.canvas.visible
    )


def _nats(task: Any, words: list[str], value: float) -> float:
    """Nats a token under the task's own truth, where it is known and the text is finished."""
    if task.log_prob is None or math.isnan(value):
        return math.nan
    return -task.log_prob(words) / max(len(words), 1)


def token_hash(ids: list[int]) -> str:
    """What names the output of a row: equal for equal ids."""
    data = np.asarray(ids, np.int64).tobytes()
    return hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
