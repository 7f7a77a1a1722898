"""The training loop: accelerate, exact resume, a CSV log, a progress bar on terminals."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from lab.train.data import generator, window_length
from lab.train.network import Learner
from lab.train.objectives import Problem


@dataclass(frozen=True)
class Settings:
    """What decides the weights that come out; a resumed run must have the same.

    data_tokens: tokens of the packed training split. shape: what the model is built from.
    """

    objective: str
    steps: int | None
    minutes: float | None
    tokens_per_batch: int
    accumulate: int
    lengths: tuple[int, ...]
    learning_rate: float
    warmup: int
    decay: float
    weight_decay: float
    clip: float
    ema: float
    seed: int
    masking: str
    low: float
    block_length: int | None
    noise_range: tuple[float, float]
    weighting: str | None
    p_uniform: float | None
    precision: str
    processes: int
    data: str
    data_tokens: int
    shape: dict[str, int]
    init_from: str | None


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

    def fraction(self, settings: Settings) -> float:
        """Share of the budget used, 0 to 1: by steps where they are given, else by minutes."""
        if settings.steps is not None:
            return min(1.0, self.step / settings.steps)
        return min(1.0, self.seconds / (60 * settings.minutes))


class Average:
    """Exponential moving average of a model's weights in float32 (warm: young runs forget
    faster)."""

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {
            name: value.detach().float().clone() for name, value in network.named_parameters()
        }

    @torch.no_grad()
    def update(self, network: torch.nn.Module, step: int) -> None:
        """Move towards the model's weights after step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.named_parameters():
            self.weights[name].lerp_(value.detach().float(), 1 - decay)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The averaged weights, for accelerate's save_state."""
        return self.weights

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Undo state_dict, keeping each weight where it lies."""
        for name, value in state.items():
            self.weights[name].copy_(value)


def learning_rate(settings: Settings, progress: Progress) -> float:
    """Warmup, level, then cosine to 2 % over the last share `decay` of the budget."""
    warm = min(1.0, (progress.step + 1) / max(1, settings.warmup))
    left = 1 - progress.fraction(settings)
    share = 1.0 if left >= settings.decay else 1 - left / settings.decay
    cosine = 1.0 if left >= settings.decay else 0.5 * (1 + math.cos(math.pi * share))
    return settings.learning_rate * warm * (0.02 + 0.98 * cosine)


class Run:
    """One training run in a folder: state/ to resume from, settings.json, log.csv."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        learner: Learner,
        windows: Callable[[int, int, torch.Generator], torch.Tensor],
        problem: Callable[..., Problem],
        accelerator: Accelerator,
    ) -> None:
        self.folder, self.settings, self.windows = folder, settings, windows
        self.problem, self.accelerator = problem, accelerator
        self.progress = Progress()
        self.average = Average(learner.network, settings.ema)
        decayed = [value for value in learner.parameters() if value.ndim > 1]
        plain = [value for value in learner.parameters() if value.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
        )
        self.network = learner.network
        self.learner, self.optimizer = accelerator.prepare(learner, optimizer)
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
        """Go on from the last whole state."""
        kept = [self.folder / name for name in ("state", "state.old")]
        state = next((path for path in kept if path.exists()), None)
        if state is None:
            raise ValueError(f"nothing to resume in {self.folder}; leave --resume out")
        self.accelerator.load_state(str(state))

    def steps(self) -> Iterator[float]:
        """Train to the end of the budget; yield the loss (nats a token) after every step."""
        settings, progress, process = self.settings, self.progress, self.accelerator.process_index
        self.learner.train()
        while progress.fraction(settings) < 1:
            began = time.perf_counter()
            rate = learning_rate(settings, progress)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            # Data and noise are functions of (seed, step, process): nothing of them to save.
            length = window_length(settings.lengths, settings.seed, progress.step)
            rows = max(1, settings.tokens_per_batch // length)
            loss = torch.zeros((), device=self.accelerator.device)
            for micro in range(settings.accumulate):
                random = generator(settings.seed, progress.step, 2 + micro, process)
                problem = self.problem(self.windows(rows, length, random), random=random)
                with self.accelerator.accumulate(self.learner):
                    part = self.learner(problem)
                    self.accelerator.backward(part)
                    if self.accelerator.sync_gradients:
                        self.accelerator.clip_grad_norm_(self.learner.parameters(), settings.clip)
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                loss += part.detach() / settings.accumulate
            self.average.update(self.network, progress.step)
            progress.step += 1
            progress.tokens += rows * length * settings.accumulate * self.accelerator.num_processes
            seconds = torch.tensor(time.perf_counter() - began, dtype=torch.float64)
            if self.accelerator.num_processes > 1:
                # By one clock: every process must save, and end, at the same step.
                seconds = self.accelerator.reduce(seconds.to(loss.device), "mean").cpu()
            progress.seconds += float(seconds)
            yield float(loss)


def check_resume(folder: Path, settings: Settings, resume: bool) -> None:
    """Refuse to overwrite a run, or to go on with other settings; write settings.json if new."""
    path = folder / "settings.json"
    mine = json.loads(json.dumps(asdict(settings)))
    if not resume:
        if path.exists():
            raise ValueError(f"{folder} already holds a run; add --resume or choose another --work")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        return
    if not path.exists():
        raise ValueError(f"nothing to resume in {folder}; leave --resume out")
    theirs = json.loads(path.read_text(encoding="utf-8"))
    different = [key for key in mine if mine[key] != theirs.get(key)]
    if different:
        told = ", ".join(f"{key} was {theirs.get(key)!r}, is {mine[key]!r}" for key in different)
        raise ValueError(
            f"a resumed run must have the settings it began with: {told}; "
            "repeat the first command with --resume, or start a new --work"
        )
