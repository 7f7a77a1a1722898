# ruff: noqa: E501 - an entry stands on one line
"""The drafting of DFlash: the sampler, its adapter, the training of a draft_model."""

SAMPLER, ADAPTER, TRAIN = (
    "samplers/dflash.py",
    "lab/models/transformers/draft_model.py",
    "lab/train/draft_learner.py",
)
MODEL, EXACT, CARD = "lab/models/model.py", "lab/models/exact/base.py", "lab/models/card.py"
LAWS, PAIR = "tests/samplers/test_dflash.py::", "tests/models/test_draft_model.py::"
LEARNS = "tests/train/test_draft_learner.py::"
LAW = LAWS + "test_the_law_is_the_data_s_for_any_draft_model"
SEEN = LEARNS + "test_a_block_sees_what_stands_left_of_its_anchor_the_anchor_and_nothing_else"
THEIRS = PAIR + "test_every_round_drafts_and_keeps_what_transformers_dflash_does"
SAME = PAIR + "test_a_draft_is_what_the_learner_trains"
KEPT = PAIR + "test_what_is_kept_between_calls_is_what_a_fresh_call_computes"
AGAIN = PAIR + "test_text_that_changed_since_it_was_read_is_read_again"
OTHER = PAIR + "test_a_draft_model_without_its_target_or_for_another_is_refused"
HUB = PAIR + "test_a_pair_of_the_hub_s_format_opens_under_its_names_and_shapes"
PLACE = LEARNS + "test_a_target_of_another_kind_or_place_is_refused"
OWN = LEARNS + "test_a_corpus_is_continued_by_the_target_itself"
TEMPLATES = (
    "tests/conformance/test_conformance.py::"
    "test_templates_of_unequal_length_keep_their_pinned_text[dflash-causal-drafted]"
)

