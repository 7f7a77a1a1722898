"""The puzzles and sums that networks are trained on."""

TEST = "tests/tasks/test_puzzles.py::"
PUZZLES, CHECKS, RATES = "lab/tasks/puzzles.py", "lab/tasks/checks.py", "lab/train/puzzle_rates.py"
DRAWN = TEST + "test_what_is_drawn_is_right_seeded_and_on_its_side_of_the_split"
CHAIN = TEST + "test_length_of_a_carry_chain"
SUM = TEST + "test_a_wrong_sum_is_marked_at_its_wrong_digits"
DIGIT = TEST + "test_a_wrong_digit_is_marked_with_those_it_clashes_with"
GIVEN = TEST + "test_the_question_is_never_noised_and_a_board_is_all_answer"

MUTANTS = [
    (PUZZLES, "part[held(part[:, :columns]) == held_out]", "part", DRAWN),
    (PUZZLES, "used[kind][number] ^= 1 << digit\n            if go", "pass\n            if go",
     DRAWN),
    (PUZZLES, "shuffled(count, side // board.width, board.width, chance)",
     "shuffled(count, side, 1, chance)", DRAWN),
    (PUZZLES, "digit = torch.rand(count, side, generator=chance)",
     "digit = torch.rand(count, side)", DRAWN),
    (PUZZLES, "random.Random(2 * board.side + held_out)", "random.Random(board.side)",
     TEST + "test_grids_are_distinct_and_their_base_grids_parted"),
    (PUZZLES, "symmetries(base[pick], board, chance).flatten(1)", "base[pick].flatten(1)",
     TEST + "test_grids_are_distinct_and_their_base_grids_parted"),
    (PUZZLES, "digit = torch.rand(count, side, generator=chance).argsort(1)",
     "digit = torch.arange(side).repeat(count, 1)",
     TEST + "test_symmetries_reach_every_grid_of_4x4"),
    (PUZZLES, ".argsort(1).argsort(1) >= givens", ".argsort(1).argsort(1) > givens",
     TEST + "test_puzzles_have_the_givens_asked_for"),
    (PUZZLES, "torch.where(both > 9, 1,", "torch.where(both > 9, run + 1,", CHAIN),
    (PUZZLES, "(both == 9) & (run > 0)", "both == 9", CHAIN),
    (PUZZLES, "ids[chains(first, second) == chain]", "ids",
     TEST + "test_sums_have_the_chain_and_the_digits_asked_for"),
    (PUZZLES, "second.masked_fill(place >= size[:, None], 0)", "second",
     TEST + "test_sums_have_the_chain_and_the_digits_asked_for"),
    (PUZZLES, "forced = int(torch.randint(1, WIDTH + 1, (1,), generator=chance))", "forced = 1",
     TEST + "test_training_sums_have_chains_of_every_length"),
    ("lab/train/objectives.py", "may[:given] = False", "may[:1] = False", GIVEN),
    ("lab/train/objectives.py", "weight,\n        rows * (length - given)",
     "weight,\n        rows * length", GIVEN),
    ("lab/tasks/tables.py", "row // self.height * (self.side // self.width)",
     "row // self.width * (self.side // self.width)", DIGIT),
    (CHECKS, 'for unit in ("row", "column", "box"):', 'for unit in ("row", "column"):', DIGIT),
    (RATES, 'for kind in ("row", "column", "box"):', "for kind in ():", DIGIT),
    (CHECKS, "if a != b]\n    reason", "if a == b]\n    reason", SUM),
    (CHECKS, "start = len(said) - len(told)", "start = len(said) - len(told) - 1", SUM),
    (CHECKS, ".zfill(len(told))", "", SUM),
    ("lab/train/network.py", "if hidden < int(size.sum()) or width < int(size.max()):", "if False:",
     TEST + "test_a_network_too_narrow_for_its_board_is_refused"),
    ("lab/train/source.py", "if arguments.lengths != (puzzle.length,)", "if False",
     TEST + "test_a_puzzle_trains_resumes_and_is_measured"),
    ("lab/models/transformers/checkpoint.py", '__name__ == "WordLevel"', '__name__ == ""',
     TEST + "test_a_puzzle_trains_resumes_and_is_measured"),
    (RATES, "self.calls += len(tokens) if rows is None else int(rows.sum())", "self.calls += 1",
     TEST + "test_a_puzzle_trains_resumes_and_is_measured"),
]  # fmt: skip
