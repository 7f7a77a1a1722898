"""What a run reports while it trains: a CSV log, and a progress line on terminals."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.train.settings import TrainSettings
from lab.train.trainer import Progress, learning_rate

COLUMNS = "step,tokens,seconds,loss,learning_rate,tokens_per_second"


class ProgressLog:
    """Writes log.csv every `every` steps; draws on stderr only if that is a terminal."""

    def __init__(self, path: Path, progress: Progress, every: int = 20) -> None:
        self.path, self.every = path, every
        self.losses: list[float] = []
        self.mark = (progress.tokens, progress.seconds)
        self.live = sys.stderr.isatty()
        lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
        # A killed run may have logged steps that it never saved: they are trained again.
        saved = [line for line in lines if int(line.split(",")[0]) <= progress.step]
        path.write_text("\n".join([COLUMNS, *saved]) + "\n", encoding="utf-8")

    def add(self, progress: Progress, settings: TrainSettings, loss: float) -> None:
        """Take one step's loss, nats a token; every `every` steps write the mean."""
        self.losses.append(loss)
        if progress.step % self.every:
            return
        mean = sum(self.losses) / len(self.losses)
        tokens, seconds = progress.tokens - self.mark[0], progress.seconds - self.mark[1]
        speed = tokens / max(1e-9, seconds)
        self.mark = (progress.tokens, progress.seconds)
        self.losses.clear()
        rate = learning_rate(settings, progress)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(
                f"{progress.step},{progress.tokens},{progress.seconds:.1f},{mean:.4f},"
                f"{rate:.3e},{speed:.0f}\n"
            )
        if self.live:
            self._draw(progress, progress.fraction(settings), mean, speed)

    def _draw(self, progress: Progress, share: float, loss: float, speed: float) -> None:
        left = progress.seconds * (1 - share) / max(share, 1e-9)
        bar = "#" * round(20 * share)
        sys.stderr.write(
            f"\r[{bar:<20}] step {progress.step}  loss {loss:.3f}  {speed:.0f} tokens/s  "
            f"{left / 60:.1f} min left "
        )
        sys.stderr.flush()

    def add_sample(self, text: str) -> None:
        """Write a sample into samples.txt beside the log, and on a terminal."""
        with (self.path.parent / "samples.txt").open("a", encoding="utf-8") as file:
            file.write(text + "\n\n")
        if self.live:
            sys.stderr.write("\n" + text + "\n")
