"""The exact models, the samplers that claim a guarantee, the checkers."""

MDLM = "samplers/mdlm.py"
HYBRID = "samplers/hybrid.py"
REMDM = "samplers/remdm.py"
NOISE = "samplers/noise.py"
LLADA2 = "samplers/llada2.py"
EXACT = "lab/models/exact/base.py"
ORACLE = "lab/models/exact/oracle.py"
TABLE = "lab/models/exact/table.py"
WORDS = "lab/models/word_tokenizer.py"
CAPITALS, BOARDS = "lab/tasks/capitals.py", "lab/tasks/boards.py"
LAWS = "tests/samplers/test_laws_exact.py"
ORDERS = "tests/samplers/test_laws_orders.py"
T_ORACLE = "tests/models/test_oracle.py"
ERRORS = "tests/models/test_oracle_errors.py"
TABLES = "tests/models/test_exact_tables.py"
PARAMS = "tests/conformance/test_conformance_params.py"
MIXTURE = f"{LAWS}::test_hybrid_plug_in_and_mixture"
MANY = f"{ORDERS}::test_the_error_of_many_tokens_a_call"
GIBBS = f"{ORDERS}::test_the_gibbs_corrector_takes_error_away"
POSTERIOR = f"{T_ORACLE}::test_posterior_of_every_canvas"
PADS = f"{T_ORACLE}::test_pads_are_invisible_and_missing_columns_are_marginalised"
FLOOR = f"{T_ORACLE}::test_table_floor_answers_where_nothing_is_possible_and_only_there"

