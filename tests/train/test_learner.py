"""What a model that trains may predict."""

import pytest
import torch

from lab.models.card import read_card
from lab.models.word_tokenizer import word_tokenizer
from lab.train.learner import Learner, banned_ids
from lab.train.objectives import mdlm
from lab.train.random_models import build_positional


@pytest.fixture
def words():
    """A tokenizer of three words whose end also pads."""
    return word_tokenizer(["sun", "moon", "end"], mask_id=3, eos_id=2)


def test_end_that_also_pads_is_learned(words):
    assert banned_ids(words) == (3,)
    network = build_positional(words, hidden=16, layers=1, heads=2, intermediate=16, context=8)
    tokens = torch.tensor([[0, 1, 0, 2, 2, 2, 2, 2]])
    problem = mdlm(tokens, 3, torch.Generator().manual_seed(0), level=1.0, prefix=0)
    loss = Learner(network, banned_ids(words))(problem)
    loss.backward()
    assert loss.isfinite()
    assert network.lm_head.weight.grad[2].norm() > 0


def test_end_that_also_pads_may_be_sampled(words, tmp_path):
    network = build_positional(words, hidden=16, layers=1, heads=2, intermediate=16, context=8)
    network.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    (tmp_path / "lab.json").write_text('{"attention": "full"}')
    card = read_card(tmp_path)
    assert (card.eos_ids, card.pad_id, card.mask_id) == ((2,), None, 3)


def test_pad_of_its_own_is_never_predicted(tokenizer):
    assert banned_ids(tokenizer) == tuple(sorted((tokenizer.mask_token_id, tokenizer.pad_token_id)))
