"""Capitals: the list is clean, and what makes a sentence false is named."""

import pytest

from lab.tasks import TASKS, capitals


def test_file_of_capitals_is_clean():
    known = capitals.capitals()
    assert len(known) == 188 and known["France"] == "Paris"
    assert len(set(known.values())) == len(known)
    lines = capitals.sentences()
    assert {len(line) for line in lines} == {12}
    assert all(line[-1] == capitals.EOS and line.count(".") == 1 for line in lines)


@pytest.mark.parametrize(
    ("words", "wrong", "message"),
    [
        ("The capital of France is Rome . <eos> Rome", "5", "the capital of France is Paris, not"),
        ("The capital of France is Port Vila .", "5 6", "is Paris, not Port Vila"),
        ("The capital of Vanuatu is Port Louis . <eos>", "6", "is Port Vila, not Port Louis"),
        ("The capital of Vanuatu is Port . <eos>", "6", "is Port Vila, not Port"),
        ("The capital of South Emirates is Seoul .", "4", "Seoul is the capital of South Korea"),
        ("The capital of North Spain is New City .", "3 4 6 7", "no country North Spain"),
        ("The capital of France Paris .", "4", "the nearest one is The capital of France is Paris"),
        ("<eos>", "0", "the nearest one"),
        ("", "", "the nearest one"),
    ],
)
def test_what_makes_sentence_false(words, wrong, message):
    score = TASKS["capitals"].score(words.split())
    assert score.value == 0 and message in score.message
    assert score.wrong == tuple(map(int, wrong.split()))


@pytest.mark.parametrize("name", ["capitals", "sudoku4"])
def test_every_listed_sequence_is_right(name: str):
    for words in TASKS[name].exact().sequences:
        score = TASKS[name].score(words)
        assert score.value == 1 and score.wrong == ()
