"""The training loop: accelerate, exact resume, a CSV log, a progress bar on terminals."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.optim.swa_utils import AveragedModel

from lab.train.corpus import generator, window_length
from lab.train.draft_learner import Blocks, DraftLearner
from lab.train.learner import Learner
from lab.train.problem import Problem
from lab.train.quality_learner import Filling, QualityLearner
from lab.train.settings import USUAL, TrainSettings


class Progress:
    """How far a run is: steps done, tokens seen by all processes, seconds trained."""

    def __init__(self) -> None:
        self.step, self.tokens, self.seconds = 0, 0, 0.0

    def state_dict(self) -> dict[str, float]:
        """Everything, for accelerate's save_state."""
        return {"step": self.step, "tokens": self.tokens, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Undo state_dict."""
        self.step, self.tokens = int(state["step"]), int(state["tokens"])
        self.seconds = float(state["seconds"])

    def fraction(self, settings: TrainSettings) -> float:
        """Share of the budget used, 0 to 1: by steps where they are given, else by minutes."""
        if settings.steps is not None:
            return min(1.0, self.step / settings.steps)
        return min(1.0, self.seconds / (60 * (settings.minutes or 0.0)))


def moving_average(network: torch.nn.Module, decay: float, device: torch.device) -> AveragedModel:
    """An exponential moving average of a model's weights that forgets faster while it is young."""

    def mix(old: Any, new: Any, updates: torch.Tensor | int) -> None:
        step = int(updates) - 1
        for mean, value in zip(old, new, strict=True):
            mean.lerp_(value, 1 - min(decay, (1 + step) / (10 + step)))

    averaged = AveragedModel(network, device, multi_avg_fn=mix)
    averaged.n_averaged += 1  # the start counts: the first update mixes, it does not replace
    return averaged


def learning_rate(settings: TrainSettings, progress: Progress) -> float:
    """Warmup, level, then cosine to 2 % over the last share `decay` of the budget."""
    warm = min(1.0, (progress.step + 1) / max(1, settings.warmup))
    left = 1 - progress.fraction(settings)
    share = 1.0 if left >= settings.decay else 1 - left / settings.decay
    cosine = 1.0 if left >= settings.decay else 0.5 * (1 + math.cos(math.pi * share))
    return settings.learning_rate * warm * (0.02 + 0.98 * cosine)


def optimizer_of(learner: torch.nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW, with weight decay for matrices alone."""
    matrices = [value for value in learner.parameters() if value.ndim > 1]
    vectors = [value for value in learner.parameters() if value.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


class TrainingRun:
    """One training run in a folder: state/ to resume from, settings.json, log.csv."""

    def __init__(
        self,
        settings: TrainSettings,
        learner: Learner | DraftLearner | QualityLearner,
        windows: Callable[[int, int, torch.Generator], torch.Tensor],
        problem: Callable[..., Problem | Blocks | Filling],
        accelerator: Accelerator,
    ) -> None:
        self.folder, self.settings, self.windows = settings.work, settings, windows
        self.problem, self.accelerator = problem, accelerator
        self.progress = Progress()
        self.average = moving_average(learner.network, settings.ema, accelerator.device)
        self.network = learner.network
        self.learner, self.optimizer = accelerator.prepare(learner, optimizer_of(learner, settings))
        accelerator.register_for_checkpointing(self.progress, self.average)

    def save(self) -> None:
        """Write the state beside the old one, then swap: a kill at any moment leaves one whole."""
        new, state, old = (self.folder / name for name in ("state.new", "state", "state.old"))
        if self.accelerator.is_main_process:
            shutil.rmtree(new, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(new))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            shutil.rmtree(old, ignore_errors=True)
            if state.exists():
                state.rename(old)
            new.rename(state)
            shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def load(self) -> None:
        """Continue from the last whole state."""
        states = [self.folder / name for name in ("state", "state.old")]
        state = next((path for path in states if path.exists()), None)
        if state is None:
            raise ValueError(f"nothing to resume in {self.folder}; leave --resume out")
        self.accelerator.load_state(str(state))

    def steps(self) -> Iterator[float]:
        """Train to the end of the budget; yield the loss (nats a token) after every step."""
        settings, progress, processes = self.settings, self.progress, self.accelerator.num_processes
        self.learner.train()
        while progress.fraction(settings) < 1:
            start = time.perf_counter()
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(settings, progress)
            length = window_length(settings.lengths, settings.seed, progress.step)
            rows = max(1, settings.tokens_per_batch // length)
            loss = self._step(rows, length)
            self.average.update_parameters(self.network)
            progress.step += 1
            progress.tokens += rows * length * settings.accumulate * processes
            seconds = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
            if processes > 1:
                # By one clock: every process must save, and end, at the same step.
                seconds = self.accelerator.reduce(seconds.to(loss.device), "mean").cpu()
            progress.seconds += float(seconds)
            yield float(loss)

    def _step(self, rows: int, length: int) -> torch.Tensor:
        """One optimizer step over its micro-batches of rows [rows, length]; their mean loss."""
        settings, accelerator = self.settings, self.accelerator
        loss = torch.zeros((), device=accelerator.device)
        for micro in range(settings.accumulate):
            # Data and noise are functions of (seed, step, process): nothing of them to save.
            numbers = (settings.seed, self.progress.step, 2 + micro, accelerator.process_index)
            random = generator(*numbers)
            problem = self.problem(self.windows(rows, length, random), random=random)
            with accelerator.accumulate(self.learner):
                part = self.learner(problem)
                accelerator.backward(part)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self.learner.parameters(), settings.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            loss += part.detach() / settings.accumulate
        return loss


def check_resume(folder: Path, recorded: dict[str, Any], resume: bool) -> None:
    """Refuse to overwrite a run, or to resume it with other settings; write settings.json if new.

    recorded: what decides the weights (TrainSettings.recorded). A setting that a run was started
    without has its default there.
    """
    path = folder / "settings.json"
    mine = json.loads(json.dumps(recorded))
    if not resume:
        if path.exists():
            raise ValueError(f"{folder} already holds a run; add --resume or choose another --work")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        return
    if not path.exists():
        raise ValueError(f"nothing to resume in {folder}; leave --resume out")
    theirs = json.loads(path.read_text(encoding="utf-8"))
    theirs = {**json.loads(json.dumps(USUAL)), **theirs}
    different = [key for key in mine if mine[key] != theirs.get(key)]
    if different:
        changes = ", ".join(f"{key} was {theirs.get(key)!r}, is {mine[key]!r}" for key in different)
        raise ValueError(
            f"a resumed run must have the settings it was started with: {changes}; "
            "repeat the first command with --resume, or start a new --work"
        )
