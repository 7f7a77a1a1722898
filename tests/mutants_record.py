"""Break the record, its files, numbers and figures, a rule at a time: each must turn a test red.

`python -m tests.mutants_record` (minutes, wants os.fork) copies the modules aside, so it never
touches the checkout. A mutant is: module, what stands there, what replaces it.
"""

import os
import shutil
import sys
import tempfile
import traceback
from contextlib import redirect_stdout
from pathlib import Path

import pandas  # noqa: F401 - imported once here, shared by every fork
import plotly.subplots  # noqa: F401
import pytest

MUTANTS = {
    "test_trajectory": [
        (
            "history",
            'agrees | (card.get("corruption", "absorbing") == "absorbing")',
            "agrees | True",
        ),
        ("history", 'agrees | (card.get("corruption", "absorbing") == "absorbing")', "agrees"),
        ("history", "_hold(changed | agrees,", "_hold(changed,"),
        ("history", "np.where(before | noise[:-1], COMMITTED, EDITED)", "np.where(before, 3, 4)"),
        ("history", "event = changed | (noise[:-1] & ~noise[1:])", "event = changed"),
        (
            "history",
            "np.where(writable & ~hole, step, np.int32(-1))",
            "np.where(writable, step, -1)",
        ),
        ("history", "unsettled = hole | noise", "unsettled = hole"),
        ("history", "unsettled = hole | noise", "unsettled = noise"),
        ("history", "unsettled[-1], generated[-1] = hole[-1], writable", "pass"),
        ("history", "generated = writable & ~noise", "generated = ~noise"),
        ("history", "after = writable & (end", "after = (end"),
        ("history", "end.cumsum(1) - end > 0", "end.cumsum(1) > 0"),
        ("history", "np.maximum.accumulate(index, out=index)", "pass"),
        ("trajectory", '_EXTRAS = {"run_id", ', "_EXTRAS = {"),
        ("trajectory", '_CLOCKS = {"seconds", "model_seconds"}', '_CLOCKS = {"seconds"}'),
        ("trajectory", 'equal_nan=mine.dtype.kind == "f"', "equal_nan=False"),
        ("trajectory", "same = canonical(mine) == canonical(theirs)", "same = mine == theirs"),
        ("trajectory", "model, sampler, seed, row])", "model, sampler, seed])"),
        (
            "trajectory",
            '"confidence": by_cell(self.confidence',
            '"confidence": by_cell(self.entropy',
        ),
        ("trajectory", "written < 0)", "written < -1)"),
        ("trajectory", "json.dumps(self.piece(i))", "self.piece(i)"),
        ("trajectory", "by_cell(self.guess, -1)", "by_cell(self.guess, 0)"),
        ("trajectory", "np.asarray(value, dtype))", "np.asarray(value))"),
    ],
    "test_export": [
        ("trajectory", "if len(runs) != 1:", "if not runs:"),
        ("export", "os.replace(part, path)", "path.write_bytes(data)"),
        ("export", "part.unlink(missing_ok=True)", "pass"),
        ("export", "plain[np.isnan(values)] = None", "pass"),
        ("export", "plain[values == float(sign)] = sign", "pass"),
        ("export", "if size > LARGEST:", "if False:"),
        ("export", "(UnicodeDecodeError, RecursionError)", "UnicodeDecodeError"),
        ("export", "verify.schema(file", "str(file"),
        ("export", ", parse_constant=verify.refuse)", ")"),
        ("export_csv", "text if _PLAIN.fullmatch(text) else", "text if text else"),
        ("export_csv", """text.replace('"', '""')""", "text"),
        ("export_csv", 'if not data.endswith(b"\\n") or', "if"),
        ("export_csv", 'or b"\\0" in data', ""),
        ("export_csv", "not isinstance(table.index, pd.RangeIndex)", "False"),
        ("export_csv", 'if len(cells["step"]) != (steps + 1) * length:', "if False:"),
        ("export_csv", 'verify.schema(header.get("schema"))', "pass"),
        ("export_csv", "if (cells[name] != cells[name][0]).any():", "if False:"),
        ("export_csv", "if (values != values[:, :1]).any():", "if False:"),
        ("export_csv", "for digits in (9, 8, 7, 6)", "for digits in (7, 6)"),
        ("export_csv", "for digits in (9, 8, 7, 6)", "for digits in (9,)"),
        ("export_csv", 'if (grid["step"] != np', 'if False and (grid["step"] != np'),
        ("export_csv", "header.keys() != _HEADER", "False"),
        ("verify", "if given.dtype.kind != dtype.kind:", "if False:"),
        ("verify", "if given.shape != shape:", "if False:"),
        ("verify", "or (wanted is int and isinstance(value, bool))", ""),
        ("verify", "if (np.diff(values, prepend=values.dtype.type(0)) < 0).any():", "if False:"),
        ("verify", "if not np.isfinite(values).all():", "if False:"),
        ("verify", "if (run.tokens[:, ~run.writable] != run", "if False and (run"),
        ("verify", "or isinstance(value, bool):", "or False:"),
        ("verify", '_between("confidence"', '0 and _between("confidence"'),
        ("verify", "given.size == 0 and 0 in shape", "False"),
        ("verify", 'raise ValueError(f"a run has no field', 'str(f"a run has no field'),
        ("verify", "text[:57]", "text"),
    ],
    "test_metrics": [
        ("metrics", "step[position] - 1, position]", "step[position] - 2, position]"),
        ("metrics", "np.isin(run.state[-1], (COMMITTED, EDITED))", "run.state[-1] == COMMITTED"),
        ("metrics", "np.isin(run.state[-1], (COMMITTED, EDITED))", "run.state[-1] > 1"),
        ("metrics", "run.edits.sum()", "run.remasks.sum() * 2"),
        ("metrics", "other_seconds=seconds - model_seconds", "other_seconds=seconds"),
        ("metrics", "_ratio(tokens, seconds)", "_ratio(tokens, model_seconds)"),
        ("metrics", "np.log(share)", "np.log2(share)"),
        ("metrics", ', *(run.card.get("eos_ids") or ())}', "}"),
        ("metrics", "for i in range(n)", "for i in range(1)"),
        ("metrics", 'part / whole if whole else float("nan")', "part / max(whole, 1)"),
    ],
    "test_figures": [
        ("figure_info", "shown = np.isin(state, (COMMITTED, EDITED, NOISE))", "shown = state > 0"),
        ("figure_info", "shown = np.isin(state, (COMMITTED, EDITED, NOISE))", "shown = state > 2"),
        ("figure_info", "html.escape(_visible(run.piece", "(_visible(run.piece"),
        ("figure_info", "c.isprintable()", "True"),
        ("figure_info", '"remasked before", "edited"],', '"edited", "edited"],'),
        ("figure_info", "for edge in begins | ends", "for edge in begins"),
        ("figure_info", "edge - span.start for", "edge for"),
        ("figure_info", "confidence.size <= HOVER_CELLS", "confidence.size <= 4096"),
        ("figures", '"cmax": 1,', ""),
        ("figures", 'coloraxis="coloraxis",', ""),
        ("figures", "hoverongaps=False,", ""),
        ("figures", "[max(steps, 1) + 0.5, first_step - 0.5]", "[0, steps]"),
        ("figures", '"symbol": symbol,', ""),
        ("figures", 'template="none",', ""),
        ("figures", "showlegend=kind not in named", "showlegend=True"),
        ("figures", '"row": index // columns + 1', '"row": index // 9 + 1'),
        ("figures", "border - 0.5", "border"),
    ],
}


