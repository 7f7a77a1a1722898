"""Parameters that several samplers share, described once: type, limits, slider step, help."""

from typing import Annotated

from .registry import Choice, Flag, Range
from .schedules import GRIDS, SCHEDULES

Steps = Annotated[
    int, Range(1, 5000, 1, "Most model calls for one block, or for the canvas without blocks.")
]
BlockLength = Annotated[
    int, Range(1, 1024, 1, "Tokens in a block; blocks are filled left to right.")
]
Threshold = Annotated[
    float, Range(0.0, 1.0, 0.01, "Commit every token whose confidence is above this.")
]
Temperature = Annotated[
    float, Range(0.0, 2.0, 0.05, "1 draws from the model's distribution, 0 takes the top token.")
]
TopK = Annotated[int, Range(1, 200_000, 1, "Draw from the k most likely tokens only.")]
TopP = Annotated[
    float, Range(0.0, 1.0, 0.01, "Draw from the most likely tokens that hold this mass.")
]
NucleusRule = Annotated[
    str,
    Choice(
        ("keep_crossing", "drop_crossing"),
        "The token that crosses top_p: kept (Hugging Face) or dropped (kuleshov-group).",
    ),
]
AlphaSchedule = Annotated[
    str, Choice(tuple(SCHEDULES), "The curve alpha(t): the share still clean at time t.")
]
Grid = Annotated[
    str, Choice(tuple(GRIDS), "Times evenly spaced in t, or in its square root (finer at the end).")
]
EosEarlyStop = Annotated[
    bool, Flag("End a row at its first EOS; off: fill the rest too, return up to that EOS.")
]
SamplingEps = Annotated[
    float,
    Range(0.0, 0.1, 1e-5, "Last time of the grid; above 0 one more call fills the rest by argmax."),
]
