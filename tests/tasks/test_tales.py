"""What is drawn is right, what is damaged is named where it stands, the numbers are exact."""

import math
import random
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.tasks import split, tales
from lab.tasks.tales import process
from lab.tasks.tales.drawing import tale
from lab.tasks.tales.process import LATE, closed, latest, options, stage
from lab.tasks.tales.reading import sentences
from lab.tasks.tales.world import HOME

SEEDS = st.integers(0, 2**32)
few = settings(max_examples=25, deadline=None)


def story(seed: int) -> tuple[int, ...]:
    return tuple(tale(random.Random(seed).random))


def ids(text: str) -> tuple[int, ...]:
    return tuple(tales.WORDS.index(word) for word in text.split())


@cache
def drawn(count: int = 20_000) -> torch.Tensor:
    return tales.draw(count, 1)


LENT = (
    "One sunny day , Lily is in the garden . She has a red ball . Soon Tom comes to the garden . "
    "He likes the red ball . “ You can have it , ” says Lily . Lily gives the ball to Tom . "
    "“ Thank you , Lily , ” says Tom . Evening comes . Lily and Tom go home . "
    "Tom dreams of the red ball . It was a good day ."
)


@few
@given(SEEDS)
def test_drawn_story_scores_one(seed):
    score = tales.check(story(seed))
    assert score == (1.0, "every sentence follows", ())
    assert math.isfinite(tales.log_prob(story(seed)))


def test_lengths_and_sentences_of_drawn_stories():
    rows = drawn()
    lengths = (rows != tales.EOS_ID).sum(1) + 1
    assert rows.shape == (20_000, tales.LENGTH)
    assert lengths.min() >= 48 and lengths.max() <= tales.LENGTH
    assert (rows.gather(1, lengths[:, None] - 1) == tales.EOS_ID).all()


def test_every_word_is_used_and_there_are_no_others():
    assert set(drawn().unique().tolist()) == set(range(len(tales.WORDS)))
    assert len(set(tales.WORDS)) == len(tales.WORDS) <= 300
    assert tales.WORDS[-1] == tales.EOS


def test_no_two_of_20000_stories_agree():
    assert len(drawn().unique(dim=0)) == 20_000


def test_draws_are_reproducible_by_seed():
    assert torch.equal(tales.draw(50, 3), tales.draw(50, 3))
    assert not torch.equal(tales.draw(50, 3), tales.draw(50, 4))
    assert torch.equal(tales.draw(80, 3)[:50], tales.draw(50, 3))
    assert tales.draw(0, 3).shape == (0, tales.LENGTH)


def test_held_out_and_training_never_overlap():
    held_out = tales.draw(300, 1, held_out=True)
    assert split.held_out(held_out).all() and not split.held_out(drawn()).any()
    chance = random.Random(9).random
    rows = [tale(chance) for _ in range(4000)]
    padded = [row + [tales.EOS_ID] * (tales.LENGTH - len(row)) for row in rows]
    share = split.held_out(torch.tensor(padded)).float().mean()
    assert abs(share - 1 / tales.SHARE) < 0.015


@few
@given(SEEDS)
def test_parsing_gives_back_state_that_wrote_it(seed):
    chance = random.Random(seed)
    state, text = tales.State(), ()
    while state.length < 40:
        moves = tales.expand(state)
        _, words, state = chance.choices(moves, [move[0] for move in moves])[0]
        text += words
        assert state in tales.states(text)
    assert sum(tales.states(text).values()) == pytest.approx(1)


@few
@given(SEEDS)
def test_next_words_sum_to_one_at_every_prefix(seed):
    text = story(seed)
    total = 0.0
    for end, word in enumerate(text):
        following = tales.next_tokens(text[:end])
        assert math.fsum(following.values()) == pytest.approx(1)
        total += math.log(following[tales.WORDS[word]])
        assert tales.log_prob(text[: end + 1]) == pytest.approx(total)
    assert tales.next_tokens(text) == {}


