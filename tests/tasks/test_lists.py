"""Lists: every answer listed is right, the bounds are the total correlation, wrong names marked."""

import math
from collections import Counter

import pytest

from lab.tasks import TASKS, latin4, lists

TASK = TASKS["lists"]


def total_correlation(rows, weights):
    """Sum of the entropies of the columns of rows minus their joint entropy, in nats."""

    def entropy(outcomes):
        shares = Counter()
        for outcome, weight in zip(outcomes, weights, strict=True):
            shares[outcome] += weight
        return -sum(share * math.log(share) for share in shares.values())

    return sum(entropy(column) for column in zip(*rows, strict=True)) - entropy(rows)


@pytest.mark.parametrize("case", lists.CASES)
def test_bound_is_total_correlation_of_answers(case):
    for question in lists.questions(case)[::37]:
        count = len(question.answers)
        bound = total_correlation(question.answers, [1 / count] * count)
        assert TASK.bounds[case] == pytest.approx(bound, abs=1e-12)


def test_bounds_are_published_ones():
    assert TASK.bounds["shuffle"] == pytest.approx(2.367, abs=1e-3)
    assert TASK.bounds["replace_any"] == pytest.approx(3 * math.log(4 / 3))
    assert {TASK.bounds[case] for case in ("copy", "sort", "reverse", "insert", "remove")} == {0.0}


def test_bound_of_latin_squares_is_their_total_correlation():
    squares = latin4.squares()
    assert len(squares) == len(set(squares)) == latin4.COUNT
    bound = total_correlation(squares, [1 / len(squares)] * len(squares))
    assert TASKS["latin4"].bounds["0"] == pytest.approx(bound)


def test_each_case_weighs_same():
    listing = lists.sequences()
    assert sum(listing.weights) == pytest.approx(1)
    share = Counter()
    for words, weight in zip(listing.sequences, listing.weights, strict=True):
        case = "replace_any" if words[:2] == ("replace", "any") else words[0]
        share[case] += weight
    assert set(share) == set(lists.CASES)
    assert all(value == pytest.approx(1 / 8) for value in share.values())


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("copy Ann Eve Ben Dan : Ann Eve Ben Dan", True),
        ("sort Eve Dan Ben Ann : Ann Ben Dan Eve", True),
        ("sort Eve Dan Ben Ann : Ann Ben Eve Dan", False),
        ("reverse Ann Ben Cleo Dan : Dan Cleo Ben Ann", True),
        ("insert Eve second Ann Ben Cleo : Ann Eve Ben Cleo", True),
        ("insert Eve fourth Ann Ben Cleo : Ann Ben Cleo Eve", True),
        ("insert Eve second Ann Ben Cleo : Ann Ben Eve Cleo", False),
        ("remove third Ann Ben Cleo Dan : Ann Ben Dan", True),
        ("remove third Ann Ben Cleo Dan : Ann Ben Cleo", False),
        ("replace Eve first Ann Ben Cleo Dan : Eve Ben Cleo Dan", True),
        ("replace any by Eve Ann Ben Cleo Dan : Ann Ben Eve Dan", True),
        ("replace any by Eve Ann Ben Cleo Dan : Eve Ben Eve Dan", False),
        ("shuffle Ann Ben Cleo Dan : Cleo Ann Dan Ben", True),
        ("shuffle Ann Ben Cleo Dan : Cleo Ann Cleo Ben", False),
    ],
)
def test_checker_agrees_with_reader(text, right):
    assert TASK.score(text.split()).value == float(right)


def test_wrong_name_is_marked():
    score = TASK.score(["shuffle", "Ann", "Ben", "Cleo", "Dan", ":", "Cleo", "Ann", "Cleo", "Ben"])
    assert score.wrong == (8,) and "nearest right answer is Cleo Ann Dan Ben" in score.message


def test_missing_name_marks_end():
    score = TASK.score(
        ["copy", "Ann", "Ben", "Cleo", "Dan", ":", "Ann", "Ben", "Cleo", "<eos>", "<eos>"]
    )
    assert score.value == 0 and score.wrong == (9,)


def test_foreign_question_is_refused():
    assert TASK.score(["sort", "Ann", "Ann", "Ben", "Dan", ":", "Ann"]).value == 0
    assert TASK.score(["sort", "Ann"]).value == 0
    with pytest.raises(ValueError, match="a case of lists must be one of"):
        TASK.instances("mix", 1, 0)
