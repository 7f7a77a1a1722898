"""Parameters that several samplers share, described once: type, limits, slider step, help."""

from typing import Annotated

from .registry import Choice, Flag, Range
from .schedules import GRIDS, SCHEDULES

Steps = Annotated[
    int,
    Range(
        1, 5000, 1, "Most model calls for one block (the whole canvas where there are no blocks)."
    ),
]
BlockLength = Annotated[
    int, Range(1, 1024, 1, "Tokens in a block; blocks are filled left to right.")
]
Threshold = Annotated[float, Range(0.0, 1.0, 0.01, "Commit every token more likely than this.")]
Temperature = Annotated[
    float,
    Range(
        0.0, 2.0, 0.05, "0 takes the most likely token, 1 draws from the model's own distribution."
    ),
]
TopK = Annotated[int, Range(1, 200_000, 1, "Draw from the k most likely tokens only.")]
TopP = Annotated[
    float, Range(0.0, 1.0, 0.01, "Draw from the nucleus of this probability mass only.")
]
NucleusRule = Annotated[
    str,
    Choice(
        ("keep_crossing", "drop_crossing"),
        "Whether the nucleus keeps the token that crosses top_p (Hugging Face) or drops it "
        "(kuleshov-group).",
    ),
]
AlphaSchedule = Annotated[
    str, Choice(tuple(SCHEDULES), "The curve alpha(t): how much is clean at time t.")
]
Grid = Annotated[
    str, Choice(tuple(GRIDS), "Times evenly spaced in t, or in its square root (finer at the end).")
]
EosEarlyStop = Annotated[
    bool, Flag("End a row at its first EOS; off: fill on, and still return up to that EOS.")
]
SamplingEps = Annotated[
    float,
    Range(
        0.0,
        0.1,
        1e-5,
        "The last time of the grid; above 0, one more call fills what is left by argmax, as "
        "published.",
    ),
]
