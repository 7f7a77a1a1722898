"""Every script in examples/ runs as it stands, in a process of its own, and is short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.project import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
SHOWS = {
    "compare": "llada2   row 1: ",
    "bring_your_own_model": "left out: ",
    "compare_with_another_loop": "they never part",
    "write_a_sampler": "most_likely: temperature must be a number from 0 to 2",
    "distance_to_truth": "first_hitting",
    "study_samplers": "entropy_bound (gamma=0.1, temperature=0) - mdlm (steps=2): +",
}


def test_every_script_has_its_output_listed():
    assert {script.stem for script in SCRIPTS} == set(SHOWS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_runs(script: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SHOWS[script.stem] in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_is_under_40_lines(script: Path):
    assert len(script.read_text("utf-8").splitlines()) < 40


def test_sampler_of_example_scores_by_probability():
    code = f"""
import runpy, numpy
run = runpy.run_path({str(ROOT / "examples/write_a_sampler.py")!r})["run"]
scores = run.score[~numpy.isnan(run.score)]
print("between", scores.min() > 0, scores.max() <= 1)"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "between True True" in done.stdout
