"""Damaged tales are refused where they are damaged, in words that say why, and counted once."""

import math
import random

import pytest

from lab.tasks import tales
from lab.tasks.tales.cases import swaps
from lab.tasks.tales.drawing import tale
from lab.tasks.tales.reading import sentences


def story(seed: int) -> tuple[int, ...]:
    return tuple(tale(random.Random(seed).random))


def ids(text: str) -> tuple[int, ...]:
    return tuple(tales.WORDS.index(word) for word in text.split())


LENT = (
    "One sunny day , Lily is in the garden . She has a red ball . Soon Tom comes to the garden . "
    "He likes the red ball . “ You can have it , ” says Lily . Lily gives the ball to Tom . "
    "“ Thank you , Lily , ” says Tom . Evening comes . Lily and Tom go home . "
    "Tom dreams of the red ball . It was a good day ."
)


def another_repair(text: tuple[int, ...], start: int, end: int) -> bool:
    """Whether one other word somewhere in text[start:end] makes the story possible."""
    for at in range(start, end):
        for word in range(len(tales.WORDS)):
            changed = (*text[:at], word, *text[at + 1 :])
            if tales.log_prob(changed[:end]) > -math.inf and tales.log_prob(changed) > -math.inf:
                return True
    return False


@pytest.mark.parametrize("seed", range(60))
def test_exchanged_word_is_refused_where_it_stands(seed):
    chance = random.Random(seed)
    for _ in range(10):
        text = story(chance.randrange(2**32))
        at = chance.choice([i for i, word in enumerate(text) if swaps(tales.WORDS[word])])
        other = tales.WORDS.index(chance.choice(swaps(tales.WORDS[text[at]])))
        text = (*text[:at], other, *text[at + 1 :])
        start, end = next(pair for pair in sentences(text[:-1]) if pair[1] > at)
        if tales.log_prob(text[:end]) == -math.inf:
            score = tales.check(text)
            assert score.value < 1
            assert (
                at in score.wrong
                or another_repair(text, start, at)
                or another_repair(text, at + 1, end)
            ), (score, text, at)


@pytest.mark.parametrize("seed", range(20))
def test_one_error_counts_about_once(seed):
    chance = random.Random(seed)
    counts = []
    for _ in range(10):
        row = story(chance.randrange(2**32))
        places = [i for i, word in enumerate(row) if swaps(tales.WORDS[word])]
        at = chance.choice(places)
        other = tales.WORDS.index(chance.choice(swaps(tales.WORDS[row[at]])))
        counts.append(len(tales.check((*row[:at], other, *row[at + 1 :])).wrong))
    assert sum(counts) / len(counts) < 2


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("Lily is in", "Anna is in", 1),  # then Lily, who is taken for her
        ("a red ball", "a blue ball", 1),
        ("a red ball", "a red bell", 1),
        ("Lily is in", "Sam is in", 2),  # then She, then Lily
    ],
)
def test_changed_introduction_is_read_once_and_adopted(old, new, count):
    assert len(tales.check(LENT.replace(old, new, 1).split()).wrong) == count


def test_lent_story_is_right():
    assert tales.check(LENT.split()) == (1.0, "every sentence follows", ())
    assert tales.check(ids(LENT + " <eos>")).value == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),  # the first wrong word has a star
    [
        ("Lily gives", "*Tom gives", "Tom gives the ball, but Lily holds it"),
        ("of the red ball", "of the *blue ball", "the ball is red, not blue"),
        ("He likes", "*She likes", '"She" does not fit: Tom is meant'),
        ("to the garden", "to the *park", "Lily is in the garden, not in the park"),
        ("Lily and Tom go", "Lily and *Ben go", "Ben is not in the story, Tom is"),
        ("gives the ball", "gives the *kite", "it is the ball, not the kite"),
        ("gives the ball", "gives the *zebra", '"zebra" is not a word of these tales'),
        ("It was a good day .", "*", "the story does not end"),
        ("was a good day .", "*", "a sentence breaks off"),
        ("good day .", "good day . *It was a good day .", "the story goes on after its end"),
        ("Evening comes", "*to to the and red", "cannot come here"),
    ],
)
def test_message_names_what_is_wrong(old, new, message):
    marked = LENT.replace(old, new, 1).split()
    at = next(i for i, word in enumerate(marked) if word[0] == "*")
    words = [word.lstrip("*") for word in marked if word != "*"]
    score = tales.check(words)
    assert message in score.message
    assert score.wrong == (min(at, len(words) - 1),)
    assert 0.9 < score.value < 1


def test_value_is_share_of_right_sentences():
    assert tales.check(
        LENT.replace("gives the ball", "gives the kite").split()
    ).value == pytest.approx(10 / 11)
    assert tales.check([]).value == 0
    assert tales.check(["zebra"]).value == 0
    assert math.isnan(tales.check(["One", "[MASK]"]).value)
    assert math.isnan(tales.check([*ids("One"), len(tales.WORDS)]).value)


def test_any_words_get_score():
    chance = random.Random(0)
    for _ in range(20):
        score = tales.check([chance.randrange(len(tales.WORDS)) for _ in range(tales.LENGTH)])
        assert 0 <= score.value < 0.5 and score.message and score.wrong
        assert all(0 <= at < tales.LENGTH for at in score.wrong)
