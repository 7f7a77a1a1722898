"""Cells: whole or absent, the same however many processes share them, resumed after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

import lab
from lab.models import catalogue
from lab.models.catalogue import ASSETS
from lab.study import cells as cells_module
from lab.study import runner
from lab.study.atlas import ATLAS
from lab.study.cells import cells_of, fingerprint, instances_of, known_cases
from lab.study.measure import batches, measure, token_hash
from lab.study.points import read_points
from lab.study.report import advice
from lab.study.results import finished_cells, read_results
from lab.study.runner import run_study
from lab.study.spec import read_spec
from lab.study.study_command import main
from lab.study.summary import summarise
from lab.study.verification import verify

SPEC = {
    "name": "small",
    "task": "sudoku4",
    "cases": ["4"],
    "instances": 24,
    "samplers": {"mdlm": {"steps": [2, 16]}, "margin": {"temperature": [0]}, "threshold": {}},
}
CLOCKS = ["model_seconds", "seconds"]
YAML = """\
name: small
task: sudoku4
cases: [4]
instances: 24
samplers:
  mdlm: {steps: [2, 16]}
  margin: {temperature: [0]}
  threshold:
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    assert run_study(SPEC, out) == 4
    return out


def same(a, b):
    pd.testing.assert_frame_equal(a.drop(columns=CLOCKS), b.drop(columns=CLOCKS))


def test_rows_are_what_lab_run_writes(folder):
    rows = read_results(folder)
    texts = [instance.text for instance in instances_of("sudoku4", "4", 24)]
    runs = lab.run("mdlm", "sudoku4", template=texts, steps=16)
    mine = rows[rows["setting"] == "steps=16"]
    assert mine["token_hash"].tolist() == [token_hash(run.output) for run in runs]
    assert mine["calls"].tolist() == [int(run.calls[-1]) for run in runs]
    assert mine["instance"].tolist() == list(range(24))
    assert set(mine["score"]) <= {0.0, 1.0} and 0 < mine["score"].mean() < 1


def cell_of(label, **changes):
    cells = cells_of(read_spec(SPEC, known_cases()))
    return replace(next(cell for cell in cells if cell.setting.label == label), **changes)


def test_batches_do_not_change_rows(folder):
    rows = read_results(folder)
    mine = rows[rows["setting"] == "steps=2"]["token_hash"].tolist()
    parts = list(batches(cell_of("steps=2", most_rows=5), "small"))
    assert [len(part) for part in parts] == [5, 5, 5, 5, 4]
    assert [row["token_hash"] for part in parts for row in part] == mine
    first = measure(cell_of("steps=2", rows=7), "small")
    assert [row["token_hash"] for row in first] == mine[:7]
    assert cell_of("steps=2", rows=6).work * 4 == cell_of("steps=2").work


def test_what_is_called_between_steps_may_end_run():
    calls = []

    def between():
        calls.append(len(calls))
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(batches(cell_of("steps=16"), "small", between))
    assert len(calls) == 3


def test_columns_fed_count_what_model_computed(folder):
    rows = read_results(folder)
    assert (rows["columns_fed"] == 16 * rows["calls"]).all()


def test_finished_cells_are_never_computed_again(folder):
    assert run_study(SPEC, folder) == 0
    wider = {**SPEC, "samplers": {**SPEC["samplers"], "mdlm": {"steps": [2, 4, 16]}}}
    before = finished_cells(folder)
    names = {cell.name for cell in cells_of(read_spec(wider, known_cases()))}
    assert len(names - before) == 1