@few
@given(SEEDS)
def test_probabilities_of_state_sum_to_one(seed):
    state = random.Random(seed).choice([*tales.states(story(seed)[: seed % 40])] or [tales.State()])
    moves = tales.expand(state)
    assert math.fsum(share for share, _, _ in moves) == pytest.approx(1)
    for _, words, after in moves:
        assert sentences(words) == [(0, len(words))], "one move is one sentence"
        assert after.length == state.length + len(words)


def test_pronoun_stands_only_for_one_it_can_mean():
    two_boys = ids("One sunny day , Tom is in the garden . He has a red ball . Tom sees Ben .")
    boy_and_girl = ids("One sunny day , Tom is in the garden . He has a red ball . Tom sees Mia .")
    assert not {"He", "She"} & {*tales.next_tokens(two_boys)}
    assert tales.next_tokens(boy_and_girl)["She"] > 0.5


def test_names_places_and_things_of_story_differ():
    for seed in range(150):
        for state in visited(seed)[-1:]:
            known = [word for word in state.binding if word >= 0]
            assert len(known) == len({*known})


def test_derivations_that_meet_in_one_state_are_summed(monkeypatch):
    def follow(state, tokens):
        ways = [(0.25, -1), (0.5, -1), (0.25, 5)] if state.length == 0 else [(1.0, 7)]
        yield from ((share, word, tales.State(length=1)) for share, word in ways)

    monkeypatch.setattr(process, "follow", follow)
    assert tales.log_prob([3]) == pytest.approx(math.log(1.0))
    assert tales.states([3]) == {tales.State(length=1): 1.0}
    states, words = process.forward([3])
    assert states[1] == {tales.State(length=1): pytest.approx(0.75)}
    assert words == pytest.approx({5: 0.25, 7: 0.75})


def endings(state: tales.State) -> list[tuple[float, tuple[int, ...]]]:
    """Every way to end a story from a state, one derivation each."""
    result = []
    for share, words, after in tales.expand(state):
        if after.plot.beat == "over":
            result.append((share, words))
        else:
            result += [(share * more, words + rest) for more, rest in endings(after)]
    return result


def near_the_end(seed: int) -> tuple[tuple[int, ...], tales.State]:
    """A story up to where all have gone home, and its state there."""
    text = story(seed)
    for _, end in sentences(text[:-1]):
        state, *others = tales.states(text[:end])
        if not others and all(person.at == HOME for person in state.plot.cast):
            return text[:end], state
    raise AssertionError("nobody goes home")


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_endings_sum_to_one_and_to_prefix(seed):
    prefix, state = near_the_end(seed)
    ends = endings(state)
    assert math.fsum(share for share, _ in ends) == pytest.approx(1)
    texts = {words for _, words in ends}
    whole = [tales.log_prob(prefix + words) for words in texts]
    assert torch.tensor(whole).logsumexp(0).item() == pytest.approx(
        tales.log_prob(prefix), rel=1e-5
    )


def test_probability_of_first_sentence():
    moves = tales.expand(tales.State())
    share = math.fsum(
        p for p, words, _ in moves if words == ids("One windy day , Tom is in the barn .")
    )
    assert tales.log_prob(ids("One windy day , Tom is in the barn .")) == pytest.approx(
        math.log(share)
    )
    assert share == pytest.approx(0.25 * 0.5 * 0.25 * 0.5 / 6 / 12)


def test_what_is_decided_but_not_yet_told_is_summed_over():
    text = ids(
        "One sunny day , Lily is in the garden . She has a red ball . Tom comes along . "
        "He is sad . He has lost his blue kite . Lily and Tom look for it in the park ."
    )
    result = tales.states(text)
    chances = {state.plot.beat: share for state, share in result.items()}
    assert chances == pytest.approx({"hunt": 2 / 3, "in_vain": 1 / 3})
    not_there = tales.next_tokens(text + ids("But the kite"))
    assert not_there == pytest.approx({"is": 1.0})
    assert {state.plot.beat for state in tales.states(text + ids("But it is not there ."))} == {
        "search"
    }
    total = math.fsum(
        math.exp(tales.log_prob(text + ids(word)) - tales.log_prob(text))
        for word in tales.next_tokens(text)
    )
    assert total == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "One", LENT, LENT + " <eos> <eos>"])