def red(test: str) -> bool:
    """Run one test module in a fork; whether it failed."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            sys.modules.pop("tests", None)  # it is the checkout's
            sys.path.insert(0, os.getcwd())
            chosen = "not in_milliseconds and not under_a_second"
            options = ["-x", "-q", "-p", "no:cacheprovider", "-k", chosen, f"tests/{test}.py"]
            with open("output", "w") as output, redirect_stdout(output):
                code = int(pytest.main(options))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # no clean-up: the folder is the parent's
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    """Try every mutant; the number of those that no test saw."""
    root, alive = Path(__file__).parent.parent, 0
    names = sorted({module for mutants in MUTANTS.values() for module, *_ in mutants})
    wanted = sys.argv[1:] or list(MUTANTS)
    with tempfile.TemporaryDirectory() as copy:
        for folder in ("lab", "tests"):
            Path(copy, folder).mkdir()
            Path(copy, folder, "__init__.py").touch()  # the lab's own imports torch
        for name in names:
            shutil.copy(root / "lab" / f"{name}.py", Path(copy, "lab"))
        for name in ("trajectories", *MUTANTS):
            shutil.copy(root / "tests" / f"{name}.py", Path(copy, "tests"))
        shutil.copy(root / "pyproject.toml", copy)
        os.chdir(copy)
        sys.path[:] = [path for path in sys.path if path not in ("", str(root))]
        sys.dont_write_bytecode = True  # a second's edits would else be read from the first's
        for test in wanted:
            if red(test):
                print(Path("output").read_text(), f"{test} is red as it stands", flush=True)
                alive += 1
            for module, old, new in MUTANTS[test]:
                path = Path(copy, "lab", f"{module}.py")
                source = path.read_text(encoding="utf-8")
                known = old in source
                path.write_text(source.replace(old, new, 1), encoding="utf-8")
                if not known or not red(test):
                    alive += 1
                    word = "survived" if known else "has nothing to change"
                    print(f"{test}: {module}: {old!r} -> {new!r} {word}", flush=True)
                path.write_text(source, encoding="utf-8")
        os.chdir(root)
    print(f"{sum(len(MUTANTS[test]) for test in wanted)} mutants, {alive} not seen", flush=True)
    return alive


if __name__ == "__main__":
    sys.exit(main() > 0)