def test_killed_study_goes_on_where_it_stopped(folder, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(YAML, encoding="utf-8")
    command = [sys.executable, "-m", "lab", "study", "run", spec, "--out", tmp_path / "out"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not finished_cells(tmp_path / "out") and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    run_study(spec, tmp_path / "out")
    same(read_results(tmp_path / "out"), read_results(folder))


def test_two_processes_give_table_of_one(folder, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(YAML, encoding="utf-8")
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "lab", "study", "run", spec, "--out", tmp_path / "out"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    same(read_results(tmp_path / "out"), read_results(folder))


def test_shares_of_processes_are_disjoint_and_whole(tmp_path):
    counts = [run_study(SPEC, tmp_path, process=p, processes=3) for p in range(3)]
    assert counts == [2, 1, 1] and len(finished_cells(tmp_path)) == 4


def test_progress_ends_at_all_work(tmp_path):
    reports = []
    run_study(SPEC, tmp_path, reports.append)
    assert [each.done for each in reports] == [0, 1, 2, 3, 4]
    assert reports[-1].work == reports[-1].all_work > 0
    works = [each.cell.work for each in reports[:-1]]
    assert works == sorted(works), "a study that was stopped has the small budgets"


def test_verification_finds_equal_rows_and_other_weights(folder):
    rows = read_results(folder)
    outcome = verify(summarise(rows), 2)
    assert (outcome.points, outcome.rows, outcome.equal, outcome.rates_agree) == (2, 48, 48, 2)
    with pytest.raises(ValueError, match="measured on other weights"):
        verify(summarise(rows.assign(fingerprint="0" * 12)), 1)
    changed = rows.assign(token_hash="0" * 16, score=1 - rows["score"])
    outcome = verify(summarise(changed), 4)
    assert outcome.equal == 0 and outcome.rates_agree < 4


def test_length_of_text_is_part_of_what_is_verified(tmp_path):
    spec = {"name": "s", "task": "stories", "instances": 2, "gen_length": 8,
            "samplers": {"mdlm": {"steps": [4]}}}  # fmt: skip
    run_study(spec, tmp_path)
    rows = read_results(tmp_path)
    assert rows["score"].isna().all() and (rows["nats"] > 0).all() and (rows["entropy"] > 0).all()
    outcome = verify(summarise(rows), 1)
    assert (outcome.rows, outcome.equal, outcome.rates_agree) == (2, 2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"task": "stories", "cases": ["prompts"], "samplers": {"uniform": {}}},
            "uniform fits no model of stories",
        ),
        ({"models": ["sudoku5"]}, "no model 'sudoku5'"),
        ({"instances": 1000, "samplers": {"mdlm": {"steps": [8, 16, 32]}}}, "at most"),
    ],
)
def test_grid_that_cannot_run_is_refused_before_any_call(tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(cells_module, "MOST_WORK", 10**5)
    with pytest.raises(ValueError, match=message):
        run_study({**SPEC, **change}, tmp_path / "out")
    assert not finished_cells(tmp_path / "out")


def test_fingerprints_tell_models_apart():
    names = ("sudoku4", "sudoku4-hybrid", "capitals", "sudoku9-mdlm", "sudoku9-ar")
    assert len({fingerprint(name) for name in names}) == len(names)


def test_atlas_is_of_shipped_models():
    """A field of the card that changes no answer must not make other models of them."""
    points = read_points(ATLAS).groupby("model")["fingerprint"].unique()
    exact = [name for name in points.index if catalogue.weights_folder(name) is None]
    assert exact and all(points[name].tolist() == [fingerprint(name)] for name in exact)


def test_fingerprint_is_of_weights_not_of_folder(tmp_path):
    folders = [tmp_path / name / "mdlm" for name in ("same", "other")]
    for folder in folders:
        shutil.copytree(ASSETS / "sudoku6" / "mdlm", folder)
        shutil.copytree(ASSETS / "sudoku6" / "tokenizer", folder.parent / "tokenizer")
    weights = load_file(folders[1] / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, folders[1] / "model.safetensors")
    same, other = (fingerprint(str(folder)) for folder in folders)
    assert same == fingerprint("sudoku6-mdlm") != other


def test_truth_is_measured_in_nats(tmp_path):
    spec = {"name": "c", "task": "chain", "cases": ["64"], "instances": 8,
            "samplers": {"mdlm": {"steps": [2]}, "first_hitting": {}}}  # fmt: skip
    run_study(spec, tmp_path)
    nats = read_results(tmp_path).groupby("sampler")["nats"].mean()
    assert nats["first_hitting"] == pytest.approx(2.3, abs=0.3) and not np.isnan(nats["mdlm"])


def test_commands_report_compare_and_verify(folder, tmp_path, capsys):
    assert main(["report", str(folder), "--budget", "8", "--html", str(tmp_path / "r.html")]) == 0
    text = capsys.readouterr().out
    assert "| `margin` | temperature=0 |" in text and "At most 8 calls: " in text
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert (
        "<table>" in page
        and "Plotly.newPlot" in page
        and "src=" not in page.split("<table>")[0][:200]
    )
    settings = ["mdlm (steps=16)", "mdlm (steps=2)"]
    assert main(["compare", str(folder), "--task", "sudoku4", "--case", "4", *settings]) == 0
    assert "p = " in capsys.readouterr().out
    points = str(tmp_path / "points.parquet")
    assert main(["pack", str(folder), "--out", points]) == 0
    assert "4 points of 96 rows" in capsys.readouterr().out
    assert main(["verify", points, "--cells", "1"]) == 0
    assert "24 of 24 rows equal in 1 settings" in capsys.readouterr().out


def test_commands_refuse_in_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "no.yaml"), "--out", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_full_disk_keeps_finished_cells_and_says_so(folder, tmp_path, monkeypatch, capsys):
    spec, write, count = tmp_path / "spec.yaml", pq.write_table, []
    spec.write_text(YAML, encoding="utf-8")

    def full(*arguments, **options):
        count.append(1)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        write(*arguments, **options)

    command = ["run", str(spec), "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        assert main(command) == 2
    message = capsys.readouterr().err
    assert "No space left on device" in message and "the same command goes on" in message
    assert message.count("\n") == 1 and len(finished_cells(tmp_path / "out")) == 2
    assert main(command) == 0
    same(read_results(tmp_path / "out"), read_results(folder))


def test_command_stops_at_ctrl_c_and_keeps_cells(tmp_path, monkeypatch, capsys):
    spec, count = tmp_path / "spec.yaml", []
    spec.write_text(YAML, encoding="utf-8")

    def interrupted(cell, study):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return measure(cell, study)

    monkeypatch.setattr(runner, "measure", interrupted)
    assert main(["run", str(spec), "--out", str(tmp_path / "out")]) == 130
    assert "finished cells are kept" in capsys.readouterr().err
    assert len(finished_cells(tmp_path / "out")) == 1


def test_advice_says_what_cannot_be_distinguished(folder):
    points = summarise(read_results(folder))
    assert (
        advice(points, "sudoku4", "4", 1) == "At most 1 calls: no setting was measured that fits."
    )
    text = advice(points, "sudoku4", "4", 12)
    assert text.startswith("At most 12 calls: ") and "not distinguishable from" in text
