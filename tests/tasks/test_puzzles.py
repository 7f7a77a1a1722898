"""Puzzles: generated right, held out for good, judged right, and solved by the models that ship."""

import json

import pytest
import torch
from transformers import AutoTokenizer

import lab
from lab import train
from lab.models.word_tokenizer import word_tokenizer
from lab.tasks import checks, puzzles, tables
from lab.tasks.examples import examples
from lab.tasks.puzzles import PUZZLES, WIDTH, addition, chains, held, masked
from lab.train import evaluate, puzzle_rates
from lab.train.data import generator
from lab.train.network import build_puzzle
from lab.train.objectives import mdlm
from lab.train.puzzle_rates import asked, measure, valid
from lab.train.puzzle_ways import ways

BOARDS = [name for name, puzzle in PUZZLES.items() if puzzle.board]


@pytest.fixture(autouse=True, scope="module")
def few_bases():
    """Fewer random fills than training takes: what is asserted holds for each of them."""
    kept, puzzles.BASES = puzzles.BASES, {False: 20, True: 5}
    puzzles.bases.cache_clear()
    yield
    puzzles.BASES = kept
    puzzles.bases.cache_clear()


def written(name: str, row: torch.Tensor) -> list[str]:
    """The words of one row of ids."""
    return [PUZZLES[name].words[i] for i in row.tolist()]


@pytest.mark.parametrize("name", PUZZLES)
@pytest.mark.parametrize("held_out", [False, True])
def test_what_is_drawn_is_right_seeded_and_on_its_side_of_the_split(name: str, held_out: bool):
    puzzle = PUZZLES[name]
    rows = puzzle.draw(60, generator(1), held_out)
    assert rows.shape == (60, puzzle.length)
    assert all(checks.check(name, written(name, row)).right for row in rows)
    question = rows[:, : puzzle.given or None]
    assert bool((held(question) == held_out).all())
    assert torch.equal(rows, puzzle.draw(60, generator(1), held_out))
    assert not torch.equal(rows, puzzle.draw(60, generator(2), held_out))


@pytest.mark.parametrize("name", ["sudoku6", "sudoku9"])
def test_grids_are_distinct_and_their_base_grids_parted(name: str):
    rows = PUZZLES[name].draw(500, generator(3), False)
    assert len({tuple(row) for row in rows.tolist()}) > 495
    board = PUZZLES[name].board
    mine = {tuple(grid) for grid in puzzles.bases(board).flatten(1).tolist()}
    assert not mine & {tuple(grid) for grid in puzzles.bases(board, True).flatten(1).tolist()}


def test_symmetries_reach_every_grid_of_4x4():
    reached = {
        "".join(written("sudoku4", row))
        for held_out in (False, True)
        for row in PUZZLES["sudoku4"].draw(4000, generator(4), held_out)
    }
    assert reached == {"".join(grid) for grid in tables.sudoku_grids()}


def test_puzzles_have_the_givens_asked_for():
    open_cells = masked(50, 81, 30, generator(5))
    assert (~open_cells).sum(1).tolist() == [30] * 50
    assert len({tuple(row) for row in open_cells.tolist()}) == 50


@pytest.mark.parametrize(
    ("first", "second", "chain"),
    [
        ("00000011", "00000022", 0),
        ("00000005", "00000005", 1),
        ("00000095", "00000005", 2),
        ("00000055", "00000055", 1),  # each carry is made where it stands
        ("00099999", "00000001", 5),
        ("09990095", "00000005", 2),  # nines that no carry reaches are no chain
        ("99999999", "00000001", 8),
    ],
)
def test_length_of_a_carry_chain(first: str, second: str, chain: int):
    digits = [torch.tensor([[int(digit) for digit in one]]) for one in (first, second)]
    assert chains(*digits).tolist() == [chain]


