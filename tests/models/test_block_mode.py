"""A causal model's block mode: what a block sees, from the cache of the causal mode or without."""

import json
from itertools import product

import pytest
import torch

import lab
from lab.models.attention import with_block
from lab.models.card import read_card
from lab.models.model import Opened
from lab.models.transformers.checkpoint import Checkpoint
from lab.train.learner import Learner
from lab.train.objectives import drafts
from samplers.canvas import Canvas
from tests.kit import tiny
from tests.kit.chain import DATA, MASK, PI, SEQUENCES, A, posterior
from tests.kit.laws import record

LOWEST = torch.finfo(torch.float32).min


@pytest.fixture(scope="module")
def model():
    return tiny.networks()[tiny.JOINT]


def canvas_of(model, lengths):
    """Rows of these lengths, padded on the left."""
    ids, longest = tiny.prompts(lengths), max(lengths)
    tokens = torch.tensor([[77] * (longest - len(row)) + row for row in ids])
    seen = torch.tensor([[False] * (longest - n) + [True] * n for n in lengths])
    return Canvas(tokens, seen & False, seen, model.card.mask_id)


def close(left, right):
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)


def by_hand(model, line, window):
    """Logits of one row's block from the network itself, under a mask that is written here."""
    size = window.stop
    allowed = torch.tensor(
        [[j <= i or i >= window.start for j in range(size)] for i in range(size)]
    )
    mask = torch.zeros(1, 1, size, size).masked_fill(~allowed, LOWEST)
    with torch.no_grad():
        logits = model.network(line[None, :size], attention_mask=mask).logits[:, window]
    banned = torch.tensor([model.card.mask_id, model.card.pad_id])
    return logits.index_fill(-1, banned, -torch.inf)


@pytest.mark.parametrize("window", [slice(6, 10), slice(6, 7), slice(0, 4), slice(8, 12)], ids=str)
def test_block_sees_prefix_read_causally_and_itself(model, window):
    canvas = canvas_of(model, [12])
    canvas.tokens[0, [7, 8, 9]] = model.card.mask_id
    answer = Opened(model, canvas, caches=False)(canvas.tokens, window=window, block_mode=True)
    close(answer, by_hand(model, canvas.tokens[0], window))
    if window.stop < 12:
        junk = canvas.tokens.clone()
        junk[:, window.stop :] = 99
        close(Opened(model, canvas, caches=False)(junk, window=window, block_mode=True), answer)


def test_both_modes_answer_from_one_cache_as_without(model):
    """Rounds of a draft and a check, of which one to three columns stand, with pads."""
    canvas, x = canvas_of(model, [26, 30, 21]), None
    opened, width, compared = model.open(canvas), 4, 0
    rows, first = torch.tensor([True, True, True]), 14
    for taken in (1, 3, 2, 1):
        x = canvas.tokens.clone()
        x[:, first : first + width - 1] = model.card.mask_id
        for block_mode, window in (
            (True, slice(first - 1, first + width - 1)), (False, slice(first, first + width)),
        ):  # fmt: skip
            fresh = Opened(model, canvas, caches=False)
            expected = fresh(x, window=window, rows=rows, block_mode=block_mode)
            close(opened(x, window=window, rows=rows, block_mode=block_mode), expected)
            x, compared = canvas.tokens, compared + 1
        first += taken
        rows = torch.tensor([True, taken != 3, True])
    assert compared == 8 and opened._cache.length > 12, "the cache was never used"


def test_block_reads_only_what_is_new(model):
    canvas = canvas_of(model, [30])
    opened = model.open(canvas)
    opened(canvas.tokens, window=slice(20, 24))
    before = int(opened.columns_fed[0])
    opened(canvas.tokens, window=slice(20, 24), block_mode=True)
    assert int(opened.columns_fed[0]) - before == 5  # column 19 changes no more, and is read anew
    opened(canvas.tokens, window=slice(20, 24), block_mode=True)
    assert int(opened.columns_fed[0]) - before == 9


