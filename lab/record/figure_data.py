"""What the figures show, as plain arrays that tests read and any plotting library can draw."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from lab.record.history import COMMITTED, EDITED, MASK, NOISE, REMASKED, STATES
from lab.record.metrics import written_confidence
from lab.record.trajectory import Trajectory

HOVER_CELLS = 4096  # beyond this many cells a text in each makes the figure slow to send
KINDS = ("committed", "edited", "remasked before", "noise")  # how a final token came to stand


class ConfidencePanel(NamedTuple):
    """One run's heatmap: confidence [S, N] float32, NaN where there is nothing to show."""

    title: str
    position: ndarray  # [N], from 0 at the first writable column
    step: ndarray  # [S], from 1
    confidence: ndarray
    token: list[list[str]] | None  # [S, N], HTML-escaped; None where too many
    text: list[list[str]] | None  # the same with its state
    borders: list[int]  # the positions at which a new block begins


class OrderPanel(NamedTuple):
    """When each token that stands at the end was written: N tokens, up to and with the EOS."""

    title: str
    position: ndarray  # [N]
    step: ndarray  # [N], 0 for a prior that no step touched
    confidence: ndarray  # [N] float32, of that step; NaN where none is known
    kind: list[str]  # [N], a key of KINDS
    text: list[str]  # [N], the token, HTML-escaped
    borders: list[int]
    length: int  # positions there are
    steps: int


class UncertaintyInfo(NamedTuple):
    """One run: how open the model's choice was at every position, and how often it changed."""

    title: str
    position: ndarray  # [N], from 0 at the first writable column
    step: ndarray  # [S], from 1
    entropy: ndarray  # [S, N] float32, nats; NaN where no call looked
    changes: (
        ndarray  # [N], how often the most likely token of a call was not that of the one before
    )
    borders: list[int]


class ProgressLine(NamedTuple):
    """How far one run was: `left` [S + 1] is the share of its positions that were open, masked or
    noise, after so many `calls` [S + 1]."""

    title: str
    calls: ndarray
    left: ndarray


class ConfidenceInfo(NamedTuple):
    """What plot_confidence draws, a panel a run."""

    panels: list[ConfidencePanel]


class OrderInfo(NamedTuple):
    """What plot_order draws, a panel a run."""

    panels: list[OrderPanel]


def confidence_info(runs: Sequence[Trajectory]) -> ConfidenceInfo:
    """Confidence by step and generated position; masks, prompt and what follows the EOS blank."""
    return ConfidenceInfo([_confidence_panel(run) for run in runs])


def order_info(runs: Sequence[Trajectory]) -> OrderInfo:
    """The step that wrote each final token, by position."""
    return OrderInfo([_order_panel(run) for run in runs])


def progress_info(runs: Sequence[Trajectory]) -> list[ProgressLine]:
    """The realised schedule of each run: what was open after every call."""
    lines = []
    for run in runs:
        open_ = (
            np.isin(run.state[:, _span(run)], (MASK, REMASKED, NOISE)) & run.writable[_span(run)]
        )
        share = open_.sum(1) / max(int(run.writable.sum()), 1)
        lines.append(ProgressLine(_title(run), np.concatenate([[0], run.calls]), share))
    return lines


def uncertainty_info(run: Trajectory) -> UncertaintyInfo:
    """Entropy by step and generated position, and the changes of each position's most likely token.

    Where a file left the most likely tokens out, the tokens that the sampler chose stand for them.
    """
    span = _span(run)
    best = run.predicted if run.top_ids is None else run.top_ids[..., 0]
    best = best[:, span]
    changes = np.zeros(best.shape[1], np.int64)
    latest = np.full(best.shape[1], -1, best.dtype)
    for line in best:
        known = line >= 0
        changes += known & (latest >= 0) & (line != latest)
        latest = np.where(known, line, latest)
    entropy = run.entropy[:, span]
    steps, length = entropy.shape
    return UncertaintyInfo(
        _title(run), np.arange(length), np.arange(1, steps + 1), entropy, changes,
        _borders(run, span),
    )  # fmt: skip


def _confidence_panel(run: Trajectory) -> ConfidencePanel:
    span = _span(run)
    state = run.state[1:, span]
    visible = np.isin(state, (COMMITTED, EDITED, NOISE))
    confidence = np.where(visible, run.confidence[:, span], np.float32(np.nan))
    steps, length = confidence.shape
    token = text = None
    if confidence.size <= HOVER_CELLS:
        cells, where = np.unique(
            run.tokens[1:, span].astype(np.int64) * len(STATES) + state, return_inverse=True
        )
        tokens = [_token(run, c // len(STATES)) for c in cells.tolist()]
        states = [STATES[c % len(STATES)] for c in cells.tolist()]
        texts = [f"{one} · {state}" for one, state in zip(tokens, states, strict=True)]
        where = where.reshape(visible.shape)
        token, text = (
            np.where(visible, np.array(each, object)[where], "").tolist() if steps else []
            for each in (tokens, texts)
        )
    return ConfidencePanel(
        _title(run),
        np.arange(length),
        np.arange(1, steps + 1),
        confidence,
        token,
        text,
        _borders(run, span),
    )


def _order_panel(run: Trajectory) -> OrderPanel:
    span = _span(run)
    state = run.state[-1, span]
    position = np.flatnonzero(np.isin(state, (COMMITTED, EDITED, NOISE)))
    kind = np.select(
        [state == NOISE, run.remasks[:, span].any(0), run.edits[:, span].any(0)],
        ["noise", "remasked before", "edited"],
        "committed",
    )
    return OrderPanel(
        _title(run),
        position,
        run.committed_step[-1, span][position],
        written_confidence(run)[span][position],
        kind[position].tolist(),
        [_token(run, token) for token in run.tokens[-1, span][position].tolist()],
        _borders(run, span),
        span.stop - span.start,
        len(run.predicted),
    )


def _span(run: Trajectory) -> slice:
    columns = np.flatnonzero(run.writable)
    return slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 0)


def _borders(run: Trajectory, span: slice) -> list[int]:
    begins = {int(run.start[run.block == block].min()) for block in np.unique(run.block)}
    ends = {int(run.stop.max())} if len(run.stop) else set()
    return sorted(edge - span.start for edge in begins | ends if span.start < edge < span.stop)


def _title(run: Trajectory) -> str:
    row = f" · row {run.row}" if run.row else ""
    return html.escape(_visible(f"{run.sampler} on {run.model}{row}", " ")[:44])


def _token(run: Trajectory, token: int) -> str:
    return html.escape(_visible(run.piece(token))[:24]) or "(empty)"


def _visible(text: str, space: str = "␣") -> str:
    """Nothing invisible, nothing that turns the direction of the line, no lone surrogate."""
    glyphs = {" ": space, "\n": "⏎"}
    return "".join(glyphs.get(c) or (c if c.isprintable() else ascii(c).strip("'")) for c in text)
