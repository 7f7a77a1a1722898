"""A decoder with random weights, of any vocabulary and size, for each kind of sampler.

What a call costs does not depend on what the weights have learned.
"""

from typing import Any, NamedTuple

import torch
from transformers import MuseGlimmerAssistantModel, Qwen3Config, Qwen3ForCausalLM

from lab.models.device import device_map, first_device
from lab.models.model import ModelCard
from lab.models.transformers.checkpoint import Checkpoint
from lab.models.transformers.draft_model import Drafted, draft_model_config
from lab.models.transformers.quality_head import Judged, QualityHead
from lab.run import limits
from samplers.registry import Needs


class Size(NamedTuple):
    """The shape of a Qwen3; its heads are head_dim wide, and share keys and values in groups."""

    hidden: int
    layers: int
    heads: int
    groups: int
    head_dim: int
    intermediate: int
    tied: bool = True
    dtype: torch.dtype = torch.bfloat16


# The first is what a CPU measures; the others are those that Qwen publishes.
SIZES = {
    "small": Size(256, 6, 8, 8, 32, 1216, dtype=torch.float32),
    "0.6B": Size(1024, 28, 16, 8, 128, 3072),
    "4B": Size(2560, 36, 32, 8, 128, 9728),
    "8B": Size(4096, 36, 32, 8, 128, 12288, tied=False),
}
CONTEXT, BLOCK = 4096, 16
EOS, MASK = 0, 1
SPREAD = 0.02  # of all matrices
SCALE = 0.15  # of the head: tokens are so far apart that rounding decides nothing


def decoder(
    needs: Needs, vocabulary: int, device: str | None = None, size: str = "small"
) -> Checkpoint:
    """A Qwen3 as a model that a sampler with these needs can run.

    vocabulary: its tokens, the mask among them. size: small has 6 layers of width 256, at 8,192
    tokens 9 million weights; the others of SIZES are in bf16. The same needs, vocabulary and size
    give the same weights on one kind of device. ValueError for tokens out of 16 to 1,000,000, or a
    size that there is not.
    """
    count = limits.whole("vocabulary", vocabulary, 16, 1_000_000)
    if size not in SIZES:
        raise ValueError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
    attention = "full" if "full" in needs.attention else min(needs.attention)
    corruption = "absorbing" if "absorbing" in needs.corruption else min(needs.corruption)
    place = first_device(device_map(device))
    network = _network(count, SIZES[size], place)
    card = ModelCard(
        f"random-{attention}", count, mask_id=None if corruption == "uniform" else MASK,
        eos_ids=(EOS,), context=CONTEXT, attention=attention, corruption=corruption,
        p_uniform=0.1 if corruption == "hybrid" else 0.0,
        draft_length=BLOCK if needs.draft else None, leave_one_out=attention == "full",
        joint_length=BLOCK if needs.joint else None,
        frequencies=True, rewards=("score",), quality_head=needs.quality,
    )  # fmt: skip
    if needs.draft:
        return Drafted(network, _draft_model(network), card, banned_ids=(EOS,))
    model = Checkpoint(network, card, banned_ids=(EOS,))
    if needs.quality:
        model = Judged(network, _head(SIZES[size], place), card, banned_ids=(EOS,))
    model.counted = lambda: torch.full((count,), 1 / count, dtype=torch.float64)
    model.reward = _even  # type: ignore[method-assign]
    return model


def _even(texts: torch.Tensor, name: str) -> torch.Tensor:
    """A reward that costs nothing: the share of even ids."""
    return (texts % 2 == 0).double().mean(-1)


def _network(count: int, size: Size, place: torch.device) -> Any:
    config = Qwen3Config(
        vocab_size=count, hidden_size=size.hidden, intermediate_size=size.intermediate,
        num_hidden_layers=size.layers, num_attention_heads=size.heads,
        num_key_value_heads=size.groups, head_dim=size.head_dim, max_position_embeddings=CONTEXT,
        tie_word_embeddings=size.tied, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    network = _random(Qwen3ForCausalLM, config, size.dtype, place)
    network.model.embed_tokens.weight.data.mul_(SCALE / SPREAD)
    return network


def _head(size: Size, place: torch.device) -> QualityHead:
    state, random = torch.get_rng_state(), torch.Generator().manual_seed(0)
    head = QualityHead(size.layers, size.hidden, size.hidden)
    torch.set_rng_state(state)
    for parameter in head.parameters():
        parameter.data.normal_(std=SPREAD, generator=random)
    return head.to(place)


def _draft_model(network: Any) -> Any:
    config = draft_model_config(network.config, layers=2, block_size=BLOCK, mask_token_id=MASK)
    return _random(MuseGlimmerAssistantModel, config, network.dtype, network.device)


def _random(network_class: Any, config: Any, dtype: torch.dtype, place: torch.device) -> Any:
    """A network whose matrices come from a generator of its own; the process's is left alone."""
    state, random = torch.get_rng_state(), torch.Generator(place).manual_seed(0)
    with place:
        network = network_class(config).eval().to(dtype)
    torch.set_rng_state(state)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=SPREAD, generator=random)
    return network
