"""The shell: quick help, one line an error, exit codes, files checked before the run."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lab
from lab.bench import cost_table, costs
from lab.cli import main
from lab.cli_options import COMMANDS, parse
from lab.record import files
from lab.run.recorder import Recorder
from samplers import SAMPLERS
from tests.kit.project import ROOT

PROMPT = ["--prompt", "The capital of"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


# What takes seconds to import on a slow machine; modules are counted, for seconds differ.
LARGE = {"torch", "numpy", "pandas", "scipy", "transformers", "gradio", "plotly", "pyarrow"}


def shell(*arguments: str) -> subprocess.CompletedProcess:
    """A process of its own that says on standard error which large libraries it imported."""
    code = (
        "import sys\nfrom lab.cli import main\ncode = 0\n"
        "try: code = main(sys.argv[1:])\nexcept SystemExit as end: code = end.code\n"
        f"print(sorted({LARGE} & sys.modules.keys()), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", code, *arguments], env=ENVIRONMENT,
                          capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "several samplers on one prompt"),
        ([], 0, "usage: python -m lab"),
        (["samplers", "--help"], 0, "list samplers"),
        (["nope"], 2, "invalid choice: 'nope'"),
        (["generate"], 2, "required: --sampler; see python -m lab generate --help"),
        (["compare", "--task"], 2, "argument --task: expected one argument"),
        (["compare", "--task", "a", "--model", "b"], 2, "not allowed with argument"),
        (["generate", "--sampler", "mdlm", "--sampling", "x"], 2, "invalid choice: 'x'"),
    ],
)
def test_help_and_usage_errors_import_nothing_large(arguments, code, words):
    done = shell(*arguments)
    *lines, last = done.stderr.splitlines()
    assert done.returncode == code and words in done.stdout + done.stderr
    assert last == "[]" and len(lines) == (code != 0), "one line an error"


@pytest.mark.parametrize(
    ("code", "large"),
    [
        ("import lab; lab.__all__, dir(lab)", set()),
        ("import lab; lab.load", {"torch", "numpy"}),
        ("import lab; lab.tasks()", {"torch", "numpy"}),
        # A page is open before a model is loaded or a figure drawn.
        ("import app", LARGE - {"transformers", "scipy", "plotly"}),
    ],
)
def test_what_needs_large_libraries_imports_them_at_first_use(code, large):
    code = f"import sys; {code}; print(*({LARGE} & sys.modules.keys()))"
    out = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, check=True, text=True
    )
    assert set(out.stdout.split()) <= large


@pytest.mark.parametrize("command", ["compare", "generate", "bench"])
def test_help_of_command_lists_every_parameter(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    for sampler in SAMPLERS.values():
        for param in sampler.params:
            assert "--" + param.name.replace("_", "-") in out
    assert "--task" in out and "--model" in out


@pytest.mark.parametrize("which", [["--task", "capitals"], ["--model", "capitals"]])
def test_compare_and_generate_take_task_or_model(which, capsys):
    assert main(["generate", *which, "--sampler", "llada2", *PROMPT, "--seed", "3"]) == 0
    alone = capsys.readouterr().out
    assert main(["compare", *which, "--samplers", "llada2,mdlm", *PROMPT, "--seed", "3"]) == 0
    both = capsys.readouterr().out
    (one,) = lab.run("llada2", "capitals", "The capital of", seed=3)
    assert f"  {one.text}\n" in alone and f"  {one.text}\n" in both and "mdlm on capitals" in both
    assert "mdlm" not in alone


def test_compare_on_model_runs_every_sampler_that_fits(capsys):
    assert main(["compare", "--model", "capitals-causal", *PROMPT, "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    card = lab.load("capitals-causal").card
    fitting = [name for name, one in SAMPLERS.items() if one.misfit(card) is None]
    assert [line.split(" on ")[0] for line in out.splitlines() if " on " in line] == fitting
    assert "autoregressive has no steps: left out for it" in err


def test_parameter_that_one_sampler_lacks_is_error(capsys):
    arguments = ["--task", "capitals", "--threshold", "0.5"]
    assert main(["generate", "--sampler", "mdlm", *arguments]) == 2
    assert "mdlm has no parameter 'threshold'" in capsys.readouterr().err
    assert main(["compare", "--samplers", "mdlm", *arguments, *PROMPT]) == 0
    assert "mdlm has no threshold: left out for it" in capsys.readouterr().err


def test_misspelt_option_names_near_one(capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare", "--stepz", "3"])
    err = capsys.readouterr().err
    assert end.value.code == 2 and "no option '--stepz'; did you mean --steps?" in err
    assert err.count("\n") == 1


def test_tables_fit_terminal(capsys):
    assert main(["compare", "--task", "capitals", *PROMPT, "--steps", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 190 and any("Mean" in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--csv", "{}/none/a.csv"], "must exist; make it, or name another file"),
        (["--csv", "{}/a.xlsx"], "must end in .csv, got 'a.xlsx'"),
        (["--json", "{}/a.csv"], "must end in .json, got 'a.csv'"),
        (["--csv", "{}/folder.csv"], "cannot be written"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "generate", "bench"])
def test_file_that_cannot_be_written_is_refused_before_run(
    tmp_path, monkeypatch, capsys, command, flags, words
):
    if command == "bench" and flags[0] == "--json":
        pytest.skip("bench writes other files")
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr(Recorder, "__init__", None)  # no run may begin
    sampler = ["--sampler" if command == "generate" else "--samplers", "mdlm"]
    flags = [flag.format(tmp_path) for flag in flags]
    assert main([command, "--task", "capitals", *sampler, *flags]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_both_files_hold_runs(tmp_path, capsys):
    paths = [tmp_path / "a.csv", tmp_path / "a.json"]
    flags = ["--csv", str(paths[0]), "--json", str(paths[1])]
    assert main(["compare", "--task", "capitals", "--samplers", "mdlm", *PROMPT, *flags]) == 0
    (run,) = lab.read(paths[0])
    assert lab.read(paths[1]) == [run] and run.same_tokens(
        lab.run("mdlm", "capitals", "The capital of")[0]
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("out\nof memory"), 1, "the run failed, RuntimeError: out of memory"),
        (ValueError("a\nb"), 2, "python -m lab: a b"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes_tell_failures_apart(monkeypatch, capsys, error, code, words):
    def fail(*_):
        raise error

    monkeypatch.setattr("lab.cli._watch", fail)
    assert main(["generate", "--task", "capitals", "--sampler", "mdlm", *PROMPT]) == code
    assert words in capsys.readouterr().err


FLAGS = ["--task", "--model", "--sampler", "--samplers", "--prompt", "--template", "--gen-length",
         "--seed", "--rows", "--preset", "--sampling", "--csv", "--json", "--repeats", "--steps",
         "--threshold", "--block-length", "--temperature", "--corrector", "-h"]  # fmt: skip
WORDS = ["", "capitals", "sudoku4", "mdlm", "llada2", "mdlm,,", "The capital of", "[MASK]*2", "0",
         "1", "-1", "1e9", "nan", "none", "greedy", "/", "/nowhere/a.csv", "a.txt", "\ud800", "\0",
         "--", "-", "é"]  # fmt: skip


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    st.sampled_from([*COMMANDS, "", "--help"]).filter(lambda c: c not in ("train", "evaluate")),
    st.lists(st.sampled_from(FLAGS) | st.sampled_from(WORDS) | st.text(max_size=5), max_size=7),
)
def test_no_arguments_print_traceback(capfd, command, rest):
    """What would run is stopped at its first step: this is about arguments alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.cli._watch", lambda recorder: None)
        patch.setattr(costs, "costs", lambda plans, repeats, beside: [])
        for name in ("lines", "readable"):
            patch.setattr(cost_table, name, lambda _: pd.DataFrame())
        patch.setattr(cost_table, "one_machine", lambda lines: "")
        patch.setattr("lab.cli._aligned", str)
        patch.setattr(files, "save", lambda runs, path: None)
        try:
            code = main([command, *rest])
        except SystemExit as end:
            code = end.code
    assert code in (0, 2)
    assert "Traceback" not in capfd.readouterr().err


def test_parameters_are_read_from_registry_where_one_is_typed(monkeypatch):
    assert parse("compare", ["--steps", "4"]).params == {"steps": "4"}
    monkeypatch.setattr("lab.cli_options._add_parameters", None)  # it takes torch
    assert parse("compare", []).params == {}
    assert parse("compare", ["--task", "capitals"]).params == {}