def test_log_prob_of_beginnings_and_whole_stories(text):
    assert tales.log_prob(ids(text)) <= 1e-9
    assert math.isfinite(tales.log_prob(ids(text)))


@pytest.mark.parametrize(
    "text", ["Lily", LENT + " It", LENT + " <eos> It", "One sunny day . <eos>"]
)
def test_impossible_text_has_no_probability(text):
    assert tales.log_prob(ids(text)) == -math.inf
    assert tales.next_tokens(ids(text)) == {} and tales.states(ids(text)) == {}


@pytest.mark.parametrize("case", tales.CASES)
def test_instances_are_seeded_held_out_and_solved_by_their_story(case):
    result = tales.instances(case, 6, seed=2)
    assert result == tales.instances(case, 6, seed=2) != tales.instances(case, 6, seed=3)
    for instance in result:
        solution = ids(instance.solution)
        padded = [*solution, *[tales.EOS_ID] * (tales.LENGTH - len(solution))]
        assert split.held_out(torch.tensor([padded])).item()
        assert tales.score(padded, instance) == (1.0, "every sentence follows", ())
        assert tales.score(solution, instance).value == 1
        assert ("[MASK]" in instance.text) == (case in ("middle", "names"))


def test_draft_to_repair_has_three_wrong_words():
    for instance in tales.instances("repair", 6, seed=2):
        pairs = zip(instance.text.split(), instance.solution.split(), strict=True)
        assert sum(a != b for a, b in pairs) == 3
        assert tales.score(instance.text.split(), instance).value < 1


@pytest.mark.parametrize("case", ["continue", "middle", "names"])
def test_changed_given_words_are_wrong(case):
    one, other = tales.instances(case, 2, seed=2)
    score = tales.score(other.solution.split(), one)
    assert score.value < 1 and "was given" in score.message
    assert score.wrong and max(score.wrong) < len(other.solution.split())


def test_unknown_case_names_known_ones():
    with pytest.raises(ValueError, match="continue, middle, names, repair"):
        tales.instances("begin", 1, 0)


def test_entropy_is_mean_surprise():
    entropy = tales.entropy(40, 5)
    rows = tales.draw(40, 5).tolist()
    surprise = [-tales.log_prob(row) for row in rows]
    tokens = sum(row.index(tales.EOS_ID) + 1 for row in rows)
    assert entropy.story == pytest.approx(sum(surprise) / 40)
    assert entropy.token == pytest.approx(sum(surprise) / tokens)
    assert 0 < entropy.story_error < 2 and 0 < entropy.token_error < 0.03


def test_story_can_always_be_ended_in_time():
    for state in {s for seed in range(200) for s in visited(seed)}:
        late = {(option.items, option.after) for option in options(state.plot, LATE)}
        for now in (1, 2):
            assert late <= {(o.items, o.after) for o in options(state.plot, now)}
        assert closed(state.plot, state.length) < len(latest(state.plot, stage(state.length)))


def visited(seed: int) -> list[tales.State]:
    """The states of a story where something may still follow."""
    text = story(seed)
    ends = [0, *(end for _, end in sentences(text[:-1]))]
    return [state for end in ends for state in tales.states(text[:end])]


def test_examples_fit_vocabulary_and_length():
    for text in tales.TASK.examples:
        known = tales.TASK.known(text)
        assert {word for word in known if word is not None} <= {*tales.TASK.words}
        assert len(known) <= tales.TASK.length
    first = [word for word in tales.TASK.known(tales.TASK.examples[0]) if word]
    assert tales.log_prob(ids(" ".join(first))) > -math.inf
