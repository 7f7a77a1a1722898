"""Models that solve: trained on a task's own data, measured by a study, as their cards say."""

import json

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

import lab
from lab import train
from lab.models.catalogue import ASSETS
from lab.models.word_tokenizer import word_tokenizer
from lab.study.results import read_results
from lab.study.solve_table import solve_table
from lab.study.summary import summarise
from lab.tasks import TASKS
from lab.train import evaluate
from lab.train.corpus import generator
from lab.train.objectives import mdlm
from lab.train.random_models import build_positional
from tests.kit.points import rows_of

TRAINED = ("sudoku6", "sudoku9", "addition")
EASY = {"sudoku6": "24", "sudoku9": "60", "addition": "2:0"}
SHAPE = "--lengths 16 --hidden 24 --layers 1 --heads 3 --intermediate 24 --steps 2"
SHAPE += " --tokens-per-batch 64 --warmup 1 --precision no"


def test_question_is_never_noised_and_board_is_all_answer():
    sums = TASKS["addition"].draw(32, 8)
    problem = mdlm(sums, 12, generator(9), prefix=TASKS["addition"].question)
    answer = torch.arange(sums.shape[1]) >= TASKS["addition"].question
    assert torch.equal(problem.inputs[:, ~answer], sums[:, ~answer])
    assert bool(problem.loss_mask[:, answer].any(0).all())
    assert problem.tokens == 32 * 9
    grids = TASKS["sudoku4"].draw(64, 10)
    assert bool(mdlm(grids, 4, generator(11), prefix=0).loss_mask[:, 0].any())


def test_task_trains_resumes_and_is_measured(tmp_path, capsys):
    out, work = tmp_path / "sudoku4" / "mdlm", tmp_path / "run"
    tail = [*SHAPE.split(), "--context", "16"]
    command = ["--task", "sudoku4", "--work", str(work), "--out", str(out)]
    assert train.main([*command, *tail]) == 0
    assert train.main([*command, *tail, "--resume"]) == 0
    assert "the rest starts at random" in (out / "README.md").read_text("utf-8")
    assert type(AutoTokenizer.from_pretrained(out.parent / "tokenizer")).__name__ != "WordTokenizer"
    model = lab.load(str(out))
    assert (model.card.length, model.card.context, model.card.mask_id) == (16, 16, 4)
    with pytest.raises(ValueError, match="words this model knows"):
        lab.run("mdlm", model, template="5[MASK]*15")
    capsys.readouterr()
    flags = ["--instances", "3", "--samplers", "margin,first_hitting", "--out", tmp_path / "rows"]
    assert evaluate.main([str(out), *map(str, flags), "--card"]) == 0
    printed = capsys.readouterr().out
    assert "| `margin (" in printed and " % [" in printed and "6 [95 %] | 4 [95 %]" in printed
    card = (out / "README.md").read_text("utf-8")
    assert printed.strip() in card and "  not a grid: " in card
    assert "--instances 3 --samplers margin,first_hitting" in card
    rows = read_results(tmp_path / "rows")
    assert set(rows["model"]) == {str(out)} and len(rows) > 3 * 2 * 4
    assert evaluate.main([str(out), "--cases", "16"]) == 2
    assert "sudoku4 has no case '16'; it has 6, 4" in capsys.readouterr().err
    assert evaluate.main([str(out), "--samplers", "hybrid"]) == 2
    assert "hybrid fits no model of sudoku4" in capsys.readouterr().err
    other = ["--task", "sudoku6", "--work", str(tmp_path / "other")]
    assert train.main([*other, *tail]) == 2
    assert "--lengths 36" in capsys.readouterr().err


