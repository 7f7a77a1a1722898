"""Small Trajectories made by hand: letters are tokens, `_` a mask, `.` (after EOS) any masked
position."""

import numpy as np

from lab.record.trajectory import Trajectory, run_id

MASK, EOS = 9, 8
LETTERS = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "_": MASK, "$": EOS, "-": -1}
PIECES = {0: " a", 1: " b", 2: " c", 3: " d", 4: " e", EOS: "<end>", MASK: "[MASK]"}


def ids(line: str) -> list[int]:
    """Token ids of a line such as "ab_$"; `-` is -1."""
    return [LETTERS[letter] for letter in line]


def make(
    lines: list[str],
    predictions: list[str] | None = None,
    *,
    prompt: int = 0,
    corruption: str = "absorbing",
    mask_id: int | None = MASK,
    **changes,
) -> Trajectory:
    """A Trajectory whose canvas reads `lines`; confidence of step s, position i is (s + i/100)/10.

    `predictions` default to what each step left standing; `changes` replace whole fields.
    """
    tokens = np.array([ids(line) for line in lines])
    steps, length = len(lines) - 1, len(lines[0])
    predicted = np.array([ids(line) for line in predictions]) if predictions else tokens[1:]
    number = np.arange(1, steps + 1)
    grid = (number[:, None] + np.arange(length) / 100) / 10
    grid = np.where(np.arange(length) >= prompt, grid, np.nan).reshape(steps, length)
    settings = {"steps": 4, "threshold": None, "prompt": "a", "schema": 1}
    fields = {
        "tokens": tokens,
        "predicted": predicted.reshape(steps, length),
        "confidence": grid,
        "entropy": grid * 2,
        "score": np.where(grid > 0.15, grid, np.nan),
        "start": np.full(steps, prompt),
        "stop": np.full(steps, length),
        "block": np.zeros(steps),
        "calls": number,
        "seconds": number * 0.1,
        "model_seconds": number * 0.07,
        "columns_fed": number * 5,
        "writable": np.arange(length) >= prompt,
        "output": [i for i in tokens[-1, prompt:].tolist() if i != mask_id],
        "text": "a text",
        "filled": ["a text"],
        "pieces": PIECES,
        "run_id": run_id(settings, sampler="mdlm"),
        "task": "capitals",
        "model": "capitals/table",
        "sampler": "mdlm",
        "seed": 3,
        "row": 0,
        "settings": settings,
        "card": {"mask_id": mask_id, "eos_ids": [EOS], "vocab_size": 10, "corruption": corruption},
    }
    return Trajectory(**(fields | changes))
