"""The trainer, and the judge."""

COMMAND, STARTS = "tests/train/test_command.py::", "tests/train/test_starts.py::"
LAWS, BOUND = "tests/train/test_objectives.py::", "tests/train/test_gidd.py::"
OBJECTIVES, GIDD = "lab/train/objectives.py", "lab/train/gidd.py"
SETTINGS, CHECKS = "lab/train/settings.py", "tests/train/test_settings.py::"
ENTROPY = LAWS + "test_absorbing_objectives_equal_the_entropy"
EDIT = LAWS + "test_edit_corrupts_what_is_shown_and_asks_for_all"
STOCK = LAWS + "test_ar_is_the_stock_loss"
RANGE = "tests/train/test_bounds.py::test_a_noise_range_clips_the_share_of_masks"
FILES = COMMAND + "test_files_and_evaluation"
FORMS = BOUND + "test_gidd_weights_are_the_papers_closed_forms"
LOSSES = BOUND + "test_hybrid_losses_of_the_paper"
CONTINUES = STARTS + "test_a_masked_language_model_continues"
HUB_DATA = STARTS + "test_a_hub_data_set_trains_by_its_name"
JUDGE = "tests/models/test_judge.py::"

TOGETHER = "tests/train/test_processes.py::"
TOGETHER += "test_two_processes_save_and_end_together_with_the_same_weights"

MUTANTS = [
    ("lab/train/trainer.py", "if processes > 1:", "if False:", TOGETHER),
    ("lab/train/trainer.py", "2 + micro, accelerator.process_index)", "2 + micro)", TOGETHER),
    ("lab/train/draft_learner.py", "torch.manual_seed(seed)", "torch.seed()", TOGETHER),
    (OBJECTIVES, "return tokens.masked_fill(key < time, mask_id), 1 / time",
     "return tokens.masked_fill(key < time, mask_id), 1 / time**2", ENTROPY),
    (OBJECTIVES, "size[block] / count[:, block].clamp(min=1)",
     "(size[block] - 1) / count[:, block].clamp(min=1)", ENTROPY),
    (OBJECTIVES, "before = block[:, None] > block[None, :]",
     "before = block[:, None] >= block[None, :]",
     LAWS + "test_one_pass_equals_one_block_at_a_time"),
    (OBJECTIVES, "tokens.roll(-1, 1)", "tokens", STOCK),
    (OBJECTIVES, "loss_mask[:, : prefix - 1] = False", "loss_mask[:, :prefix] = False", STOCK),
    (OBJECTIVES, "dtype=torch.bool).tril()", "dtype=torch.bool)", STOCK),
    (OBJECTIVES, "noisy = torch.where(wrong & ~masked, other, noisy)",
     "noisy = torch.where(wrong, other, noisy)", EDIT),
    (OBJECTIVES, "loss_mask[:, 1:length] = True", "loss_mask[:, 1:] = True", EDIT),
    (OBJECTIVES, "generator=random) < 0.25)[:, block]", "generator=random) < 0.0)[:, block]", EDIT),
    (OBJECTIVES, "torch.cat([noisy, tokens], 1)\n    return clean",
     "torch.cat([noisy, noisy], 1)\n    return clean", EDIT),
    (OBJECTIVES, "unit = least + (most - least) * low", "unit = low", RANGE),
    ("lab/train/bounds.py", "key=lambda each: each[2]", "key=lambda each: each[0]", RANGE),
    (GIDD, "chance = share + curve.alpha * (noisy == clean)", "chance = share", FORMS),
    (GIDD, "torch.sigmoid(-time) / 2", "torch.sigmoid(time) / 2", FORMS),
    (GIDD, 'if self.weighting == "clip":', "if False:", LOSSES),
    (GIDD, 'elif self.weighting == "dynamic":', "elif False:", LOSSES),
    (GIDD, "return _multiply(log_loo, noisy, curve, mask_id, 1.0)",
     "return _multiply(log_loo, noisy, curve, mask_id, -1.0)",
     BOUND + "test_full_and_leave_one_out_are_each_others_inverse"),
    ("lab/train/command.py", 'fields["posterior"] = "loo"', "pass", FILES),
    ("lab/train/export.py", '"causal" if causal else "full"', '"full"', FILES),
    ("lab/train/evaluate.py", "in sorted(each)", "in sorted(each, reverse=True)", FILES),
    ("lab/train/command.py",
     'if is_masked(learner.network) and settings.objective != "mdlm":', "if False:",
     CONTINUES),
    ("lab/train/corpus.py", "tokenizer.cls_token, tokenizer.sep_token",
     "tokenizer.cls_token, tokenizer.cls_token", CONTINUES),
    ("lab/models/transformers/build.py", 'name.endswith("ForMaskedLM")', "False", CONTINUES),
    ("lab/train/corpus.py", "if key != valid for text", "for text", HUB_DATA),
    ("lab/train/corpus.py", "if field not in first.column_names:", "if False:", HUB_DATA),
    (SETTINGS, "if not 0 <= low < high <= 1:", "if False:",
     CHECKS + "test_an_impossible_setting_is_refused"),
    (SETTINGS, 'if one.metadata["decides"]}', "}",
     CHECKS + "test_only_what_decides_the_weights_is_recorded"),
    (SETTINGS, "if self.drawn is not None and self.data is not None:", "if False:",
     CHECKS + "test_an_impossible_setting_is_refused"),
    (SETTINGS, 'f"runs/{settings.work.name}"', "settings.work",
     CHECKS + "test_a_card_quotes_what_differs_and_no_private_path"),
    ("lab/train/trainer.py", "averaged.n_averaged += 1", "averaged.n_averaged += 0",
     "tests/train/test_trainer.py::test_the_average_mixes_from_the_first_step"),
    ("lab/train/trainer.py", "(1 + step) / (10 + step)", "1.0",
     "tests/train/test_trainer.py::test_the_average_mixes_from_the_first_step"),
    ("lab/train/card_file.py", 'if "note" in stage', 'if "remark" in stage',
     "tests/train/test_card_file.py::test_a_shipped_card_is_what_the_generator_writes"),
    ("lab/models/judge.py", "if card.bos_id is not None and ids[:1] != [card.bos_id]:", "if False:",
     JUDGE + "test_a_judge_gives_the_nll_of_what_was_written"),
    ("lab/models/judge.py", "nats[asked[1:]]", "nats",
     JUDGE + "test_a_judge_gives_the_nll_of_what_was_written"),
    ("lab/models/judge.py", 'if card.attention != "causal":', "if False:",
     JUDGE + "test_a_judge_that_cannot_judge_is_refused"),
]  # fmt: skip
