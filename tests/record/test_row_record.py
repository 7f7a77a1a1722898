"""The record while it grows: what is new since a step, and the same arrays at the end."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.record.history import Follower, follow
from lab.record.row_record import GrowingArray, RowRecord

CARDS = st.fixed_dictionaries(
    {
        "mask_id": st.sampled_from([None, 3]),
        "eos_ids": st.sampled_from([[], [2], [1, 2]]),
        "corruption": st.sampled_from(["absorbing", "hybrid", "uniform"]),
    }
)


@st.composite
def rows(draw):
    """Tokens [S+1, L], predicted [S, L], writable [L]: any, though only writable columns change."""
    steps, length = draw(st.integers(0, 7)), draw(st.integers(1, 5))
    cells = st.lists(st.integers(0, 3), min_size=length, max_size=length)
    tokens = np.array([draw(cells) for _ in range(steps + 1)], np.int32)
    writable = np.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    agrees = np.array([draw(cells) for _ in range(steps)], np.int32).reshape(steps, length) < 2
    tokens = np.where(writable, tokens, tokens[0])
    predicted = np.where(agrees, tokens[1:], tokens[1:] - 1).astype(np.int32)
    return tokens, predicted, writable


@settings(deadline=None, max_examples=300)
@given(rows(), CARDS, st.lists(st.integers(0, 7), max_size=5))
def test_history_in_pieces_equals_history_of_whole(row, card, cuts):
    tokens, predicted, writable = row
    whole = follow(tokens, predicted, writable, card)
    follower = Follower(tokens[0], writable, card)
    parts = [(follower.state[None], follower.committed_step[None], *[predicted[:0] > 0] * 3)]
    edges = sorted({0, *(cut for cut in cuts if cut < len(predicted)), len(predicted)})
    for start, stop in pairwise(edges):
        parts.append(follower.advance(tokens[start + 1 : stop + 1], predicted[start:stop]))
        so_far = follow(tokens[: stop + 1], predicted[:stop], writable, card)
        assert np.array_equal(follower.settled_state(), so_far.state[-1])
    state, *others = (np.concatenate(lines) for lines in zip(*parts, strict=True))
    assert np.array_equal(state[:-1], whole.state[:-1])
    for mine, theirs in zip(others, whole[1:], strict=True):
        assert np.array_equal(mine, theirs) and mine.dtype == theirs.dtype


def record(row, card, random=None) -> RowRecord:
    tokens, predicted, writable = row
    result = RowRecord(tokens[0], writable, card)
    for step, line in enumerate(predicted):
        width = len(line)
        numbers = {
            "predicted": line[1:],
            "entropy": np.full(width - 1, step),
            "score": np.full(width - 1, -step),
            "top_ids": np.full((width - 1, 5), step),
            "top_probabilities": np.full((width - 1, 5), 0.5),
            "block": step,
            "calls": 2 * step,
            "seconds": step / 2,
            "model_seconds": step / 4,
            "columns_fed": 3 * step,
        }
        result.add(slice(1, width), tokens[step + 1], np.full(width, step / 8), numbers)
    return result


@settings(deadline=None, max_examples=100)
@given(rows(), CARDS, st.integers(0, 7))
def test_steps_since_are_end_of_all_steps(row, card, since):
    result = record(row, card)
    since = min(since, result.steps)
    result.steps_since(0)
    part, everything = result.steps_since(since), record(row, card).steps_since(0)
    assert part.since == since and everything.since == 0
    for name, values in everything._asdict().items():
        if name not in ("since", "settled_state", "draws"):
            assert np.array_equal(getattr(part, name), values[since:], equal_nan=name == name)
    assert np.array_equal(part.settled_state, everything.settled_state)


def test_steps_hold_window_alone_and_begin_with_line_before():
    row = np.array([[0, 3, 3], [0, 1, 3], [0, 1, 2]], np.int32), np.array([[0, 1, 1], [0, 1, 2]])
    result = record((*row, np.array([False, True, True])), {"mask_id": 3, "eos_ids": [2]})
    first, second = result.steps_since(0), result.steps_since(1)
    assert np.isnan(first.confidence[0]).all() and first.confidence[1:, 0].tolist() == [0, 0.125]
    assert second.tokens.tolist() == [[0, 1, 3], [0, 1, 2]] and second.confidence[0, 0] == 0
    assert np.isnan(first.entropy[:, 0]).all() and first.entropy[1, 1:].tolist() == [1, 1]
    assert first.predicted[:, 0].tolist() == [-1, -1] and first.top_ids[0, 0].tolist() == [-1] * 5
    assert first.start.tolist() == [1, 1] and first.stop.tolist() == [3, 3]
    assert first.calls.tolist() == [0, 2] and second.seconds.tolist() == [0.5]
    assert second.committed_step.tolist() == [[-1, 1, -1], [-1, 1, 2]]
    assert second.commits.tolist() == [[False, False, True]] and not second.edits.any()
    assert second.ids() == {0, 1, 2, 3} and len(result.steps_since(2).calls) == 0
    with pytest.raises(ValueError, match="since must be from 0 to 2, the steps so far, got 3"):
        result.steps_since(3)


def test_what_was_handed_out_stays_while_record_grows():
    row = np.zeros((200, 3), np.int32), np.zeros((199, 3), np.int32), np.ones(3, bool)
    result = RowRecord(row[0][0], row[2], {})
    early = result.steps_since(0)
    grown = record(row, {})
    before = grown.steps_since(3)
    entropy = before.entropy.copy()
    for name in ("tokens", "state"):
        assert getattr(early, name).shape == (1, 3)
    numbers = {name: 9 for name in ("predicted", "entropy", "score", "top_ids", "block", "calls")}
    numbers |= {"top_probabilities": 1, "seconds": 1e9, "model_seconds": 1e9, "columns_fed": 9}
    for _ in range(500):
        grown.add(slice(0, 3), row[0][0] + 7, np.ones(3), numbers)
    assert np.array_equal(before.entropy, entropy, equal_nan=True) and grown.steps == 699
    arrays = grown.arrays(ended=True)
    assert arrays["tokens"].shape == (700, 3) and (arrays["tokens"][200:] == 7).all()


def test_growing_array_keeps_eighth_to_spare():
    grown = GrowingArray((1000,), np.float32)
    for line in range(400):
        grown.add(np.full((1, 1000), line))
    assert grown._values.nbytes <= 400 * 1000 * 4 * 1.15 and grown.copy(399)[0, 0] == 399
    assert grown.whole().shape == (400, 1000) and grown._values.nbytes == 400 * 1000 * 4
