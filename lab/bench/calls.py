"""A call of a checkpoint beside the same network in plain torch: what lies around it costs."""

from typing import Any

import pandas as pd
import torch

import samplers
from lab.bench.decoder import decoder
from lab.bench.handwritten import Handwritten
from lab.bench.machine import machine_columns
from lab.bench.timing import measure, ratio, spread
from lab.models.model import Opened
from lab.run import limits
from samplers.canvas import Canvas

COLUMNS, WINDOW = 128, 32  # of the canvas, and those at its end that are asked about


def calls(vocabulary: int, repeats: int = 5, device: str | None = None) -> pd.DataFrame:
    """One line a kind of attention: milliseconds of a call, and what that is over one by hand.

    Both have read the prefix before (block-causal), or read all columns (full). AssertionError
    where the two do not answer the same.
    """
    repeats, lines = limits.whole("repeats", repeats, 1, 1000), []
    for name in ("llada2", "llada"):
        model = decoder(samplers.get(name).needs, vocabulary, device)
        ours, theirs = _sides(model, model.card.attention == "full")
        answer = ours()  # -inf at banned ids, which the network by hand knows nothing of
        same = theirs().where(answer.isfinite(), answer)
        torch.testing.assert_close(answer, same, atol=1e-3, rtol=1e-3)
        seconds = measure({"ours": ours, "by hand": theirs}, repeats, model.device)
        line: dict[str, Any] = {"attention": model.card.attention, "vocabulary": vocabulary,
                                "columns": COLUMNS}  # fmt: skip
        line |= spread([1000 * each for each in seconds["ours"]]).columns("milliseconds")
        line |= ratio(seconds, "ours", "by hand").columns("over_handwritten")
        lines.append(line | machine_columns(model.device))
    return pd.DataFrame(lines)


def _sides(model: Any, full: bool) -> Any:
    ids = torch.randint(2, model.card.vocab_size, (1, COLUMNS),
                        generator=torch.Generator().manual_seed(0)).to(model.device)  # fmt: skip
    window, every = slice(COLUMNS - WINDOW, COLUMNS), torch.ones_like(ids, dtype=torch.bool)
    opened = Opened(model, Canvas(ids, every, every, model.card.mask_id), WINDOW)
    network = Handwritten(model.network)
    first, past = (0 if full else window.start), None
    for block in range(0, first, WINDOW):
        _, past = network(ids[:, block : block + WINDOW], block, past)
    return (
        lambda: opened(ids, window=window),
        lambda: network(ids[:, first:], first, past, WINDOW)[0],
    )
