"""What the tests of the trainer share: a tokenizer of the stories, a random model, the stories."""

import pytest
import torch

from lab.train.corpus import train_tokenizer
from lab.train.learner import Learner
from lab.train.random_models import build_rotary
from tests.kit import stories
from tests.kit.stories import STORIES


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(STORIES, 320)


@pytest.fixture(scope="session")
def learner(tokenizer):
    network = build_rotary(tokenizer, hidden=32, layers=2, heads=2, intermediate=48, context=64)
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=random))
    return Learner(network, (tokenizer.mask_token_id, tokenizer.pad_token_id)).eval()


@pytest.fixture
def data(tmp_path):
    """A jsonl of thirty stories, every sixth held out."""
    return stories.write(tmp_path / "stories.jsonl")