@pytest.mark.parametrize(("digits", "chain"), [(2, 0), (4, 2), (8, 5), (8, 8)])
def test_sums_have_the_chain_and_the_digits_asked_for(digits: int, chain: int):
    rows = addition(40, generator(6), True, digits=digits, chain=chain)
    first, second = rows[:, :WIDTH], rows[:, WIDTH + 1 : 2 * WIDTH + 1]
    assert chains(first, second).tolist() == [chain] * 40
    assert int(first[:, : WIDTH - digits].sum() + second[:, : WIDTH - digits].sum()) == 0


def test_training_sums_have_chains_of_every_length():
    rows = torch.cat([addition(50, generator(7, i)) for i in range(30)])
    found = chains(rows[:, :WIDTH], rows[:, WIDTH + 1 : 2 * WIDTH + 1])
    assert set(found.tolist()) >= set(range(WIDTH))


def test_the_question_is_never_noised_and_a_board_is_all_answer():
    sums = addition(32, generator(8))
    asked_for = mdlm(sums, 12, generator(9), given=PUZZLES["addition"].given)
    answer = torch.arange(sums.shape[1]) >= PUZZLES["addition"].given
    assert torch.equal(asked_for.inputs[:, ~answer], sums[:, ~answer])
    assert bool(asked_for.wanted[:, answer].any(0).all())
    assert asked_for.tokens == 32 * (WIDTH + 1)
    grids = PUZZLES["sudoku4"].draw(64, generator(10), False)
    assert bool(mdlm(grids, 4, generator(11), given=0).wanted[:, 0].any())


@pytest.mark.parametrize("name", BOARDS)
def test_a_wrong_digit_is_marked_with_those_it_clashes_with(name: str):
    board = PUZZLES[name].board
    row = PUZZLES[name].draw(1, generator(12), False)[0]
    row[0] = (row[0] + 1) % board.side
    verdict = checks.check(name, written(name, row))
    near = [
        place
        for place in range(1, board.side**2)
        if row[place] == row[0]
        and any(board.units(place)[kind] == number for kind, number in board.units(0).items())
    ]
    assert not verdict.right and verdict.wrong == (0, *near) and 2 <= len(near) <= 3
    assert not bool(valid(board, row[None])[0])


@pytest.mark.parametrize(
    ("text", "right", "wrong", "message"),
    [
        ("00000095+00000005=000000100", True, (), "95 + 5 = 100"),
        ("00000095+00000005=000000000", False, (24,), "95 + 5 = 100, not 0"),
        ("99999999+00000001=099999990", False, tuple(range(18, 26)), "= 100000000, not"),
        ("00000095+00000005+000000100", False, (), "not a sum"),
    ],
)
def test_a_wrong_sum_is_marked_at_its_wrong_digits(text, right, wrong, message):
    verdict = checks.check("addition", list(text))
    assert (verdict.right, verdict.wrong) == (right, wrong) and message in verdict.message


def test_a_puzzle_trains_resumes_and_is_measured(tmp_path, capsys):
    out, work = tmp_path / "sudoku4" / "mdlm", tmp_path / "run"
    shape = "--lengths 16 --context 16 --hidden 24 --layers 1 --heads 3 --intermediate 24"
    tail = f"{shape} --steps 2 --tokens-per-batch 64 --warmup 1 --precision no".split()
    told = ["--data", "sudoku4", "--task", "sudoku4", "--work", str(work), "--out", str(out)]
    assert train.main([*told, *tail]) == 0
    assert train.main([*told, *tail, "--resume"]) == 0
    assert "the rest starts at random" in (out / "README.md").read_text("utf-8")
    assert type(AutoTokenizer.from_pretrained(out.parent / "tokenizer")).__name__ != "WordTokenizer"
    model = lab.load(str(out))
    assert (model.card.length, model.card.context, model.card.mask_id) == (16, 16, 4)
    with pytest.raises(ValueError, match="words this model knows"):
        lab.run("mdlm", model, template="5[MASK]*15")
    assert puzzle_rates.main([str(out), "--cases", "12,15", "--puzzles", "3", "--card"]) == 0
    printed = capsys.readouterr().out
    assert "| largest margin, temperature 0 | " in printed and " | 1 to 4 |" in printed
    assert printed.strip() in (out / "README.md").read_text("utf-8")
    assert "  not a grid: " in (out / "README.md").read_text("utf-8")
    assert puzzle_rates.main([str(out), "--cases", "16"]) == 2
    assert "givens must be from 0 to 15, got '16'" in capsys.readouterr().err
    other = ["--data", "sudoku6", "--work", str(tmp_path / "other")]
    assert train.main([*other, *tail]) == 2
    assert "--lengths 36" in capsys.readouterr().err