def test_column_of_block_is_read_causally_once_it_is_left(model):
    canvas = canvas_of(model, [30])
    opened = model.open(canvas)
    for first in (10, 12, 13):
        window = slice(first, first + 4)
        expected = Opened(model, canvas, caches=False)(
            canvas.tokens, window=window, block_mode=True
        )
        close(opened(canvas.tokens, window=window, block_mode=True), expected)


def test_block_is_what_objective_trains(model):
    """At every block of a text that is noisy there and clean before."""
    learner = Learner(model.network, (model.card.mask_id, model.card.pad_id))
    tokens = torch.tensor(tiny.prompts([16, 16]))
    problem = drafts(tokens, model.card.mask_id, torch.Generator().manual_seed(0), block_length=4)
    with torch.no_grad():
        trained = torch.zeros(2, 32, model.card.vocab_size)
        trained[problem.loss_mask] = learner.logits(problem)
    for first in range(0, 16, 4):
        window = slice(first, first + 4)
        x = tokens.clone()
        x[:, window] = problem.inputs[:, window]
        scored = problem.loss_mask[:, window]
        answer = model.open(canvas_of(model, [16, 16]))(x, window=window, block_mode=True)
        close(answer[scored], trained[:, window][scored])


def test_pad_in_window_is_seen_by_nobody(model):
    canvas = canvas_of(model, [4, 10])
    answer = model.open(canvas)(canvas.tokens, window=slice(4, 10), block_mode=True)
    alone = canvas_of(model, [4])
    expected = model.open(alone)(alone.tokens, window=slice(0, 4), block_mode=True)
    close(answer[0, 2:], expected[0])
    columns, seen = torch.arange(3), torch.tensor([[False, True, True]])
    mask = with_block(torch.eye(3, dtype=torch.bool)[None, None], seen, 0, columns, columns)
    assert mask[0, 0].int().tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 1]]


def test_start_before_first_column_is_part_of_prefix(model):
    behind = Checkpoint(model.network, model.card, start_id=60)
    canvas = canvas_of(model, [9])
    with_start = torch.cat([torch.tensor([[60]]), canvas.tokens], 1)
    for window in (slice(0, 4), slice(5, 9)):
        answer = behind.open(canvas)(canvas.tokens, window=window, block_mode=True)
        moved = slice(window.start + 1, window.stop + 1)
        close(answer, by_hand(model, with_start[0], moved))


def test_exact_block_mode_knows_window_and_what_is_left():
    model = lab.oracle(PI, A, length=4, draft_length=2)
    canvases = torch.tensor(list(product(range(4), repeat=4)))
    seen = torch.ones_like(canvases, dtype=torch.bool)
    logits = model.open(Canvas(canvases, seen, seen, MASK))(
        canvases, window=slice(1, 3), block_mode=True
    )
    for canvas, answer in zip(canvases, logits, strict=True):
        known = canvas[:3]
        fits = ((known == MASK) | (known == SEQUENCES[:, :3])).all(-1)
        expected = posterior(DATA * fits, 4)[1:3]
        assert torch.allclose(answer[:, :MASK].exp().double(), expected, atol=1e-6)


def test_folder_says_whether_it_has_one(tmp_path):
    folder = tiny.write(tmp_path / "joint", tiny.JOINT)
    assert lab.load(str(folder)).card.joint_length == tiny.DRAFT_LENGTH
    facts = json.loads((folder / "lab.json").read_text())
    for change in ({"joint_length": 1}, {"joint_length": True}, {"attention": "full"}):
        (folder / "lab.json").write_text(json.dumps({**facts, **change}))
        read_card.cache_clear()
        with pytest.raises(ValueError, match=r"joint_length of joint must be .* of a causal model"):
            lab.load(str(folder))


def test_pair_with_draft_model_drafts_by_that(tmp_path):
    folder = tiny.write(tmp_path / "pair", tiny.DRAFTED)
    target = tmp_path / "target" / "lab.json"
    target.write_text(json.dumps({**json.loads(target.read_text()), "joint_length": 4}))
    read_card.cache_clear()
    assert lab.load(str(tmp_path / "target")).card.joint_length == 4
    pair = lab.load(str(folder))
    assert pair.card.joint_length is None and pair.card.draft_length
    with pytest.raises(ValueError, match="self_speculation needs a causal model that also has"):
        record("self_speculation", pair, "x")
