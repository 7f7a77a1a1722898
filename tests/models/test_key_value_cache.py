"""The argument that takes keys and values has two names, by the version of transformers."""

import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from lab.models.transformers.key_value_cache import cache_argument


class OldNetwork(torch.nn.Module):
    """A class as transformers wrote them before 5.24, and as checkpoints bring them along."""

    def forward(self, input_ids, past_key_values=None, use_cache=None):
        return input_ids, past_key_values


class NewNetwork(torch.nn.Module):
    def forward(self, input_ids, cache=None, use_cache=None, **kwargs):
        return input_ids, cache, kwargs


def test_old_name_goes_to_class_without_new():
    assert cache_argument(OldNetwork(), "keys") == {"past_key_values": "keys"}


def test_new_name_goes_to_class_that_has_it():
    assert cache_argument(NewNetwork(), "keys") == {"cache": "keys"}


def test_installed_class_reads_cache_without_warning(recwarn):
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=11,
    )  # fmt: skip
    network, cache = LlamaForCausalLM(config).eval(), DynamicCache()
    with torch.no_grad():
        network(torch.tensor([[1, 2]]), use_cache=True, **cache_argument(network, cache))
    assert cache.get_seq_length() == 2
    assert not recwarn.list
