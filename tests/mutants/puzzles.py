"""The boards and sums that models are trained on."""

BOARDS, ADDITION, SPLIT = "lab/tasks/boards.py", "lab/tasks/addition.py", "lab/tasks/split.py"
TASK, RATES = "lab/tasks/task.py", "lab/train/solve_rates.py"
TEST, SUMS = "tests/tasks/test_boards.py::", "tests/tasks/test_addition.py::"
SOLVE, CONTRACT = "tests/train/test_solve_rates.py::", "tests/tasks/test_task.py::"
DRAWN = TEST + "test_grids_are_valid_and_on_their_side_of_the_split"
APART = TEST + "test_grids_are_distinct_and_base_grids_disjoint"
CHAIN = SUMS + "test_length_of_a_carry_chain"
SUM = SUMS + "test_a_wrong_sum_is_marked_at_its_wrong_digits"
DIGIT = TEST + "test_a_wrong_digit_is_marked_with_those_it_clashes_with"
GIVEN = SOLVE + "test_the_question_is_never_noised_and_a_board_is_all_answer"
ORDERED = SUMS + "test_sums_have_the_digits_and_the_chain_of_their_case"
MEASURED = SOLVE + "test_a_task_trains_resumes_and_is_measured"

MUTANTS = [
    (SPLIT, "part[held_out(part[:, :columns]) == held]", "part", DRAWN),
    (SPLIT, "part[held_out(part[:, :columns]) == held]", "part[held_out(part[:, :columns])]",
     CONTRACT + "test_nothing_that_trains_is_an_instance"),
    (BOARDS, "used[kind][number] ^= 1 << digit\n            if go", "pass\n            if go",
     DRAWN),
    (BOARDS, "shuffled(count, side // board.width, board.width, chance)",
     "shuffled(count, side, 1, chance)", DRAWN),
    (BOARDS, "digit = torch.rand(count, side, generator=chance)",
     "digit = torch.rand(count, side)", DRAWN),
    (BOARDS, "random.Random(2 * board.side + held_out)", "random.Random(board.side)", APART),
    (BOARDS, "symmetries(base[pick], board, chance).flatten(1)", "base[pick].flatten(1)", APART),
    (BOARDS, "digit = torch.rand(count, side, generator=chance).argsort(1)",
     "digit = torch.arange(side).repeat(count, 1)",
     TEST + "test_symmetries_reach_every_grid_of_4x4"),
    (BOARDS, ".argsort(1).argsort(1) >= givens", ".argsort(1).argsort(1) > givens",
     TEST + "test_puzzles_have_the_number_of_givens"),
    (BOARDS, "grids = sudoku(board, count, chance, True)", "grids = sudoku(board, count, chance)",
     CONTRACT + "test_nothing_that_trains_is_an_instance"),
    (ADDITION, "torch.where(both > 9, 1,", "torch.where(both > 9, run + 1,", CHAIN),
    (ADDITION, "(both == 9) & (run > 0)", "both == 9", CHAIN),
    (ADDITION, "ids[chains(first, second) == chain]", "ids", ORDERED),
    (ADDITION, "second.masked_fill(place >= size[:, None], 0)", "second", ORDERED),
    (ADDITION, "forced = int(torch.randint(1, WIDTH + 1, (1,), generator=chance))", "forced = 1",
     SUMS + "test_training_sums_have_chains_of_every_length"),
    ("lab/train/objectives.py", "may[:prefix] = False", "may[:1] = False", GIVEN),
    ("lab/train/objectives.py", "weight,\n        rows * (length - prefix)",
     "weight,\n        rows * length", GIVEN),
    (TASK, "row // self.height * (self.side // self.width)",
     "row // self.width * (self.side // self.width)", DIGIT),
    (TASK, "if word is not None and words[i : i + 1] != [word]", "if False",
     CONTRACT + "test_a_given_word_that_changed_scores_nothing"),
    (TASK, "        if MASK in text:\n", "        if False:\n",
     CONTRACT + "test_a_solution_scores_one_and_a_broken_one_less"),
    (TASK, "text = words[: words.index(self.eos)] if self.eos in words else words", "text = words",
     CONTRACT + "test_text_after_the_end_is_not_judged"),
    (TASK, "piece if piece in own else piece.strip()", "piece",
     CONTRACT + "test_a_solution_scores_one_and_a_broken_one_less"),
    (BOARDS, '*["box"] * (board.height > 1)', '*["box"] * 0', DIGIT),
    (ADDITION, "if a != b]\n    reason", "if a == b]\n    reason", SUM),
    (ADDITION, "start = len(text) - len(answer)", "start = len(text) - len(answer) - 1", SUM),
    (ADDITION, ".zfill(len(answer))", "", SUM),
    ("lab/train/random_models.py",
     "if hidden < int(size.sum()) or width < int(size.max()):", "if False:",
     SOLVE + "test_a_network_too_narrow_for_its_board_is_refused"),
    ("lab/train/training_data.py", "if settings.lengths != (length,)", "if False", MEASURED),
    ("lab/models/transformers/pretrained.py", '__name__ == "WordLevel"', '__name__ == ""',
     MEASURED),
    (RATES, "self.calls += len(tokens) if rows is None else int(rows.sum())", "self.calls += 1",
     MEASURED),
]  # fmt: skip
