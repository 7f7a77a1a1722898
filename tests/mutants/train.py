"""The trainer, and the judge."""

TRAIN, STARTS = "tests/train/test_train.py::", "tests/train/test_train_starts.py::"
OBJECTIVES, GIDD = "lab/train/objectives.py", "lab/train/gidd.py"
ENTROPY = TRAIN + "test_absorbing_objectives_equal_the_entropy"
EDIT = TRAIN + "test_edit_corrupts_what_is_shown_and_asks_for_all"
STOCK = TRAIN + "test_ar_is_the_stock_loss"
RANGE = TRAIN + "test_a_noise_range_clips_the_share_of_masks"
FILES = TRAIN + "test_files_and_evaluation"
FORMS = TRAIN + "test_gidd_weights_are_the_papers_closed_forms"
LOSSES = TRAIN + "test_hybrid_losses_of_the_paper"
GOES_ON = STARTS + "test_a_masked_language_model_goes_on"
HUB_DATA = STARTS + "test_a_hub_data_set_trains_by_its_name"
JUDGE = "tests/models/test_judge.py::"

TOGETHER = "tests/train/test_train_processes.py::"
TOGETHER += "test_two_processes_save_and_end_together_with_the_same_weights"

MUTANTS = [
    ("lab/train/trainer.py", "if self.accelerator.num_processes > 1:", "if False:", TOGETHER),
    ("lab/train/trainer.py", "2 + micro, process)", "2 + micro)", TOGETHER),
    ("lab/train/draft_model.py", "torch.manual_seed(seed)", "torch.seed()", TOGETHER),
    (OBJECTIVES, "return tokens.masked_fill(key < time, mask_id), 1 / time",
     "return tokens.masked_fill(key < time, mask_id), 1 / time**2", ENTROPY),
    (OBJECTIVES, "size[block] / count[:, block].clamp(min=1)",
     "(size[block] - 1) / count[:, block].clamp(min=1)", ENTROPY),
    (OBJECTIVES, "before = block[:, None] > block[None, :]",
     "before = block[:, None] >= block[None, :]",
     TRAIN + "test_one_pass_equals_one_block_at_a_time"),
    (OBJECTIVES, "tokens.roll(-1, 1)", "tokens", STOCK),
    (OBJECTIVES, "wanted[:, : given - 1] = False", "wanted[:, :given] = False", STOCK),
    (OBJECTIVES, "dtype=torch.bool).tril()", "dtype=torch.bool)", STOCK),
    (OBJECTIVES, "noisy = torch.where(wrong & ~masked, other, noisy)",
     "noisy = torch.where(wrong, other, noisy)", EDIT),
    (OBJECTIVES, "wanted[:, 1:length] = True", "wanted[:, 1:] = True", EDIT),
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
     TRAIN + "test_full_and_leave_one_out_are_each_others_inverse"),
    ("lab/train/command.py", 'fields["posterior"] = "loo"', "pass", FILES),
    ("lab/train/export.py", '"causal" if causal else "full"', '"full"', FILES),
    ("lab/train/evaluate.py", "in sorted(each)", "in sorted(each, reverse=True)", FILES),
    ("lab/train/command.py", 'if is_masked(start) and arguments.objective != "mdlm":', "if False:",
     GOES_ON),
    ("lab/train/data.py", "tokenizer.cls_token, tokenizer.sep_token",
     "tokenizer.cls_token, tokenizer.cls_token", GOES_ON),
    ("lab/models/transformers/build.py", 'name.endswith("ForMaskedLM")', "False", GOES_ON),
    ("lab/train/data.py", "if key != valid for text", "for text", HUB_DATA),
    ("lab/train/data.py", "if field not in first.column_names:", "if False:", HUB_DATA),
    ("lab/models/judge.py", "if card.bos_id is not None and ids[:1] != [card.bos_id]:", "if False:",
     JUDGE + "test_a_judge_gives_the_nll_of_what_was_written"),
    ("lab/models/judge.py", "nats[asked[1:]]", "nats",
     JUDGE + "test_a_judge_gives_the_nll_of_what_was_written"),
    ("lab/models/judge.py", 'if card.attention != "causal":', "if False:",
     JUDGE + "test_a_judge_that_cannot_judge_is_refused"),
]  # fmt: skip
