"""A model with a quality head beside it (PRISM, arXiv:2510.01384): how likely is what stands there?

The head reads the hidden states of all the model's layers at a column and says how likely the token
there is right given all others. The model's weights stay as they are, so a head is a folder of its
own beside it: config.json, model.safetensors, and a lab.json whose `target` names the model's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.models.card import QUALITY_HEAD
from lab.models.checkpoint_files import check_weights
from lab.models.errors import ModelError
from lab.models.model_card import ModelCard
from lab.models.transformers.checkpoint import Call, Checkpoint
from lab.models.transformers.key_value_cache import RunCache
from samplers.signature import brief

MOST_LAYERS, WIDEST = 1000, 1 << 20


class QualityHead(nn.Module):
    """Hidden states [..., layers, hidden] -> log-odds [...] that the token there is right."""

    def __init__(self, layers: int, hidden: int, width: int):
        super().__init__()
        self.layers, self.hidden, self.width = layers, hidden, width
        self.inner = nn.Linear(layers * hidden, width)
        self.outer = nn.Linear(width, 1)

    def forward(self, states: Tensor) -> Tensor:
        # Each layer's states have a scale of their own.
        each = functional.layer_norm(states, states.shape[-1:]).flatten(-2)
        return self.outer(functional.gelu(self.inner(each)))[..., 0]


def states(hidden_states: Sequence[Tensor]) -> Tensor:
    """The states [..., layers, hidden] behind each layer; the embedding is hidden_states[0]."""
    return torch.stack(list(hidden_states[1:]), -2)


def save_head(folder: Path, head: QualityHead) -> None:
    """Write a head's weights as bf16, and its config.json."""
    from safetensors.torch import save_file

    weights = {name: value.bfloat16().cpu() for name, value in head.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": QUALITY_HEAD, "layers": head.layers, "hidden_size": head.hidden,
        "width": head.width,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_head(folder: Path) -> QualityHead:
    """The head in a folder. ModelError where config.json and weights are none of one."""
    from safetensors.torch import load_file

    config, shapes = check_weights(folder)
    sizes = {
        "layers": _size(config, "layers", MOST_LAYERS, folder.name),
        "hidden_size": _size(config, "hidden_size", WIDEST, folder.name),
        "width": _size(config, "width", WIDEST, folder.name),
    }
    with torch.device("meta"):
        head = QualityHead(*sizes.values())
    expected = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    if shapes != expected:
        bad = min({*expected.items()} ^ {*shapes.items()})[0]
        raise ModelError(
            f"the weights in {folder.name} do not fit a quality head of {_written(sizes)}: "
            f"{bad[:60]} is missing, of another shape or has no place in it"
        )
    head.load_state_dict(load_file(folder / "model.safetensors"), assign=True)
    return head.float()


def _size(config: Mapping[str, Any], name: str, most: int, folder: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelError(
            f"{name} in config.json of {folder} must be a whole number from 1 to {most}, got "
            f"{brief(value)}; correct it"
        )
    return value


def _written(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sizes.items())


class Judged(Checkpoint):
    """A model of full attention, and a head that reads its hidden states: one pass for both."""

    def __init__(
        self,
        network: nn.Module,
        head: QualityHead,
        card: ModelCard,
        tokenizer: Any = None,
        banned_ids: tuple[int, ...] = (),
        start_id: int | None = None,
    ):
        super().__init__(network, card, tokenizer, banned_ids=banned_ids, start_id=start_id)
        self.head = head.eval()

    def with_quality(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        cache = RunCache() if cache is None else cache
        tokens, visible, window = self._behind_start(tokens, visible, window)
        key = ("with quality", rows.tolist(), window, tokens.shape[1])
        call = Call(0, tokens.shape[1], 0, False)
        inputs = cache.inputs(key, lambda: self._inputs(visible, window, None, call, 0))
        cache.computed = visible.sum(-1)
        out = self._out(tokens, inputs, None, output_hidden_states=True)
        read = states([each[:, window] for each in out.hidden_states])
        return self._logits(out), self.head(read.float()).sigmoid()


def judged(target: Checkpoint, folder: Path, **facts: Any) -> Judged:
    """A model with the head in a folder; facts: where its card differs from the model's.

    ModelError as `read_head`, for a head of another model, and for a model that has no use for one.
    """
    head, card = read_head(folder).to(target.device), replace(target.card, **facts)
    if (card.attention, card.corruption) != ("full", "absorbing"):
        raise ModelError(
            f"the quality head in {folder.name} needs a model of full attention and absorbing "
            f"corruption, {target.card.name} has {card.attention} and {card.corruption}; name "
            "another as target in its lab.json"
        )
    config = target.network.config
    if (head.layers, head.hidden) != (config.num_hidden_layers, config.hidden_size):
        raise ModelError(
            f"the quality head in {folder.name} was trained for another model than "
            f"{target.card.name}: it reads {head.layers} layers of width {head.hidden}, that has "
            f"{config.num_hidden_layers} of {config.hidden_size}"
        )
    model = Judged(target.network, head, card, target.tokenizer, target.banned_ids, target.start_id)
    model.counted = target.counted
    return model
