"""The chains of letters: their laws, and what their checker marks."""

import math
from itertools import pairwise

import pytest
import torch

import lab
from lab.tasks import TASKS, letters

CHAINS = {"chain": letters.bigrams, "hidden": letters.hidden}


@pytest.mark.parametrize("name", CHAINS)
def test_rows_of_chain_are_distributions(name):
    chain = CHAINS[name]()
    for rows in ((chain.initial,), chain.transition, chain.emission or ()):
        assert all(sum(row) == pytest.approx(1) and min(row) > 0 for row in rows)
    assert len(chain.initial) == {"chain": 27, "hidden": 4}[name]


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("case", letters.CASES)
def test_solution_scores_one(name, case):
    task = TASKS[name]
    for instance in task.instances(case, 5, 0):
        assert len(instance.solution) == int(case)
        assert task.score(instance.solution, instance)[::2] == (1.0, ())


def test_rare_letter_is_marked_where_it_stands():
    score = TASKS["chain"].score(tuple("the vq the "))
    assert (score.value, score.wrong) == (0, (5,)) and "“vq”" in score.message
    hidden = TASKS["hidden"].score(tuple("the qqq the "))
    assert hidden.value == 0 and set(hidden.wrong) <= {4, 5, 6}


def test_word_of_no_letters_is_marked():
    assert TASKS["chain"].score(("t", "1"))[::2] == (0.0, (1,))


def test_log_prob_of_chain_is_product_of_its_pairs():
    chain, text = letters.bigrams(), "the cat"
    ids = [letters.LETTERS.index(letter) for letter in text]
    expected = math.log(chain.initial[ids[0]])
    expected += sum(math.log(chain.transition[a][b]) for a, b in pairwise(ids))
    assert TASKS["chain"].log_prob(tuple(text)) == pytest.approx(expected)


@pytest.mark.parametrize("name", CHAINS)
def test_log_prob_sums_to_one_over_all_pairs(name):
    total = sum(
        math.exp(TASKS[name].log_prob((a, b))) for a in letters.LETTERS for b in letters.LETTERS
    )
    assert total == pytest.approx(1)


@pytest.mark.parametrize("name", CHAINS)
def test_shipped_model_answers_with_chain_of_task(name):
    model, task = lab.load(name), TASKS[name]
    mask = model.card.mask_id
    ids = model.tokenizer("t", add_special_tokens=False).input_ids
    logits = model.denoise(torch.tensor([[*ids, mask, *ids]]))[0, 1, :27].double()
    joint = torch.tensor([task.log_prob(("t", letter, "t")) for letter in letters.LETTERS])
    assert torch.allclose(logits.softmax(-1), joint.double().softmax(-1), atol=1e-6)


def test_spaces_are_letters_of_prompt_and_text():
    (run,) = lab.run("first_hitting", "chain", "once upon ", gen_length=8)
    assert len(run.tokens[-1]) == 18
    pieces = [run.piece(i) for i in run.tokens[-1].tolist()]
    assert "".join(pieces).startswith("once upon ")
    assert TASKS["chain"].known("the[MASK]*2 a") == ["t", "h", "e", None, None, " ", "a"]