MUTANTS = [
    (SAMPLER, "(~mine | (token == predicted[:, place]))", "(~mine | (token >= 0))", LAW),
    (SAMPLER, "tried = write(x, ahead, masked[:, :-1], draft)", "tried = x", LAW),
    (SAMPLER, "agreed = agreed & ~(canvas.finished(x) & eos_early_stop)[:, None]", "pass",
     LAWS + "test_prompts_pinned_tokens_and_eos_keep_the_law"),
    (SAMPLER, "torch.where(read, widest, 1)", "torch.where(read, widest, widest)",
     LAWS + "test_calls_are_one_a_block_that_the_draft_model_s_marginals_did_not_foresee"),
    (SAMPLER, "min(draft_length, denoise.card.draft_length)", "draft_length",
     LAWS + "test_the_block_is_never_longer_than_the_draft_model_s"),
    (SAMPLER, " & (stop == stop[behind])", "", TEMPLATES),
    (SAMPLER, ").minimum(last)", ").clamp(max=length)", TEMPLATES),
    (SAMPLER, "predicted[:, place] = token.where(mine, predicted[:, place])", "predicted[:, place] = token",
     LAWS + "test_a_predicted_shows_what_was_kept_and_beyond_it_what_was_drafted"),
    (SAMPLER, "draft=True, batch=False", "batch=False",
     LAWS + "test_a_model_without_a_draft_model_is_refused"),
    (MODEL, "_spread(logits.index_fill(-1, self._banned, -torch.inf), wanted,",
     "_spread(logits, wanted,",
     "tests/conformance/test_conformance_eos.py::"
     "test_a_network_that_wants_the_mask_and_the_pad_gets_neither[dflash]"),
    (MODEL, "width >= self.card.draft_length", "width > self.card.draft_length",
     LAWS + "test_more_columns_than_the_draft_model_has_are_refused"),
    (EXACT, "self._answer(self._up_to(i, tokens), visible", "self._answer(tokens, visible",
     LAWS + "test_a_causal_oracle_knows_what_stands_left_and_nothing_else"),
    (EXACT, "self._up_to(window.start, tokens)", "tokens",
     LAWS + "test_a_causal_oracle_knows_what_stands_left_and_nothing_else"),
    (EXACT, 'if corruption != "absorbing":\n            raise', "if False:\n            raise",
     LAWS + "test_a_draft_model_and_its_length_go_together"),
    ("lab/models/wrap.py", "(draft_model is None) != (card.draft_length is None)", "False",
     LAWS + "test_a_draft_model_and_its_length_go_together"),
    ("lab/run/probe.py", "asked.numpy() * (perf_counter() - began)", "0.0",
     LAWS + "test_a_draft_costs_time_and_no_call"),
    ("lab/record/metrics.py", "run.stop - run.start > 1", "run.stop - run.start > 0",
     LAWS + "test_a_draft_model_that_always_agrees_writes_whole_blocks"),
    ("lab/record/metrics.py", "return found if drafted else", "return found if True else",
     LAWS + "test_acceptance_length_is_told_where_something_was_drafted"),
    (ADAPTER, "reading.forget(min(reading.common(ids[:-1]), first))", "reading.forget(first)",
     AGAIN),
    (ADAPTER, "reading.forget(min(reading.common(ids[:-1]), first))", "reading.forget(0)",
     PAIR + "test_an_accepted_draft_is_not_read_again"),
    (ADAPTER, "reading.forget(known)", "reading.forget(len(ids))", AGAIN),
    (ADAPTER, "reading.features[:anchor], ids[anchor:]",
     "reading.features[: anchor - 1], ids[anchor:]", SAME),
    (ADAPTER, "whole = torch.full((config.block_size,)", "whole = torch.full((len(block),)",
     THEIRS),
    (ADAPTER, "hidden_states[layer + 1]", "hidden_states[layer]", THEIRS),
    (ADAPTER, "position_ids=columns[None].to(device)", "position_ids=columns[None] - past",
     KEPT),
    (ADAPTER, "round(1 + i * last", "round(i * last",
     PAIR + "test_the_layers_that_a_draft_model_hears_are_the_paper_s"),
    (ADAPTER, ', r"^hidden_norm\\.": "encoder.output_norm_enc."', "", HUB),
    (ADAPTER, " or deepest >= network.config.num_hidden_layers", "", OTHER),
    (CARD, 'if not (target / "lab.json").exists():', "if False:", OTHER),
    (CARD, '"draft_length": config["block_size"]', '"draft_length": config["block_size"] - 1',
     HUB),
    (TRAIN, "before = context[None] < anchors", "before = context[None] <= anchors", SAME),
    (TRAIN, "own[None] == own[:, None]", "own[None] <= own[:, None]", SEEN),
    (TRAIN, "context <= context[:, None]", "context >= 0 * context[:, None]", SEEN),
    (TRAIN, "(-ahead / GAMMA", "(-2 * ahead / GAMMA",
     LEARNS + "test_the_loss_falls_off_within_the_block"),
    (TRAIN, "self._target = (target,)", "self._target = nn.ModuleList([target])",
     LEARNS + "test_the_draft_model_trains_and_the_target_stays"),
    (TRAIN, "torch.randperm(length - block_length, generator=random) + 1",
     "torch.randperm(length - block_length, generator=random)",
     LEARNS + "test_anchors_are_different_and_leave_room_for_their_block"),
    (TRAIN, '.attention) != "causal":', '.attention) == "":', PLACE),
    (TRAIN, "target.resolve().parent != out.resolve().parent", "False", PLACE),
    ("lab/train/regenerate.py", "stay = min(drawn, min(map(len, part)) // 2)", "stay = 0", OWN),
    ("lab/train/regenerate.py", "for text in corpus.held_out:", "for text in stories:", OWN),
    ("lab/train/regenerate.py", "Noise(seed, range(", "Noise(0, range(", OWN),
    ("lab/train/acceptance.py", "whole > place", "whole >= place",
     LEARNS + "test_acceptance_is_one_plus_the_chances_to_get_further"),
]  # fmt: skip
