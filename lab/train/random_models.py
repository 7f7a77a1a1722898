"""Random models to train: stock decoders whose attention we give as a mask.

Qwen3 for text; GPT-2, which has learned positions, for sequences of one length.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from lab.tasks.task import Structure


def build_rotary(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden: int = 256,
    layers: int = 4,
    heads: int = 4,
    intermediate: int = 768,
    context: int = 256,
    seed: int = 0,
) -> Qwen3ForCausalLM:
    """A random Qwen3: pre-norm, rotary positions, query-key norm, tied embeddings."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=hidden // heads,
        intermediate_size=intermediate,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = Qwen3ForCausalLM(config)
        # Tied: small enough for a flat first prediction, large enough to tell tokens apart.
        nn.init.normal_(network.model.embed_tokens.weight, std=1 / math.sqrt(hidden))
    # Measured: blocks that start as the identity learn fastest here.
    for layer in network.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return network


def build_positional(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden: int,
    layers: int,
    heads: int,
    intermediate: int,
    context: int,
    seed: int = 0,
    structure: Structure | None = None,
) -> GPT2LMHeadModel:
    """A random GPT-2 with learned positions, for sequences of one length.

    With attention both ways and rotary positions alone, cells that all hold the mask look the
    same: the model could not tell where a row ends. With a structure a column starts as the sum of
    codes of its units (row, column, box), and the first heads of every layer as looks along one of
    them each: that saves the plateau in which a model finds out which cells meet. All of it is
    trained.
    """
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=hidden,
        n_layer=layers,
        n_head=heads,
        n_inner=intermediate,
        n_positions=context,
        activation_function="gelu",  # one kernel, where GPT-2's own approximation is eight
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = GPT2LMHeadModel(config)
        nn.init.normal_(network.transformer.wte.weight, std=1 / math.sqrt(hidden))
        place = network.transformer.wpe.weight
        nn.init.normal_(place, std=0.1)
    if structure is not None:
        _give_structure(network, structure)
    for layer in network.transformer.h:
        nn.init.zeros_(layer.attn.c_proj.weight)
        nn.init.zeros_(layer.mlp.c_proj.weight)
    # Measured on a CPU: at this length flash attention spends two fifths of a step going back.
    network.set_attn_implementation("eager")
    return network


@torch.no_grad()
def _give_structure(network: Any, structure: Structure) -> None:
    """Give each kind of unit a subspace of its own; let head h ask for what looks[h] says.

    Asking and answering by the same directions makes a logit of about 4 within the unit and 0
    outside it, after the layer norm, whatever token stands there.
    """
    units = torch.tensor(structure.units)  # [columns, kinds]
    size = units.amax(0) + 1
    first = size.cumsum(0) - size  # the first direction of each kind
    hidden, width = network.config.n_embd, network.config.n_embd // network.config.n_head
    if hidden < int(size.sum()) or width < int(size.max()):
        raise ValueError(
            f"this task needs --hidden from {int(size.sum())} and --hidden / --heads from "
            f"{int(size.max())}, got {hidden} and {width}"
        )
    network.transformer.wpe.weight[: len(units)].scatter_add_(
        1, first + units, torch.ones(units.shape)
    )
    for layer in network.transformer.h:
        weight = layer.attn.c_attn.weight
        for head, (kind, further) in enumerate(structure.looks[: network.config.n_head]):
            unit = torch.arange(int(size[kind]) - further)
            query, key = head * width, hidden + head * width
            weight[first[kind] + unit, query + unit + further] = 0.85
            weight[first[kind] + unit + further, key + unit + further] = 0.85