def test_board_is_written_from_left_to_right(tmp_path, capsys):
    out = tmp_path / "sudoku4" / "ar"
    command = ["--task", "sudoku4", "--work", str(tmp_path / "run")]
    command += ["--out", str(out), *SHAPE.split(), "--objective", "ar"]
    assert train.main([*command, "--context", "16"]) == 2
    assert "--context must be at least 17" in capsys.readouterr().err
    assert train.main([*command, "--context", "17"]) == 0
    model = lab.load(str(out))
    assert (model.card.length, model.card.context, model.card.attention) == (16, 16, "causal")
    (run,) = lab.run("autoregressive", model, template="[MASK]*2 3[MASK]*13", temperature=0)
    with_start = torch.tensor([[4, *run.tokens[-1].tolist()]])
    with torch.no_grad():
        stock = model.network(input_ids=with_start).logits[0, :-1]
    stock[:, 4] = -torch.inf
    best = stock.argmax(1)
    assert best[:2].tolist() == run.tokens[-1][:2].tolist() and run.tokens[-1][2] == 2
    assert best[3:].tolist() == run.tokens[-1][3:].tolist()
    assert evaluate.main([str(out), "--cases", "6", "--instances", "3"]) == 0
    assert "| `autoregressive (" in capsys.readouterr().out


def test_network_too_narrow_for_its_board_is_refused():
    words = word_tokenizer(TASKS["sudoku9"].words, 9)
    with pytest.raises(ValueError, match="--hidden from 27"):
        build_positional(
            words, hidden=32, layers=1, heads=4, intermediate=8, context=81,
            structure=TASKS["sudoku9"].structure,
        )  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_shipped_model_solves_easy_instances(name: str):
    task = TASKS[name]
    instances = task.instances(EASY[name], 10, 0)
    runs = lab.run("max_prob", name, template=[each.text for each in instances], temperature=0.0)
    scores = [
        task.score([run.piece(i) for i in run.tokens[-1].tolist()], instance).value
        for run, instance in zip(runs, instances, strict=True)
    ]
    assert sum(scores) >= 9


@pytest.mark.parametrize("name", TRAINED)
def test_task_runs_its_examples(name: str):
    for template in TASKS[name].examples:
        run = lab.run("max_prob", name, template=template, steps=1, temperature=0.0)[0]
        assert run.tokens.shape[1] == TASKS[name].length
    with pytest.raises(ValueError, match="words this model knows"):
        lab.run("max_prob", name, template="x[MASK]")


@pytest.mark.parametrize("name", TRAINED)
def test_card_states_data_and_rates(name: str):
    folder = ASSETS / name / "mdlm"
    card = (folder / "README.md").read_text("utf-8")
    assert "held out and never trains" in card and "<!-- held-out -->" in card
    assert json.loads((folder / "lab.json").read_text())["length"] == TASKS[name].length


def points(**settings):
    """Points of one model on cases a and b: {setting: (solved of 100 in a, in b, calls)}."""
    rows = [
        row
        for label, (first, second, calls) in settings.items()
        for case, solved in (("6", first), ("4", second))
        for row in rows_of("sudoku4", case, label.rsplit("_", 1)[0], {}, solved, calls, count=100,
                           settings=label, setting=label)
    ]  # fmt: skip
    return summarise(pd.DataFrame(rows))


def test_table_has_best_setting_and_cheapest_as_good():
    table = solve_table(points(mdlm_1=(90, 80, 40), mdlm_2=(89, 79, 8), mdlm_3=(89, 20, 2)))
    lines = table.splitlines()[2:]
    assert len(lines) == 2
    assert lines[0].startswith("| `mdlm (mdlm_1)` | 90.0 % [") and lines[0].endswith("| 40 |")
    assert lines[1].startswith("| `mdlm (mdlm_2)` | 89.0 % [") and lines[1].endswith("| 8 |")


def test_setting_that_lacks_case_is_left_out_of_table():
    both = points(mdlm_1=(90, 80, 40), margin_1=(99, 99, 4))
    table = solve_table(both[~((both["sampler"] == "margin") & (both["case"] == "4"))])
    assert "margin" not in table and table.count("mdlm") == 2
