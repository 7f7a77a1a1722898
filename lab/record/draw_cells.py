"""What written tokens were drawn from: the alternatives after temperature and filters.

It is kept for the positions that a step wrote, so that it costs as much as a text has tokens.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

# The arrays in files, and their dtypes; lines of the last have a number for each alternative.
DRAW_ARRAYS: dict[str, Any] = {
    "draw_step": np.int32, "draw_position": np.int32, "draw_probabilities": np.float32,
}  # fmt: skip


class Draws(NamedTuple):
    """N draws, ascending by step: `probabilities` [N, 5] float32 are those of the top_ids of that
    `step` (from 1) and `position`, after temperature and filters, 0 where they are filtered out.
    """

    step: ndarray
    position: ndarray
    probabilities: ndarray

    def since(self, step: int) -> "Draws":
        """Those of the steps after this one."""
        first = int(np.searchsorted(self.step, step, "right"))
        return Draws(*(values[first:] for values in self))

    def at(self, step: int, position: int) -> ndarray | None:
        """The probabilities [5] of one draw; None where there was none."""
        first, last = np.searchsorted(self.step, (step, step + 1)).tolist()
        here = first + np.flatnonzero(self.position[first:last] == position)
        return self.probabilities[here[0]] if len(here) else None
