"""The model that trains: opened from a folder or the hub, and its loss on a problem."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from lab.models.attention import additive
from lab.train.problem import Problem


def open_network(source: str) -> PreTrainedModel:
    """Open a folder or hub name in float32; ValueError for pickled weights or another format."""
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
            source, use_safetensors=True, dtype=torch.float32, trust_remote_code=False
        )
    except OSError as error:
        raise ValueError(
            f"a model must be a folder or hub name that from_pretrained opens, got '{source}': "
            f"{str(error).splitlines()[0]}"
        ) from error


def _refusal(contents: str) -> str:
    return (
        f"weights must be safetensors beside a config.json, got {contents}; a pickled checkpoint "
        "(.ckpt, .pt, .bin) can run code when opened: load it where you trust it, then "
        "save_pretrained() the model into a folder and name that"
    )


def banned_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What a model never predicts: the mask, and the pad unless it also ends texts."""
    never = {tokenizer.mask_token_id, tokenizer.pad_token_id} - {tokenizer.eos_token_id}
    return tuple(sorted(never - {None}))


def is_masked(network: PreTrainedModel) -> bool:
    """Whether this is a masked language model (BERT, ...), which looks both ways by itself."""
    return type(network).__name__.endswith("ForMaskedLM")


class Learner(nn.Module):
    """A model and its banned ids; forward gives a Problem's loss, so that wrappers can sync it."""

    def __init__(self, network: PreTrainedModel, banned: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("banned", torch.tensor(banned, dtype=torch.int64), persistent=False)

    def logits(self, problem: Problem) -> torch.Tensor:
        """Logits [n, V] float32 at the scored positions, -inf at the banned ids (SUBS)."""
        device = self.network.device
        if is_masked(self.network):  # every class has a head of its own, and no mask is needed
            logits = self.network(input_ids=problem.inputs.to(device)).logits
            logits = logits[problem.loss_mask.to(device)].float()
            return logits.index_fill(1, self.banned.to(device), -torch.inf)
        hidden = self.network.base_model(
            input_ids=problem.inputs.to(device),
            position_ids=problem.positions[None].to(device),
            attention_mask=additive(problem.attention, device)[None, None],
            use_cache=False,
        ).last_hidden_state
        # Only the scored positions pay for the vocabulary product.
        logits = self.network.lm_head(hidden[problem.loss_mask.to(device)]).float()
        return logits.index_fill(1, self.banned.to(device), -torch.inf)

    def forward(self, problem: Problem) -> torch.Tensor:
        """The weighted loss, nats a token; a bound on the NLL where the weights are the ELBO's."""
        logits = self.logits(problem)
        if problem.divergence:
            each = problem.divergence(logits, problem.inputs, problem.target, problem.loss_mask)
            return each.sum() / problem.tokens
        target = problem.target[problem.loss_mask].to(logits.device)
        weight = problem.weight[problem.loss_mask].to(logits.device)
        each = functional.cross_entropy(logits, target, reduction="none")
        return (each * weight).sum() / problem.tokens
