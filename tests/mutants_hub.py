"""Break the opening of published checkpoints, a rule at a time: each must turn its test red.

`python -m tests.mutants_hub [part of a file's name ...]`, on a copy of the tree, some seconds
each. A mutant: file, what stands there, what replaces it, the test that must fail.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOE, T_MOE = "lab/adapters/llada2_moe.py", "tests/test_llada2_moe.py"
BY_HAND = T_MOE + "::test_it_says_what_the_published_layers_say"
WHOLE = T_MOE + "::test_weights_that_are_not_whole_or_hold_more_are_refused"
HUB, FAMILIES = "tests/test_hub.py", "tests/test_families.py"
OPENING, DIT = "tests/test_opening.py", "tests/test_dit.py"
CHECKPOINT, GEMMA = "tests/test_checkpoint.py", "tests/test_canvas_net.py"
A = "lab/adapters/"
ONCE = f"{CHECKPOINT}::test_a_folder_is_opened_once_until_its_files_change"
OPEN = f"{HUB}::test_an_id_stays_open_from_run_to_run"
PADS = f"{FAMILIES}::test_pads_are_invisible_and_shift_no_position"
FRAME = f"{FAMILIES}::test_a_masked_net_sees_its_frame_round_the_canvas"
SPACE = f"{HUB}::test_a_public_space_loads_listed_ids_at_a_commit_and_runs_no_code"
CODE = f"{HUB}::test_remote_code_stays_with_the_hub_unless_it_is_named_and_switched_on"
SIZE = f"{HUB}::test_what_does_not_fit_is_refused_with_the_numbers"
IDS = f"{FAMILIES}::test_published_ids_hold_where_the_tokenizer_names_none"
HAND = f"{DIT}::test_the_arithmetic_is_the_published_one"

# fmt: off
MUTANTS = [
    (A + "masked.py", "seen = allowed(visible,", "seen = allowed(visible | True,", PADS),
    (A + "masked.py", "place = self.net.device, positions(visible)",
     "place = self.net.device, positions(visible | True)", PADS),
    (A + "masked.py", "(place[:, None] - place[..., None]).abs()",
     "(columns - columns[:, None])[None].abs()", PADS),
    (A + "masked.py", "<= self._reach", "< self._reach", FRAME),
    (A + "masked.py", "return 0 if pad is None else pad + 1", "return 0", FRAME),
    (A + "masked.py", "slice(window.start + 1, window.stop + 1)", "window", FRAME),
    (A + "masked.py", "hidden.last_hidden_state[:, window]", "hidden.last_hidden_state", FRAME),
    (A + "checkpoint.py", "return unshifted(logits, visible, window) if self.shifted else logits",
     "return logits[:, window.start - window.stop:]",
     f"{FAMILIES}::test_dreams_shift_is_undone"),
    (A + "checkpoint.py", "(visible, (1, 0))[:, window]", "(visible | True, (1, 0))[:, window]",
     f"{FAMILIES}::test_unshifted_moves_by_one_within_each_row"),
    (A + "checkpoint.py", ".clamp(max=known - 1)", "",
     f"{FAMILIES}::test_an_autoregressive_net_says_what_greedy_decoding_says"),
    (A + "families.py", '"ff_proj": "mlp.gate_proj"', '"ff_proj": "mlp.up_proj"',
     f"{FAMILIES}::test_the_llada_tensors_are_lamas_under_other_names"),
    (A + "checkpoint.py", "if all_known and not bad:", "if False:", WHOLE),
    (MOE, 'config.num_attention_heads, *[config.num_key_value_heads] * 2',
     '*[config.num_key_value_heads] * 2, config.num_attention_heads', BY_HAND),
    (MOE, '".self_attn.q_norm."', '".self_attn.k_norm."', BY_HAND),
    (A + "families.py", '"routed_scaling_factor", ', "", BY_HAND),
    (A + "families.py", '"partial_rotary_factor",\n', "\n", BY_HAND),
    (A + "families.py", '"n_group", ', "", BY_HAND),
    (A + "build.py", "coded and not trust_remote_code", "False", BY_HAND),
    (A + "families.py", "mask_id=126336", "mask_id=126335", IDS),
    (A + "families.py", "context=2048", "context=None", IDS),
    (A + "families.py", 'part_of_id="bd3lm", ', "",
     f"{FAMILIES}::test_what_a_family_says_fits_the_registry_and_itself"),
    (A + "facts.py", "None if pad in eos or pad == mask else pad", "pad",
     f"{FAMILIES}::test_a_pad_that_ends_texts_stays_sayable"),
    (A + "facts.py", "tuple(range(len(tokenizer), size))", "()",
     f"{FAMILIES}::test_ids_without_a_text_are_never_said"),
    (A + "facts.py", "if mask is None and family", "if False and family",
     f"{HUB}::test_no_mask_token"),
    (A + "facts.py", "float(config.get(\"p_uniform\") or (share and share[1]) or",
     "float(config.get(\"p_uniform\") or", IDS),
    (A + "proof.py", 'wrong = "looks at pads"', "wrong = None",
     f"{OPENING}::test_a_class_that_looks_at_pads_is_found_out"),
    (A + "proof.py", "last > TOLERANCE", "last > 1e9",
     f"{OPENING}::test_a_class_that_looks_elsewhere_is_found_out"),
    (A + "proof.py", "if not torch.isfinite(base).all()", "if False",
     f"{OPENING}::test_broken_weights_are_found_out"),
    (A + "checkpoint.py", "    if bad:\n", "    if False:\n",
     f"{OPENING}::test_weights_that_lack_a_tensor_are_refused"),
    (A + "build.py", "    if not trust_remote_code:", "    if False:", CODE),
    (A + "build.py", "    if on_space():", "    if False:",
     f"{OPENING}::test_remote_code_runs_when_it_is_switched_on_and_only_then"),
    (A + "build.py", '("tokenizer_config.json", "config.json")', '("config.json",)',
     f"{OPENING}::test_a_tokenizer_of_remote_code_is_read_without_it"),
    (A + "build.py", 'if "--" in str(place)', "if False",
     f"{HUB}::test_code_from_a_third_place_is_refused"),
    (A + "build.py", 'if family.adapter == "none":', "if False:",
     f"{OPENING}::test_a_named_family_says_why_it_is_not_opened"),
    (A + "hub.py", "    fits(offer)\n", "", SIZE),
    (A + "hub.py", "DTYPES[dtype].itemsize", "4",
     f"{HUB}::test_what_it_is_and_costs_is_known_before_any_weights_move"),
    (A + "hub.py", "if offer.download > left", "if False", SIZE),
    (A + "hub.py", "if name not in ALLOWED", "if False", SPACE),
    (A + "hub.py", "if not COMMIT.fullmatch", "if revision is None or not re.match", SPACE),
    (A + "hub.py", "    if trust_remote_code:\n", "    if False:\n", SPACE),
    (A + "hub.py", "    if not weights:", "    if False:",
     f"{HUB}::test_pickled_weights_are_never_fetched"),
    (A + "hub.py", "revision=offer.revision, words", "revision=None, words",
     f"{HUB}::test_an_id_is_fetched_opened_and_run_and_its_commit_kept"),
    (A + "hub.py", 'and ".." not in name', "",
     f"{HUB}::test_what_has_not_the_form_of_an_id_is_never_asked_for"),
    (A + "hub.py", "report(done, offer.download)", "pass",
     f"{HUB}::test_an_id_is_fetched_opened_and_run_and_its_commit_kept"),
    (A + "hub.py", "if offer.family is None", "if False",
     f"{HUB}::test_a_net_of_this_lab_is_opened_as_its_lab_json_says"),
    (A + "hub.py", 'free["cpu"] = min(', 'free["cpu"] = max(',
     f"{HUB}::test_free_memory_heeds_a_containers_limit"),
    (A + "reach.py", "except errors.RevisionNotFoundError", "except ZeroDivisionError",
     f"{HUB}::test_an_id_or_revision_that_is_not_there"),
    (A + "reach.py", "except (OSError, errors.HTTPError) as", "except ZeroDivisionError as",
     f"{HUB}::test_no_network"),
    (A + "reach.py", '"disable": True', '"disable": False',
     f"{HUB}::test_an_id_is_fetched_opened_and_run_and_its_commit_kept"),
    (A + "dit.py", "right * cos + left * sin", "right * cos - left * sin", HAND),
    (A + "dit.py", "return x + gate2 *", "return x +", HAND),
    (A + "dit.py", "nn.GELU(approximate=\"tanh\")", "nn.ReLU()", HAND),
    (A + "dit.py", "scatter_add(-1, tokens[:, window, None], bias)", "clone()", HAND),
    (A + "dit.py", "nn.Linear(width, 3 * width, bias=False)", "nn.Linear(width, 3 * width)",
     f"{DIT}::test_names_and_shapes_are_the_published_ones"),
    (A + "dit.py", "if self.sigma else noisy", "",
     f"{DIT}::test_time_is_heard_where_the_net_was_trained_with_it"),
    (A + "dit.py", "allowed(visible, self.card.attention,", 'allowed(visible, "causal",',
     f"{DIT}::test_a_block_sees_what_is_left_of_it_and_nothing_right"),
    ("lab/suites.py", "_OPEN.pop(key, None) or opened()", "opened()", OPEN),
    ("lab/suites.py", "        allowed(name, revision, trust_remote_code, dtype, eight_bit)\n", "",
     OPEN),
    ("lab/suites.py", "if not let_go():", "if True:",
     f"{HUB}::test_what_is_open_makes_room_for_what_is_asked_for"),
    ("lab/suites.py", "while len(_OPEN) > KEPT:", "while False:", ONCE),
    ("lab/suites.py", "know.st_mtime_ns, know.st_size", "0, 0", ONCE),
    ("lab/suites.py", "with _TURNS.setdefault(key, threading.Lock()):", "if True:",
     f"{CHECKPOINT}::test_two_that_ask_at_once_get_one_net"),
    (A + "checkpoint.py", "    with LOADING:\n", "    if True:\n",
     f"{CHECKPOINT}::test_a_folder_waits_for_a_net_that_loads"),
    (A + "canvas_net.py", "columns[columns < window.start]", "columns[columns <= window.start]",
     f"{GEMMA}::test_the_encoder_reads_what_is_left_of_the_canvas_and_the_decoder_all"),
    (A + "canvas_net.py", "torch.arange(read.shape[1], read.shape[1] + len(canvas))",
     "torch.arange(len(canvas))",
     f"{GEMMA}::test_the_encoder_reads_what_is_left_of_the_canvas_and_the_decoder_all"),
    (A + "canvas_net.py", "torch.full((len(read), 1), self.start_id)",
     "torch.full((len(read), 1), 0)", f"{GEMMA}::test_without_a_prompt_the_start_token_is_read"),
    (A + "canvas_net.py", "                cache[key] = past", "                pass",
     f"{GEMMA}::test_the_prompt_is_read_once_a_run"),
    (A + "canvas_net.py", "(*banned_ids, *known)", "banned_ids",
     f"{GEMMA}::test_images_and_pads_are_never_said_and_noise_is_every_id"),
    (A + "canvas_net.py", "if width > self.most:", "if False:",
     f"{GEMMA}::test_more_than_a_canvas_is_refused_before_any_call"),
]
# fmt: on


def green(folder: Path, *tests: str) -> bool:
    """Whether the tests pass there, in a process that has the large imports already."""
    process = multiprocessing.get_context("fork").Process(target=_child, args=(folder, tests))
    process.start()
    process.join()
    return process.exitcode == 0


def _child(folder: Path, tests: tuple[str, ...]) -> None:
    import pytest

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    known = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]
    os._exit(int(pytest.main(["-q", "-x", *known, *tests])))


def main(wanted: list[str]) -> int:
    """Run the mutants whose file's name holds one of `wanted` (all without any)."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import accelerate.utils  # noqa: F401
    import huggingface_hub
    import torch
    import transformers

    torch.set_num_threads(1)
    huggingface_hub.HfApi()
    for kind in ("Bert", "Roberta", "DistilBert", "ModernBert"):
        getattr(transformers, f"{kind}ForMaskedLM")
    for kind in ("Llama", "Qwen2", "Qwen3"):
        getattr(transformers, f"{kind}ForCausalLM")
    for name in ("AutoTokenizer", "AutoModelForCausalLM", "AutoModelForMaskedLM", "Qwen2Tokenizer"):
        getattr(transformers, name)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "lab")]:
        if name != "__main__":
            del sys.modules[name]
    chosen = [m for m in MUTANTS if not wanted or any(part in m[0] for part in wanted)]
    if not green(ROOT, *{test for *_, test in chosen}):
        raise SystemExit("the tests fail without any change")
    survivors = 0
    for file, old, new, test in chosen:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for part in ("samplers", "lab", "tests"):
                shutil.copytree(ROOT / part, folder / part)
            shutil.copy(ROOT / "pyproject.toml", folder)
            (folder / "assets").symlink_to(ROOT / "assets")
            text = (folder / file).read_text("utf-8")
            if text.count(old) < 1:
                raise SystemExit(f"{file} has no {old!r}: the mutant is out of date")
            (folder / file).write_text(text.replace(old, new), "utf-8")
            lives = green(folder, test)
        survivors += lives
        print("SURVIVED" if lives else "red", file, "|", old[:50], flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
