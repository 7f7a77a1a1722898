"""A decoder with random weights, of any vocabulary, for each kind of sampler.

What a call costs does not depend on what the weights have learned.
"""

from typing import Any

import torch
from transformers import MuseGlimmerAssistantModel, Qwen3Config, Qwen3ForCausalLM

from lab.models.device import device_map, first_device
from lab.models.model import ModelCard
from lab.models.transformers.checkpoint import Checkpoint
from lab.models.transformers.draft_model import Drafted, draft_model_config
from lab.models.transformers.quality_head import Judged, QualityHead
from lab.run import limits
from samplers.registry import Needs

HIDDEN, LAYERS, HEADS, INTERMEDIATE = 256, 6, 8, 1216
CONTEXT, BLOCK = 4096, 16
EOS, MASK = 0, 1
SPREAD = 0.02  # of all matrices
SCALE = 0.15  # of the head: tokens are so far apart that rounding decides nothing


def decoder(needs: Needs, vocabulary: int, device: str | None = None) -> Checkpoint:
    """A Qwen3 of 6 layers and width 256, as a model that a sampler with these needs can run.

    vocabulary: its tokens, the mask among them; ValueError out of 16 to 1,000,000. At 8,192 it has
    9 million weights. The same needs and vocabulary give the same weights.
    """
    size = limits.whole("vocabulary", vocabulary, 16, 1_000_000)
    attention = "full" if "full" in needs.attention else min(needs.attention)
    corruption = "absorbing" if "absorbing" in needs.corruption else min(needs.corruption)
    place = first_device(device_map(device))
    network = _network(size).to(place)
    card = ModelCard(
        f"random-{attention}", size, mask_id=None if corruption == "uniform" else MASK,
        eos_ids=(EOS,), context=CONTEXT, attention=attention, corruption=corruption,
        p_uniform=0.1 if corruption == "hybrid" else 0.0,
        draft_length=BLOCK if needs.draft else None, leave_one_out=attention == "full",
        joint_length=BLOCK if needs.joint else None,
        frequencies=True, rewards=("score",), quality_head=needs.quality,
    )  # fmt: skip
    if needs.draft:
        return Drafted(network, _draft_model(network).to(place), card, banned_ids=(EOS,))
    model = Checkpoint(network, card, banned_ids=(EOS,))
    if needs.quality:
        model = Judged(network, _head().to(place), card, banned_ids=(EOS,))
    model.counted = lambda: torch.full((size,), 1 / size, dtype=torch.float64)
    model.reward = _even  # type: ignore[method-assign]
    return model


def _even(texts: torch.Tensor, name: str) -> torch.Tensor:
    """A reward that costs nothing: the share of even ids."""
    return (texts % 2 == 0).double().mean(-1)


def _network(size: int) -> Any:
    config = Qwen3Config(
        vocab_size=size, hidden_size=HIDDEN, intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
        head_dim=HIDDEN // HEADS, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    network = _random(Qwen3ForCausalLM, config)
    network.model.embed_tokens.weight.data.mul_(SCALE / SPREAD)
    return network


def _head() -> QualityHead:
    state, random = torch.get_rng_state(), torch.Generator().manual_seed(0)
    head = QualityHead(LAYERS, HIDDEN, HIDDEN)
    torch.set_rng_state(state)
    for parameter in head.parameters():
        parameter.data.normal_(std=SPREAD, generator=random)
    return head


def _draft_model(network: Any) -> Any:
    config = draft_model_config(network.config, layers=2, block_size=BLOCK, mask_token_id=MASK)
    return _random(MuseGlimmerAssistantModel, config)


def _random(network_class: Any, config: Any) -> Any:
    """A network whose matrices come from a generator of its own; the process's is left alone."""
    state, random = torch.get_rng_state(), torch.Generator().manual_seed(0)
    network = network_class(config).eval()
    torch.set_rng_state(state)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=SPREAD, generator=random)
    return network
