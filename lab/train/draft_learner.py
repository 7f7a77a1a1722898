"""DFlash's objective (arXiv:2602.06036): a draft model learns to fill blocks for its target."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import MuseGlimmerAssistantModel, PreTrainedModel, PreTrainedTokenizerFast

from lab.models.attention import additive
from lab.models.card import read_card
from lab.models.transformers.draft_model import Drafted, draft_model_config, features
from lab.record.metrics import metrics
from lab.run.recorder import run

# How fast the weight of a position falls within a block: the paper's values by block length.
GAMMA = {16: 7.0, 10: 5.0, 8: 4.0}


class Blocks(NamedTuple):
    """One training problem: at each of anchors [A] a block [anchor, masks] to fill.

    tokens [B, T]: the text; a block reads it left of its anchor, and the anchor itself.
    """

    tokens: torch.Tensor
    anchors: torch.Tensor
    block_length: int
    mask_id: int


def dflash(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    block_length: int,
) -> Blocks:
    """Draw anchors anywhere in tokens [B, T], as many as blocks would cover the text once."""
    length = tokens.shape[1]
    places = torch.randperm(length - block_length, generator=random) + 1
    return Blocks(tokens, places[: -(-length // block_length)].sort().values, block_length, mask_id)


class DraftLearner(nn.Module):
    """A draft model `network` and the frozen target that it reads from; forward gives the loss."""

    def __init__(
        self, network: PreTrainedModel, target: PreTrainedModel, banned: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.network = network
        # Not a submodule: nobody trains, averages, synchronises or saves it.
        self._target = (target,)
        self.register_buffer("banned", torch.tensor(banned, dtype=torch.int64), persistent=False)

    @property
    def target(self) -> PreTrainedModel:
        """The model that reads the text and lends its embedding and its output head."""
        return self._target[0]

    def logits(self, problem: Blocks) -> torch.Tensor:
        """Logits [B, A, L - 1, V] float32 of what follows each anchor, -inf at the banned ids."""
        device: torch.device = self.network.device
        target: Any = self.target
        target.to(device)
        tokens, anchors = problem.tokens.to(device), problem.anchors.to(device)
        rows, length = tokens.shape
        place = anchors[:, None] + torch.arange(problem.block_length, device=device)
        place, own = place.flatten(), torch.arange(place.numel(), device=device)
        own = own // problem.block_length
        context = torch.arange(length, device=device)
        with torch.no_grad():
            read = target.base_model(
                input_ids=tokens,
                attention_mask=additive(context <= context[:, None], device)[None, None],
                position_ids=context[None],
                use_cache=False,
                output_hidden_states=True,
            )
            anchor = own * problem.block_length == torch.arange(len(own), device=device)
            noisy = tokens[:, place].where(anchor, problem.mask_id)
            embeds = target.get_input_embeddings()(noisy)
        before = context[None] < anchors[own][:, None]
        attention = torch.cat([before, own[None] == own[:, None]], 1)
        hidden = self.network(
            noise_embeds=embeds,
            context_hidden_states=features(
                read.hidden_states, self.network.config.target_layer_ids
            ),
            position_ids=torch.cat([context, place])[None],
            attention_mask={"full_attention": additive(attention, device)[None, None]},
        ).last_hidden_state
        drafts = hidden.view(rows, len(anchors), problem.block_length, -1)[:, :, 1:]
        head = target.get_output_embeddings()
        logits = functional.linear(drafts, head.weight.detach(), head.bias).float()
        return logits.index_fill(-1, self.get_buffer("banned").to(device), -torch.inf)

    def answers(self, problem: Blocks) -> torch.Tensor:
        """The tokens [B, A, L - 1] of the text that follow each anchor."""
        ahead = torch.arange(1, problem.block_length)
        return problem.tokens[:, problem.anchors[:, None] + ahead]

    def forward(self, problem: Blocks) -> torch.Tensor:
        """Cross-entropy, nats a token, position k of a block weighted exp(-(k - 1) / gamma)."""
        logits, block = self.logits(problem), problem.block_length
        target = self.answers(problem).to(logits.device)
        each = functional.cross_entropy(logits.flatten(0, 2), target.flatten(), reduction="none")
        ahead = torch.arange(block - 1, device=logits.device)
        weight = (-ahead / GAMMA.get(block, block / 2)).exp().expand(target.shape)
        return (each * weight.flatten()).sum() / weight.sum()


def build_draft_model(
    target: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    layers: int,
    draft_length: int,
    seed: int = 0,
) -> MuseGlimmerAssistantModel:
    """Build a random draft model of that many layers, as wide as its target."""
    config = draft_model_config(
        target.config,
        layers=layers,
        block_size=draft_length,
        mask_token_id=tokenizer.mask_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = MuseGlimmerAssistantModel(config)
        nn.init.normal_(
            network.encoder.fc.weight, std=1 / math.sqrt(network.encoder.fc.in_features)
        )
    # As in lab.train.learner: blocks that start as the identity learn fastest.
    for layer in network.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return network


def check_target(target: Path, out: Path) -> None:
    """ValueError unless `target` is the folder of a causal model, and `out` lies beside it."""
    if not (target / "lab.json").is_file():
        raise ValueError(
            f"--init-from must be a folder written by `python -m lab train`, got '{target}'"
        )
    if (attention := read_card(target).attention) != "causal":
        raise ValueError(
            f"dflash needs a causal model to draft for, got one with {attention} attention; train "
            "one with --objective ar"
        )
    if target.resolve().parent != out.resolve().parent:
        raise ValueError(
            f"--out must lie beside its target in {target.parent}, where the draft model's "
            f"lab.json names it, got {out}"
        )


def sample(learner: DraftLearner, tokenizer: Any, target: Path, random: torch.Generator) -> str:
    """A text that the pair writes, and how many tokens it keeps of a draft."""
    length = learner.network.config.block_size
    card = replace(read_card(target), name=f"draft model of {target.name}", draft_length=length)
    model = Drafted(learner.target, learner.network, card, tokenizer)
    seed = int(torch.randint(2**31, (1,), generator=random))
    length = min(48, card.context - 1)
    (one,) = run("dflash", model, "", gen_length=length, seed=seed, temperature=0.8)
    return f"[{metrics(one).acceptance_length:.2f} tokens kept per draft] {one.text.strip()}"
