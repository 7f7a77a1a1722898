"""A study on another device: the model is opened there, before any cell, and batches grow."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import yaml

import lab
from lab.study import cells as cells_module
from lab.study.cells import cells_of, instances_of, known_cases
from lab.study.results import finished_cells
from lab.study.runner import run_study
from lab.study.spec import read_spec
from lab.study.study_command import main

SPEC = {"name": "small", "task": "sudoku4", "cases": [4], "samplers": {"mdlm": {"steps": [2]}}}
# A plan of 16 columns on a device that is not the CPU.
ELSEWHERE = SimpleNamespace(
    canvas=SimpleNamespace(tokens=torch.zeros(1, 16)),
    model=SimpleNamespace(device=torch.device("meta")),
)


def test_trained_models_run_on_named_device_in_larger_batches(monkeypatch):
    devices, plain = [], cells_module.load

    def load(name, device=None):
        devices.append(device)
        return plain(name)

    cell, first = cells_of(read_spec(SPEC, known_cases()))[0], instances_of("sudoku4", "4", 1)[0]
    assert cell._batch(first) == cells_module.BATCH_ROWS
    monkeypatch.setattr(cells_module, "load", load)
    monkeypatch.setattr(cells_module, "plan", lambda request: ELSEWHERE)
    size = replace(cell, device="cuda:1")._batch(first)
    assert set(devices) == {"cuda:1"} and size == cells_module.BATCH_ROWS * cells_module.GPU


def test_device_that_is_not_there_is_refused_before_any_cell(tmp_path):
    spec = {**SPEC, "task": "sudoku6", "cases": [12]}
    for study in (partial(run_study, spec, tmp_path), partial(lab.study, spec)):
        with pytest.raises(ValueError, match="device cuda:9 is not there"):
            study(device="cuda:9")
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    words = [str(tmp_path / "spec.yaml"), "--out", str(tmp_path / "out"), "--device", "cuda:9"]
    assert main(["run", *words]) == 2
    assert not finished_cells(tmp_path / "out")