def test_a_board_is_written_from_left_to_right(tmp_path, capsys):
    out = tmp_path / "sudoku4" / "ar"
    shape = "--lengths 16 --hidden 24 --layers 1 --heads 3 --intermediate 24 --objective ar"
    tail = f"{shape} --steps 2 --tokens-per-batch 64 --warmup 1 --precision no".split()
    told = ["--data", "sudoku4", "--task", "sudoku4", "--work", str(tmp_path / "run")]
    told += ["--out", str(out)]
    assert train.main([*told, *tail, "--context", "16"]) == 2
    assert "--context must be at least 17" in capsys.readouterr().err
    assert train.main([*told, *tail, "--context", "17"]) == 0
    model = lab.load(str(out))
    assert (model.card.length, model.card.context, model.card.attention) == (16, 16, "causal")
    (run,) = lab.run("autoregressive", model, template="[MASK]*2 3[MASK]*13", temperature=0)
    begun = torch.tensor([[4, *run.tokens[-1].tolist()]])
    with torch.no_grad():
        stock = model.network(input_ids=begun).logits[0, :-1]
    stock[:, 4] = -torch.inf
    best = stock.argmax(1)
    assert best[:2].tolist() == run.tokens[-1][:2].tolist() and run.tokens[-1][2] == 2
    assert best[3:].tolist() == run.tokens[-1][3:].tolist()
    assert evaluate.main([str(out), "--cases", "12,0", "--puzzles", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| left to right, temperature ") == 2


def test_a_network_too_narrow_for_its_board_is_refused():
    words = word_tokenizer(PUZZLES["sudoku9"].words, 9)
    with pytest.raises(ValueError, match="--hidden from 27"):
        build_puzzle(
            words, hidden=32, layers=1, heads=4, intermediate=8, context=81,
            layout=PUZZLES["sudoku9"].layout,
        )  # fmt: skip


TRAINED = [name for name in ("sudoku6", "sudoku9", "addition") if name in lab.tasks()]
EASY = {"sudoku6": "24", "sudoku9": "60", "addition": "2:0"}


@pytest.mark.parametrize("task", TRAINED)
def test_a_shipped_network_solves_easy_held_out_puzzles(task: str):
    model, puzzle = lab.load(f"{task}-mdlm"), PUZZLES[task]
    way = next(
        way for way in ways(puzzle.length) if way.told == "largest probability, temperature 0"
    )
    rate = measure(model, way, puzzle, *asked(puzzle, EASY[task], 10))
    assert rate.solved >= 0.9
    assert rate.calls == (rate.calls // 1) > 8


@pytest.mark.parametrize("task", TRAINED)
def test_a_task_runs_its_examples(task: str):
    for template in examples(task):
        run = lab.run("max_prob", task, template=template, steps=1, temperature=0.0)[0]
        assert run.tokens.shape[1] == PUZZLES[task].length
    with pytest.raises(ValueError, match="words this model knows"):
        lab.run("max_prob", task, template="x[MASK]")


@pytest.mark.parametrize("task", TRAINED)
def test_a_card_tells_the_data_and_the_rates(task: str):
    folder = tables.CAPITALS_FILE.parent / task / "mdlm"
    card = (folder / "README.md").read_text("utf-8")
    assert "held out and never trains" in card and "| largest margin, temperature 0 |" in card
    assert json.loads((folder / "lab.json").read_text())["length"] == PUZZLES[task].length
