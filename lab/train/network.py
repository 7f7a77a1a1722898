"""The models: stock decoders (Qwen3; GPT-2 for puzzles) whose attention we give as a mask."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging

from lab.models.attention import additive
from lab.tasks.task import Structure
from lab.train.objectives import Problem


def build(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden: int = 256,
    layers: int = 4,
    heads: int = 4,
    intermediate: int = 768,
    context: int = 256,
    seed: int = 0,
) -> Qwen3ForCausalLM:
    """Build a random model: pre-norm, rotary positions, query-key norm, tied embeddings."""
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
        network = Qwen3ForCausalLM(config)
        # Tied: small enough for a flat first prediction, large enough to tell tokens apart.
        nn.init.normal_(network.model.embed_tokens.weight, std=1 / math.sqrt(hidden))
    # Measured (data.md): blocks that start as the identity learn fastest here.
    for layer in network.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return network


def build_puzzle(
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
    """Build a random model with learned positions for sequences of fixed length.

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
        network = GPT2LMHeadModel(config)
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
def _give_structure(network: GPT2LMHeadModel, structure: Structure) -> None:
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
            f"this puzzle needs --hidden from {int(size.sum())} and --hidden / --heads from "
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


def open_network(source: str) -> PreTrainedModel:
    """Open a directory or hub name in float32; ValueError for pickled weights or another format."""
    path = Path(source)
    if path.is_file():
        raise ValueError(_refusal(path.name))
    if path.is_dir() and not any(path.glob("*.safetensors")):
        raise ValueError(_refusal(", ".join(sorted(p.name for p in path.iterdir())) or "nothing"))
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        masked = any(name.endswith("ForMaskedLM") for name in config.architectures or ())
        loader = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        return loader.from_pretrained(
            source, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except OSError as error:
        raise ValueError(
            f"a model must be a directory or hub name that from_pretrained opens, got '{source}': "
            f"{str(error).splitlines()[0]}"
        ) from error


def _refusal(found: str) -> str:
    return (
        f"weights must be safetensors beside a config.json, found {found}; a pickled checkpoint "
        "(.ckpt, .pt, .bin) can run code when opened: load it where you trust it, then "
        "save_pretrained() the model into a directory and name that"
    )


def is_masked(network: PreTrainedModel) -> bool:
    """Whether this is a masked language model (BERT, ...), which looks both ways by itself."""
    return type(network).__name__.endswith("ForMaskedLM")


class Learner(nn.Module):
    """A model and its banned ids; forward gives a Problem's loss, so that any wrapper can sync
    it."""

    def __init__(self, network: PreTrainedModel, banned: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("banned", torch.tensor(banned, dtype=torch.int64), persistent=False)

    def logits(self, problem: Problem) -> torch.Tensor:
        """Logits [n, V] float32 at the wanted positions, -inf at the banned ids (SUBS)."""
        device = self.network.device
        if is_masked(self.network):  # every class has a head of its own, and no mask is needed
            logits = self.network(input_ids=problem.inputs.to(device)).logits
            logits = logits[problem.wanted.to(device)].float()
            return logits.index_fill(1, self.banned.to(device), -torch.inf)
        hidden = self.network.base_model(
            input_ids=problem.inputs.to(device),
            position_ids=problem.positions[None].to(device),
            attention_mask=additive(problem.attend, device)[None, None],
            use_cache=False,
        ).last_hidden_state
        # Only the wanted positions pay for the vocabulary product.
        logits = self.network.lm_head(hidden[problem.wanted.to(device)]).float()
        return logits.index_fill(1, self.banned.to(device), -torch.inf)

    def forward(self, problem: Problem) -> torch.Tensor:
        """The weighted loss, nats a token; a bound on the NLL where the weights are the ELBO's."""
        logits = self.logits(problem)
        if problem.divergence:
            each = problem.divergence(logits, problem.inputs, problem.target, problem.wanted)
            return each.sum() / problem.tokens
        target = problem.target[problem.wanted].to(logits.device)
        weight = problem.weight[problem.wanted].to(logits.device)
        each = functional.cross_entropy(logits, target, reduction="none")
        return (each * weight).sum() / problem.tokens
