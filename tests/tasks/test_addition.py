"""Sums: carry chains of the length that was ordered, every digit judged."""

import pytest
import torch

from lab.tasks import TASKS
from lab.tasks.addition import QUESTION, WIDTH, chains, sums
from lab.tasks.split import generator, held_out


@pytest.mark.parametrize("held", [False, True])
def test_sums_are_right_and_on_their_side_of_split(held: bool):
    rows = sums(60, generator(1), held)
    texts = ["".join(TASKS["addition"].words[i] for i in row) for row in rows.tolist()]
    for text in texts:
        question, _, total = text.partition("=")
        assert sum(map(int, question.split("+"))) == int(total)
    assert bool((held_out(rows[:, :QUESTION]) == held).all())


@pytest.mark.parametrize(
    ("first", "second", "chain"),
    [
        ("00000011", "00000022", 0),
        ("00000005", "00000005", 1),
        ("00000095", "00000005", 2),
        ("00000055", "00000055", 1),  # each carry is made where it stands
        ("00099999", "00000001", 5),
        ("09990095", "00000005", 2),  # nines that no carry reaches are no chain
        ("99999999", "00000001", 8),
    ],
)
def test_length_of_carry_chain(first: str, second: str, chain: int):
    digits = [torch.tensor([[int(digit) for digit in one]]) for one in (first, second)]
    assert chains(*digits).tolist() == [chain]


@pytest.mark.parametrize(("digits", "chain"), [(2, 0), (4, 2), (8, 5), (8, 8)])
def test_sums_have_digits_and_chain_of_their_case(digits: int, chain: int):
    rows = sums(40, generator(6), True, digits=digits, chain=chain)
    first, second = rows[:, :WIDTH], rows[:, WIDTH + 1 : 2 * WIDTH + 1]
    assert chains(first, second).tolist() == [chain] * 40
    assert int(first[:, : WIDTH - digits].sum() + second[:, : WIDTH - digits].sum()) == 0
    instances = TASKS["addition"].instances(f"{digits}:{chain}", 4, 6)
    assert all(one.text.endswith("=[MASK]*9") for one in instances)


def test_training_sums_have_chains_of_every_length():
    rows = torch.cat([TASKS["addition"].draw(50, seed) for seed in range(30)])
    lengths = chains(rows[:, :WIDTH], rows[:, WIDTH + 1 : 2 * WIDTH + 1])
    assert set(lengths.tolist()) >= set(range(WIDTH))


@pytest.mark.parametrize("case", ["8", "2:4", "9:0", "a:b"])
def test_chain_longer_than_its_sum_is_refused(case: str):
    with pytest.raises(ValueError, match=f"chain <= digits <= 8, got '{case}'"):
        TASKS["addition"].instances(case, 1, 0)


@pytest.mark.parametrize(
    ("text", "value", "wrong", "message"),
    [
        ("00000095+00000005=000000100", 1, (), "95 + 5 = 100"),
        ("00000095+00000005=000000000", 0, (24,), "95 + 5 = 100, not 0"),
        ("99999999+00000001=099999990", 0, tuple(range(18, 26)), "= 100000000, not"),
        ("00000095+00000005+000000100", 0, (), "not a sum"),
    ],
)
def test_wrong_sum_is_marked_at_its_wrong_digits(
    text: str, value: int, wrong: tuple[int, ...], message: str
):
    score = TASKS["addition"].score(list(text))
    assert (score.value, score.wrong) == (value, wrong) and message in score.message
