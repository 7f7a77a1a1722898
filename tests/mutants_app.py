"""Break the app a rule at a time and see its tests go red: `python -m tests.mutants_app [word]`.

Each is made in a temporary copy of the tree, and the named test must fail there. Takes minutes;
the browser's need a Chromium. Not collected by pytest.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP, API = "tests/test_app.py", "tests/test_app_api.py"
OTHERS, ACCESS = "tests/test_app_other.py", "tests/browser/test_access.py"
PAGE, PANEL = "tests/browser/test_page.py", "tests/browser/test_panel.py"
ALONE, HTML = "lab/ui/standalone.py", "tests/test_app_standalone.py"
SAVED, LOADED = "tests/test_app_opened.py", "tests/browser/test_other.py"
RACE, LANE, PRESS, COMPUTE = (f"lab/ui/{name}.py" for name in ("race", "lane", "press", "compute"))
STRIP, FORM, ENDPOINTS = "lab/ui/panel.py", "lab/ui/settings.py", "lab/ui/endpoints.py"
OTHER, FIELD, PAGES = (f"lab/ui/{name}.py" for name in ("other", "field", "app"))
STYLE = "assets/style.css"

# (file, what stands there, what replaces it, the test that must fail)
MUTANTS = [
    (RACE, "if not lanes[number].advance():",
     "while lanes[number].advance(): ...\n            if 1:",
     f"{APP}::test_panels_advance_in_turn"),
    (RACE, "if stop.is_set() or monotonic() > deadline:", "if monotonic() > deadline:",
     f"{APP}::test_stop_ends_every_panel_within_one_step_and_keeps_what_was_recorded"),
    (RACE, "if stop.is_set() or monotonic() > deadline:", "if stop.is_set():",
     f"{APP}::test_a_run_that_takes_too_long_is_stopped_and_says_so"),
    (RACE, "    yield _tell(lanes, values, set(range(len(lanes))))\n", "",
     f"{APP}::test_the_stream_only_appends_and_ends_with_the_last_state"),
    (RACE, "max(PAUSE, SHARE * cost)", "0", f"{APP}::test_pushes_are_few"),
    (RACE, "budget = lane.open(budget)", "lane.open(budget)",
     f"{APP}::test_the_panels_share_one_budget_of_work"),
    (LANE, "except Exception as error:\n            self._fail(error)\n        return False",
     "except OSError as error:\n            self._fail(error)\n        return False",
     f"{APP}::test_an_error_half_way_stays_in_its_panel_and_keeps_its_steps"),
    (LANE, "this failed ({type(error).__name__})", "this failed ({error})",
     f"{APP}::test_an_error_half_way_stays_in_its_panel_and_keeps_its_steps"),
    (LANE, "            known_suite(request.suite)\n", "",
     f"{APP}::test_bad_input_names_the_field_and_the_rule"),
    (LANE, '{"block_causal": first.stop, "causal": first.start}', '{"block_causal": first.start}',
     f"{APP}::test_a_panel_says_where_later_text_is_not_seen"),
    (PRESS, "if mine:\n            compute.done()", "if mine:\n            pass",
     f"{APP}::test_a_closed_run_gives_the_lock_back"),
    (COMPUTE, "if LOCK.acquire(timeout=WAIT):", "if True:",
     f"{APP}::test_a_second_run_waits_for_the_first_and_may_give_up"),
    (STRIP, "fresh = [_step(trajectory, s) for s in range(len(sent), count)]",
     "fresh = [_step(trajectory, s) for s in range(count)]",
     f"{APP}::test_the_stream_only_appends_and_ends_with_the_last_state"),
    (STRIP, "(before != after) & ~((before != before) & (after != after))", "before < after",
     f"{APP}::test_the_panels_json_holds_every_step_of_the_trajectory"),
    (FORM, "{**inherited, **params}", "{**params, **inherited}",
     f"{APP}::test_own_settings_override_shared_ones_and_shared_ones_skip_who_ignores_them"),
    (FORM, "if name in SHARED and name in known", "if name in SHARED",
     f"{APP}::test_own_settings_override_shared_ones_and_shared_ones_skip_who_ignores_them"),
    ("lab/ui/visible.py", "category(character) not in _HIDDEN", "category(character) != 'Cc'",
     f"{APP}::test_what_would_be_invisible_is_written_out"),
    ("lab/ui/python.py", "**preset, **choice.params", "**choice.params",
     f"{APP}::test_the_python_of_a_run_repeats_it"),
    (ENDPOINTS, "Choice(name, preset, {**inherited, **given})", "Choice(name, preset, inherited)",
     f"{API}::test_compare_gives_what_lab_run_gives"),
    (ENDPOINTS, "if unknown := [", "if False and [", f"{API}::test_bad_input_is_one_sentence"),
    ("lab/ui/app.py", "with compute.stoppable(session)", "with compute.stoppable('another')",
     f"{PAGE}::test_stop_ends_all_panels_and_keeps_their_files"),
    ("lab/ui/app.py", "None if gen_length == 0 else gen_length", "9",
     f"{PAGE}::test_the_downloaded_files_are_the_run"),
    ("assets/panel/grid.js", "span.textContent = cell.text", "span.innerHTML = cell.text",
     f"{PANEL}::test_hostile_tokens_are_only_text"),
    ("assets/panel/inspect.js", "made.textContent = text", "made.innerHTML = text",
     f"{PANEL}::test_hostile_tokens_are_only_text"),
    ("assets/panel/grid.js", "if (target) target.focus();", "",
     f"{PANEL}::test_the_keyboard_walks_the_tokens"),
    ("assets/panel/panel.js", "if (calm()) {", "if (false) {",
     f"{PANEL}::test_nothing_moves_by_itself_for_who_asked_for_calm"),
    ("assets/panel/panel.js", "listen('lab:seek'", "listen('lab:other'",
     f"{PAGE}::test_scrubbing_one_panel_and_all_of_them"),
    ("assets/panel/panel.js", "seek(+event.target.value)", "seek(film.last())",
     f"{PAGE}::test_scrubbing_one_panel_and_all_of_them"),
    ("assets/settings/settings.js", "if (param.name in panel.params) return",
     "if (param.name in panel.params && false) return",
     f"{PAGE}::test_settings_mark_what_changed_and_say_what_is_ignored"),
    ("assets/settings/controls.js", "on.disabled = !using.length;", "",
     f"{PAGE}::test_settings_mark_what_changed_and_say_what_is_ignored"),
    ("assets/style.css", ".lab-panel .now, .lab-playback .now {", ".lab-other {",
     f"{PANEL}::test_states_are_told_by_more_than_colour"),
    ("lab/ui/app.py", "demo.load(None, js=NARROW)", "pass", f"{PANEL}::test_phone_and_dark"),
    ("lab/ui/results.py", "figures.plot_confidence, figures.confidence_info, trajectory)",
     "figures.plot_confidence, figures.confidence_info, None)",
     f"{PAGE}::test_the_figures_are_drawn"),
    (OTHER, "        if not let_go():\n            raise\n", "        raise\n",
     f"{OTHERS}::test_what_was_opened_before_makes_room"),
    (OTHER, "        hub.fits(found.offer)\n    except", "        pass\n    except",
     f"{OTHERS}::test_what_does_not_fit_is_refused_with_the_numbers"),
    (OTHER, "os.path.isdir(asked) and not on_space()", "os.path.isdir(asked)",
     f"{OTHERS}::test_on_a_public_page_neither_folders_nor_unlisted_ids_nor_code"),
    (OTHER, "        if stop.is_set():", "        if False:",
     f"{OTHERS}::test_a_load_that_is_stopped_leaves_nothing_known"),
    (OTHER, "for mine in compute.turn(stop):", "for mine in (True,):",
     f"{OTHERS}::test_a_load_waits_for_a_run_to_end"),
    (OTHER, "    found = replace(found, card=made.card)\n", "",
     f"{OTHERS}::test_a_loaded_model_runs_as_a_suite_does"),
    (OTHER, 'family.adapter == "dit" else asked[1]', 'family.adapter == "dit" else "float32"',
     f"{OTHERS}::test_a_dtype_is_one_that_it_can_be_opened_in"),
    (OTHER, 'if "/tree/" in name:', "if False:",
     f"{OTHERS}::test_an_id_comes_with_a_revision_or_as_the_address_of_its_page"),
    ("lab/adapters/hub.py", "math.prod(weights", "max(weights",
     f"{OTHERS}::test_a_folder_is_told_and_loaded_like_an_id"),
    (FIELD, "found.asked != (text, dtype, trust is True)", "False",
     f"{OTHERS}::test_load_takes_only_what_was_looked_up"),
    (FIELD, "{escape(explain(error))}", "{explain(error)}",
     f"{OTHERS}::test_text_from_elsewhere_is_only_ever_text"),
    (FIELD, 'js="() => false"', 'js="() => true"',
     f"{LOADED}::test_trust_in_one_models_code_is_not_trust_in_the_next"),
    (FIELD, "({ interactive: false,", "({ interactive: true,",
     f"{LOADED}::test_another_model_is_looked_up_loaded_and_run"),
    (FIELD, "    compute.stop(_session(request))", "    pass",
     f"{LOADED}::test_a_load_is_stopped_and_may_go_on"),
    (LANE, "model = other.model(request.suite) or request.suite", "model = request.suite",
     f"{OTHERS}::test_a_loaded_model_runs_as_a_suite_does"),
    (PRESS, 're.sub(r"[^\\w.-]", "-", first.suite or first.model)', "first.suite or first.model",
     f"{OTHERS}::test_a_loaded_model_runs_as_a_suite_does"),
    ("lab/ui/python.py", '        model = "model"\n', "",
     f"{OTHERS}::test_a_loaded_model_runs_as_a_suite_does"),
    (FORM, "new if panel == old else panel", "new",
     f"{APP}::test_another_suite_brings_samplers_that_fit_and_the_way_back_their_own"),
    (FORM, "(Choice(free.pop(0))) if free else None", "(Choice(free.pop(0))) if free else panel",
     f"{OTHERS}::test_the_form_follows_the_model_and_finds_its_way_back"),
    (FORM, "old if now == panel else now", "now",
     f"{OTHERS}::test_the_form_follows_the_model_and_finds_its_way_back"),
    (PAGES, 'settings.get("suite") != suite', "False",
     f"{LOADED}::test_run_pressed_before_the_suite_came_back_runs_the_new_suite"),
    ("lab/ui/layout.py", '{**start_value(fits(suite)), "suite": suite}', "start_value(fits(suite))",
     f"{ACCESS}::test_panels_begin_at_one_height_whatever_they_count"),
    (PAGES, 'body_text_color_subdued="*neutral_600"', 'body_text_color_subdued="*neutral_400"',
     f"{ACCESS}::test_axe_finds_nothing_wrong"),
    (STYLE, ".lab-panel .grid > .wrong {", ".lab-panel .wrong {",
     f"{ACCESS}::test_a_wrong_cell_is_told_by_more_than_colour"),
    (STYLE, ".sidebar:not(.open) .sidebar-content { visibility: hidden; }", "",
     f"{ACCESS}::test_a_board_fits_a_phone"),
    (STYLE, ":focus-visible:focus-visible:focus-visible", "",
     f"{ACCESS}::test_whatever_has_the_focus_shows_it"),
    (STYLE, "min-height: 80px", "min-height: 36px",
     f"{ACCESS}::test_panels_begin_at_one_height_whatever_they_count"),
    ("lab/ui/opened.py", "first = runs[:PANELS]", "first = runs[-PANELS:]",
     f"{SAVED}::test_four_of_many_runs_are_shown"),
    ("lab/ui/opened.py", "    if not runs:\n", "    if False:\n",
     f"{SAVED}::test_any_other_file_is_one_sentence"),
    ("lab/ui/opened.py", "visible(trajectory.sampler)", "trajectory.sampler",
     f"{SAVED}::test_what_a_strangers_file_says_is_only_text_and_numbers"),
    ("lab/ui/view.py", "BOARDS.get(trajectory.suite, ())", "()",
     f"{SAVED}::test_a_file_of_the_app_shows_the_panels_that_wrote_it"),
    (STRIP, "if math.isfinite(number) else None", "if number == number else None",
     f"{SAVED}::test_what_a_strangers_file_says_is_only_text_and_numbers"),
    (PAGES, "write(Path(folder), runs)", "(path, path)",
     "tests/browser/test_opened.py::test_a_saved_run_is_opened_scrubbed_and_saved_again"),
    (PAGES, "except Exception as error:\n            yield",
     "except OSError as error:\n            yield",
     "tests/browser/test_opened.py::test_a_file_that_is_no_run_says_so_and_leaves_the_panels"),
    (STRIP, "[] if (np.diff(first) == 1).all() else first", "first",
     f"{APP}::test_block_borders_are_where_windows_begin"),
    (ALONE, '.replace("<", "\\\\u003c")', "",
     f"{HTML}::test_what_a_model_wrote_cannot_end_the_script"),
    (ALONE, "source=escape(source)", "source=source",
     f"{HTML}::test_what_a_model_wrote_cannot_end_the_script"),
    (ALONE, 'if value["kind"] != "empty"', "",
     f"{HTML}::test_the_file_holds_the_panels_and_asks_nobody"),
    ("assets/standalone/page.js", "mountPlayback(", "void (",
     "tests/browser/test_standalone.py::test_the_downloaded_comparison_plays_by_itself"),
    ("lab/ui/results.py", "standalone.save(page, title(runs), values, source)",
     "standalone.save(page, title(runs), values[1:], source)",
     "tests/browser/test_standalone.py::test_the_downloaded_comparison_plays_by_itself"),
    (ENDPOINTS, "other.load(found, lambda words, share: None, threading.Event())", "found",
     f"{API}::test_another_model_is_looked_up_loaded_and_run"),
]  # fmt: skip


def copy_tree(folder: Path) -> None:
    """All that the tests need; weights by link, what may be changed by copy."""
    for part in ("samplers", "lab", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "app.py"):
        shutil.copy(ROOT / part, folder)
    (folder / "assets").mkdir()
    for asset in (ROOT / "assets").iterdir():
        if asset.name in ("panel", "settings", "playback", "standalone"):
            shutil.copytree(asset, folder / "assets" / asset.name)
        elif asset.is_dir():
            (folder / "assets" / asset.name).symlink_to(asset)
        else:
            shutil.copy(asset, folder / "assets")


def run(folder: Path, *tests: str) -> int:
    """Pytest's exit code there, in a process of its own: a browser does not survive a fork."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def main(words: list[str]) -> int:
    """Make each mutant whose file or test holds one of the words; the number that survived."""
    chosen = [m for m in MUTANTS if not words or any(word in m[0] + m[3] for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        if run(Path(folder), *sorted({test for *_, test in chosen})):
            raise SystemExit("the tests are not green without a mutant")
    survived = 0
    for file, old, new, test in chosen:
        with tempfile.TemporaryDirectory() as folder:
            copy_tree(Path(folder))
            target = Path(folder) / file
            source = target.read_text("utf-8")
            if source.count(old) != 1:
                raise SystemExit(f"{file} holds {source.count(old)} times: {old}")
            target.write_text(source.replace(old, new), "utf-8")
            red = run(Path(folder), test) == 1
        survived += not red
        said = "red  " if red else "GREEN"
        print(said, file, "|", (new or "(left out)").splitlines()[0], flush=True)
    return survived


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