MUTANTS = [
    (MDLM, "stay = cleaner / noisy if s > 0 else 0.0", "stay = cleaner if s > 0 else 0.0",
     f"{LAWS}::test_mdlm"),
    (MDLM, "reveal(logits, masked, weigh, stay)", "reveal(logits, masked, weigh)",
     f"{LAWS}::test_mdlm"),
    (MDLM, "stale = (stale & ~rows) | changed", "stale = (stale & ~rows) | (changed & False)",
     f"{LAWS}::test_mdlm_cached_calls"),
    ("samplers/schedules.py", "lambda t, e: 1 - torch.cos(_QUARTER * (1 - (1 - e) * t)),",
     "lambda t, e: torch.cos(_QUARTER * t),", f"{LAWS}::test_mdlm"),
    ("samplers/schedules.py", "return [(1 - i / steps) ** GRIDS[name] for i in range(steps + 1)]",
     "return [(1 - i / (steps+1)) ** GRIDS[name] for i in range(steps + 1)][:-1]+[0.0]",
     f"{LAWS}::test_mdlm"),
    (HYBRID, 'if denoise.card.posterior == "full":', "if False:", MIXTURE),
    (HYBRID, "noised = (uniform_t - kept * uniform_s) * spread[z]",
     "noised = uniform_t * spread[z]", MIXTURE),
    (HYBRID, "return list(pairwise(schedules.grid(grid, steps)))",
     "return [(t, s or 1e-2) for t, s in pairwise(schedules.grid(grid, steps))]", MIXTURE),
    (HYBRID, "spread[list(ids)] = 1 / len(ids)", "spread[list(ids)] = 1 / (len(ids) + 1)", MIXTURE),
    (REMDM, "    if not published and move_t < 1:", "    if False:", MANY),
    (REMDM, "    if not published and move_t < 1:", "    if move_t < 1:", MANY),
    (MDLM, "    if masked.any():\n", "    if False:\n", MANY),
    (REMDM, "if t > t_off if published else s >= t_off:", "if s >= t_off:", MANY),
    (REMDM, "most = min(1.0, s / (1 - t)) if t < 1 else 1.0", "most = 1.0 - t", MANY),
    (REMDM, "move_s = move_s if s > 0 else 0.0", "move_s = move_s * 1.0",
     f"{PARAMS}::test_any_settings_together_keep_every_law"),
    ("samplers/uniform.py", "then[0] * clean + then[2] * spread", "clean + 0 * spread", GIBBS),
    ("samplers/uniform.py", "clean = clean_at(x, then)", "clean = clean_at(x, now)", GIBBS),
    ("samplers/core.py", 'if card.corruption == "absorbing" and not', "if not", GIBBS),
    (NOISE, "free = (where & ~chosen).double()[:, None]",
     "free = ((where & ~chosen).cumsum(-1) == 1).double()[:, None]",
     f"{LAWS}::test_uniformly_random_subsets"),
    ("samplers/bd3lm.py", "logits = denoise(x, window=window, rows=rows, t=time)",
     "logits = denoise(canvas.tokens, window=window, rows=rows, t=time)",
     f"{LAWS}::test_first_hitting_is_exact_at_every_block_size"),
    ("samplers/bd3lm.py", "-(-count // left)", "-(-count // left) + 1",
     f"{LAWS}::test_first_hitting_is_exact_at_every_block_size"),
    (LLADA2, "quota = share(count, steps, step)", "quota = share(count, steps, step) * 2",
     f"{LAWS}::test_low_confidence_is_biased_as_known"),
    (LLADA2, "confidence = confidence.where(masked, -torch.inf)",
     "confidence = logits.softmax(-1).amax(-1).double().where(masked, -torch.inf)",
     f"{LAWS}::test_low_confidence_is_biased_as_known"),
    (LLADA2, "fast = confidence > threshold if threshold is not None else torch.zeros_like(masked)",
     "fast = confidence < threshold if threshold is not None else torch.zeros_like(masked)",
     f"{LAWS}::test_threshold_on_the_sampled_probability"),
    (NOISE, "target = torch.minimum(u * coarse[:, -1], _below(coarse[:, -1]))",
     "target = torch.minimum(u * u * coarse[:, -1], _below(coarse[:, -1]))",
     f"{LAWS}::test_shipped_noise_follows_the_law"),
    (NOISE, "index = self._count[purpose][:, None] + cells.cumsum(-1)",
     "index = self._count[purpose][:, None] + cells.cumsum(-1) * 0 + 1",
     f"{LAWS}::test_shipped_noise_follows_the_law"),
    (ORACLE,
     "self.transition)\n            message = torch.where(visible[:, i, None], onward, message)",
     "self.transition)\n            message = onward", PADS),
    (EXACT, "pinned = torch.zeros_like(visible) if cache is None else cache[rows]",
     "pinned = torch.zeros_like(visible)",
     f"{T_ORACLE}::test_pinned_tokens_are_certain_under_hybrid_noise"),
    (EXACT, 'if self.card.posterior == "loo":', "if True:", POSTERIOR),
    (EXACT, 'if self.card.posterior == "loo":', "if False:", POSTERIOR),
    (EXACT, "stuck = seen & (scores.amax(-1, keepdim=True) == -torch.inf)",
     "stuck = seen & (scores.amax(-1, keepdim=True) < 0).any(1, keepdim=True)", POSTERIOR),
    (EXACT, "rows = stuck.any(1).flatten()", "rows = stuck.any(1).flatten() & False", FLOOR),
    (EXACT, "scores[rows] = torch.where(stuck[rows], floor, scores[rows])", "scores[rows] = floor",
     FLOOR),
    (EXACT, "spread = noise / size", "spread = noise / (size - 1)", POSTERIOR),
    (EXACT, "keep, spread = one * (1 - p), one * p / size", "keep, spread = one * (1 - p), one * p",
     POSTERIOR),
    (TABLE, "others_never = never.sum(1)[:, None] - never[:, window].long()",
     "others_never = never.sum(1)[:, None] + never[:, window].long() * 0", POSTERIOR),
    (TABLE, "without = total[:, None] - own[:, window]",
     "without = total[:, None] + 0 * own[:, window]", POSTERIOR),
    (TABLE, "place = (visible.cumsum(-1) - 1).clamp(min=0)",
     "place = (torch.ones_like(visible).cumsum(-1) - 1).clamp(max=self.sequences.shape[1]-1)",
     PADS),
    (ORACLE, "if bool(((shifted == -torch.inf) | (shifted > -600)).all()):", "if True:",
     f"{T_ORACLE}::test_long_evidence_neither_underflows_nor_forgets"),
    (ORACLE, "backward[::-1][window]", "backward[window]", POSTERIOR),
    (ORACLE, "return _log_matmul(states.flatten(0, 1), self.emission).view(*states.shape[:2], -1)",
     "return states[..., [0, 1, 1]]", POSTERIOR),
    (WORDS, "if word not in known or word in self.all_special_tokens:", "if word not in known:",
     f"{TABLES}::test_text_is_never_read_as_a_special_token"),
    (WORDS, "backend.normalizer = normalizers.NFC()", "backend.normalizer = normalizers.NFD()",
     f"{TABLES}::test_every_sequence_comes_back_from_text"),
    (WORDS, "cleanup=not letters", "cleanup=False",
     f"{TABLES}::test_every_sequence_comes_back_from_text"),
    ("lab/tasks/sudoku4.py", "return pair is None or len", "return True or len",
     "tests/tasks/test_boards.py::test_sudoku4_lists_every_grid_once"),
    (BOARDS, '*["box"] * (board.height > 1)', '*["box"] * 0',
     "tests/tasks/test_boards.py::test_what_makes_a_grid_impossible"),
    (CAPITALS, "while stop > start and tail > start and words[stop - 1] == truth[tail - 1]:",
     "while False:", "tests/tasks/test_capitals.py::test_what_makes_a_sentence_false"),
    (EXACT, "if float((total - 1).abs().max()) > 1e-6:", "if False:",
     f"{ERRORS}::test_errors_say_the_rule_the_value_and_the_way_out"),
    (EXACT, "if longest > card.length:", "if False:",
     f"{ERRORS}::test_errors_say_the_rule_the_value_and_the_way_out"),
]  # fmt: skip
