"""The contract that every task holds, and the small parts of it."""

import math

import pytest
import torch

import lab
from lab.models.catalogue import MEMBERS, TRAINED, card
from lab.models.exact.shipped import SHIPPED
from lab.tasks import TASKS, boards, examples
from lab.tasks.task import Instance, Task, kind_of, template
from samplers import SAMPLERS

CASES = [(name, case) for name, task in TASKS.items() for case in task.cases]
DRAWN = [name for name, task in TASKS.items() if task.draw]
EXACT = [name for name, task in TASKS.items() if task.exact and name not in ("chain", "hidden")]
# A wrong letter of a chain is no more than unlikely: tests/tasks/test_letters.py.
CHECKED = [(name, case) for name, case in CASES if name not in ("chain", "hidden")]


@pytest.fixture(autouse=True, scope="module")
def few_bases():
    """Fewer random fills than training takes: what is asserted holds for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boards, "BASES", {False: 20, True: 5})
        boards.bases.cache_clear()
        yield
    boards.bases.cache_clear()


def texts(name: str, rows: torch.Tensor) -> list[tuple[str, ...]]:
    """The words of rows of ids."""
    words = TASKS[name].words or ()
    return [tuple(words[i] for i in row) for row in rows.tolist()]


@pytest.mark.parametrize("name", TASKS)
def test_task_says_what_it_is(name: str):
    task = TASKS[name]
    assert task.name == name and task.title and task.examples and task.models
    assert task.summary.count(". ") + task.summary.endswith(".") == 2, "two sentences"
    assert all(case and line for case, line in task.cases.items())
    assert bool(task.cases) == bool(task.instances) == bool(task.checker)
    assert task.draw is None or None not in (task.card, task.words, task.length)
    assert examples(name) == task.examples
    if task.words:
        assert len(set(task.words)) == len(task.words)
        assert task.eos is None or task.eos in task.words
        words = {word for text in task.examples for word in task.known(text) if word}
        assert words <= set(task.words)


@pytest.mark.parametrize("name", TASKS)
def test_every_model_named_exists_and_fits_sampler(name: str):
    for model in TASKS[name].models:
        assert model in lab.models() and card(model).task == name
        assert any(sampler.misfit(card(model)) is None for sampler in SAMPLERS.values())
    assert MEMBERS[name] == TASKS[name].models
    assert (name in TRAINED) != any(model in SHIPPED for model in TASKS[name].models)
    assert lab.tasks()[name]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_instances_follow_from_their_seed(name: str, case: str):
    task = TASKS[name]
    first = task.instances(case, 4, 3)
    assert first == task.instances(case, 4, 3) and len(first) == 4
    assert first != task.instances(case, 4, 4) or None not in map(kind_open, first)
    for instance in first:
        known = task.known(instance.text)
        assert None in known and len(known) == len(instance.solution)
        assert all(a in (None, b) for a, b in zip(known, instance.solution, strict=True))
        assert set(instance.solution) <= set(task.words)


def kind_open(instance: Instance) -> str | None:
    """The text of an instance that gives something, None for one that gives nothing."""
    return instance.text if instance.text.strip("[MASK]*0123456789") else None


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_that_trains_is_instance(name: str):
    task = TASKS[name]
    end = task.question or None
    trained = {words[:end] for seed in range(20) for words in texts(name, task.draw(300, seed))}
    held_out = {one.solution[:end] for case in task.cases for one in task.instances(case, 40, 0)}
    assert len(trained) > 100 and not trained & held_out


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_is_right_and_follows_from_its_seed(name: str):
    task = TASKS[name]
    rows = task.draw(60, 1)
    assert rows.shape == (60, task.length) and rows.dtype == torch.int64
    assert all(
        task.score(words) == (1.0, task.score(words).message, ()) for words in texts(name, rows)
    )
    assert torch.equal(rows, task.draw(60, 1)) and not torch.equal(rows, task.draw(60, 2))


@pytest.mark.parametrize(("name", "case"), CHECKED)
def test_solution_scores_one_and_broken_one_less(name: str, case: str):
    task = TASKS[name]
    for instance in task.instances(case, 3, 0):
        solution = list(instance.solution)
        assert task.score(solution, instance)[::2] == (1.0, ())
        assert task.score([f" {word}" for word in solution], instance).value == 1, "white space"
        open_places = [i for i, word in enumerate(task.known(instance.text)) if word is None]
        place = open_places[0]
        wrong = next(word for word in task.words if word not in (solution[place], task.eos))
        score = task.score([*solution[:place], wrong, *solution[place + 1 :]], instance)
        assert score.value < 1 and place in score.wrong and score.message
        mask = [*solution[:place], "<mask>", *solution[place + 1 :]]
        assert math.isnan(task.score(mask, instance).value)


def test_given_word_that_changed_scores_nothing():
    (instance,) = TASKS["sudoku4"].instances("6", 1, 0)
    grids = TASKS["sudoku4"].exact().sequences
    known = TASKS["sudoku4"].known(instance.text)
    other = next(g for g in grids if any(k and k != w for k, w in zip(known, g, strict=True)))
    score = TASKS["sudoku4"].score(other, instance)
    assert score.value == 0 and "given" in score.message
    assert score.wrong == tuple(i for i in range(16) if known[i] and known[i] != other[i])
    assert TASKS["sudoku4"].score(other).value == 1


@pytest.mark.parametrize("name", EXACT)
def test_exact_model_agrees_with_enumeration(name: str):
    task, model = TASKS[name], lab.load(TASKS[name].models[0])
    sequences, weights = task.exact()
    for case in task.cases:
        (instance,) = task.instances(case, 1, 5)
        known = task.known(instance.text)
        pairs = [
            (s[: len(known)], w)
            for s, w in zip(sequences, weights or [1] * len(sequences), strict=True)
        ]
        fits = [p for p in pairs if all(k in (None, w) for k, w in zip(known, p[0], strict=True))]
        mask_id = model.card.mask_id
        ids = [mask_id if word is None else task.words.index(word) for word in known]
        posterior = model.denoise(torch.tensor([ids]))[0].softmax(-1)
        for place in (i for i, word in enumerate(known) if word is None):
            count = torch.zeros(mask_id + 1, dtype=torch.float64)
            for words, weight in fits:
                count[task.words.index(words[place])] += weight
            torch.testing.assert_close(
                posterior[place].double(), count / count.sum(), atol=1e-6, rtol=0
            )


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.instances])
def test_case_that_is_none_is_refused_with_rule(name: str):
    with pytest.raises(ValueError, match=r"must be .*got '-1'"):
        TASKS[name].instances("-1", 1, 0)


def test_what_has_no_checker_is_not_judged():
    assert math.isnan(TASKS["stories"].score(["Once"]).value)


def test_text_after_end_is_not_judged():
    words = ["The", "capital", "of", "France", "is", "Paris", ".", "<eos>", "<mask>", "Rome"]
    assert TASKS["capitals"].score(words).value == 1


def test_template_reads_back_as_words_it_was_written_from():
    words = Task(name="", title="", summary="", examples=(), models=(), words=("Paris", "of"))
    for known in ([None], ["of", None, None, "Paris", "."], [None, "Paris", None, "."]):
        assert words.known(template(known)) == known
    assert template(["of", None, None, "Paris", "."]) == "of[MASK]*2 Paris."
    assert TASKS["addition"].known("12+[MASK]*2=") == ["1", "2", "+", None, None, "="]
    assert kind_of("of [MASK]") == "template" and kind_of("of") == "prompt"


def test_another_model_gets_texts_to_try():
    assert {kind_of(text) for text in examples("somebody/else")} == {"prompt", "template"}


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.case_of])
def test_instance_is_of_its_case(name):
    task = TASKS[name]
    for case in task.cases:
        for instance in task.instances(case, 4, 0):
            assert task.case(instance.text) in (case, None)
        assert any(task.case(each.text) == case for each in task.instances(case, 4, 0))


@pytest.mark.parametrize(
    ("name", "text", "case"),
    [
        ("sudoku9", "1[MASK]*79", None),
        ("sudoku9", "1[MASK]*80", None),
        ("capitals", "The capital of", None),
        ("capitals", "The capital of France is", "capital"),
        ("capitals", "[MASK]*5 Lima.", None),
        ("addition", "09140298+47859704=[MASK]*9", "8:6"),
        ("addition", "[MASK]*27", None),
        ("lists", "sing Ann", None),
        ("stories", "Once upon a time", None),
    ],
)
def test_text_is_of_case_that_it_looks_like(name, text, case):
    assert TASKS[name].case(text) == case
