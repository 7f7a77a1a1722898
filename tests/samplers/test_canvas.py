"""Canvas: where blocks begin, what is masked, when a row is finished; write."""

import pytest
import torch

from samplers.canvas import Canvas, write

torch.set_num_threads(1)


def test_write_leaves_old_canvas_unchanged():
    x = torch.zeros(2, 5, dtype=torch.int64)
    new = write(x, slice(1, 3), torch.tensor([[True, False]] * 2), torch.full((2, 2), 7))
    assert not x.any() and new.tolist() == [[0, 7, 0, 0, 0]] * 2


MASK, EOS = 9, 8


def canvas(rows, layout="whole", block_length=None, prompt=0):
    tokens = torch.tensor(rows)
    free = (torch.arange(tokens.shape[1]) >= prompt).expand(tokens.shape)
    seen = torch.ones_like(free)
    return Canvas(tokens, free, seen, MASK, (EOS,), layout, block_length)


@pytest.mark.parametrize(
    ("layout", "block_length", "edges"),
    [
        ("whole", 4, [(3, 12)]),
        ("prompt", None, [(3, 12)]),
        ("prompt", 4, [(3, 7), (7, 11), (11, 12)]),
        ("prompt", 20, [(3, 12)]),
        ("first", 4, [(0, 4), (4, 8), (8, 12)]),
        ("first", 2, [(2, 4), (4, 6), (6, 8), (8, 10), (10, 12)]),
    ],
)
def test_blocks_begin_where_layout_says(layout, block_length, edges):
    row = [[1, 2, 3] + [MASK] * 9]
    blocks = canvas(row, layout, block_length, prompt=3).blocks()
    assert [(block.start, block.stop) for block in blocks] == edges


def test_row_is_finished_at_eos_without_masks_before_it():
    rows = [[EOS, 1, EOS, MASK], [EOS, MASK, EOS, 1], [EOS, 1, 2, 3]]
    one = canvas(rows, prompt=1)
    assert one.finished(one.tokens).tolist() == [True, False, False], "column 0 is the prompt"
    masked = one.masked(one.tokens, slice(1, 4))
    assert masked.int().tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    everything = one.masked(one.tokens, slice(1, 4), torch.zeros(3, dtype=torch.bool))
    assert everything.sum() == 2
