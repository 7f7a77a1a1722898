"""A trained model of a stock transformers class, run with the attention that its card states."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.models.attention import additive, allowed, positions
from lab.models.card import read_card, read_facts, target_folder, tokenizer_folder
from lab.models.checkpoint_files import check_weights
from lab.models.errors import ModelError
from lab.models.model import Model, ModelCard
from lab.models.transformers.key_value_cache import PrefixCache, cache_argument
from lab.models.transformers.pretrained import read_network, read_own_tokenizer
from samplers.signature import brief


class Checkpoint(Model):
    """A causal-LM class (Qwen3, Llama, ...) used as a denoiser.

    Only the window's hidden states go through the output head. For block_causal and causal models
    everything left of the window is computed once a block (equal to uncached to 1e-5). `shifted`:
    a full-attention model that was made from a causal one and kept its habit (Dream): output j - 1
    speaks of column j, and a row's first output of its first column. `start_id`: what stands before
    the first column of a causal model whose canvas has no start token.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        card: ModelCard,
        tokenizer: Any = None,
        shifted: bool = False,
        banned_ids: tuple[int, ...] = (),
        start_id: int | None = None,
    ):
        self.network: Any = network.eval()
        self.card, self.tokenizer = card, tokenizer
        self.shifted, self.banned_ids, self.start_id = shifted, banned_ids, start_id

    def new_cache(self) -> Any:
        return PrefixCache() if self.card.attention != "full" else None

    def forward(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        t: Tensor | None,
        block_length: int | None,
        cache: Any,
        rows: Tensor,
    ) -> Tensor:
        from transformers import DynamicCache

        context = self.card.context
        if self.start_id is not None:
            tokens = torch.nn.functional.pad(tokens, (1, 0), value=self.start_id)
            visible = torch.nn.functional.pad(visible, (1, 0), value=True)
            window, context = slice(window.start + 1, window.stop + 1), context + 1
        start, stop = window.start, window.stop
        if self.card.attention == "full":
            first, stop, cache = 0, tokens.shape[1], None
        else:
            # The last whole block boundary at or left of the window: what is final.
            start = start - start % block_length if block_length else start
            first = max(0, stop - context)  # official presets slide past the context
            cache = None if first else cache
        shift = int(self.card.attention == "causal")  # output j - 1 speaks of column j
        if shift and start == 0:
            raise ValueError(f"{self.card.name} is causal: its canvas needs a first token")
        known = cache.select(rows, start - shift) if cache else []
        held = DynamicCache()
        for layer, (keys, values) in enumerate(known):
            held.update(keys, values, layer)
        past = cache.length if cache and known else first
        columns = torch.arange(past, stop)
        keys = torch.arange(first, stop)
        mask = allowed(visible[:, first:stop], self.card.attention, block_length, columns, keys)
        outputs = torch.arange(window.start, window.stop) - past - shift
        if self.shifted:
            outputs = torch.arange(max(0, window.start - 1), window.stop)
        device = self.network.device
        # A model without a mask token has no vector for its masked positions; being causal, it sees
        # none.
        known = self.network.config.vocab_size
        out = self.network(
            input_ids=tokens[:, past:stop].clamp(max=known - 1).to(device),
            attention_mask=additive(mask).to(device, self.network.dtype),
            position_ids=positions(visible[:, first:stop])[:, past - first :].to(device),
            use_cache=cache is not None,
            logits_to_keep=outputs.to(device),
            **cache_argument(self.network, held if cache is not None else None),
        )
        if cache is not None and start - shift > past:
            cache.length, cache.rows = start - shift, rows
            layers: list[Any] = held.layers
            cache.layers = [
                (layer.keys[:, :, : cache.length], layer.values[:, :, : cache.length])
                for layer in layers
            ]
        logits = torch.nn.functional.pad(out.logits.cpu(), (0, self.card.vocab_size - known))
        return unshifted(logits, visible, window) if self.shifted else logits


def unshifted(logits: Tensor, visible: Tensor, window: slice) -> Tensor:
    """Logits [B, W, V] of the window's columns from a right-shifted model's outputs.

    logits holds the outputs from column max(0, window.start - 1) on; visible [B, T]. A row's first
    column, which has no output left of it, keeps its own (Dream's code).
    """
    own = logits[:, -(window.stop - window.start) :]
    left = logits[:, :-1] if window.start else torch.cat([own[:, :1], own[:, :-1]], 1)
    before = torch.nn.functional.pad(visible, (1, 0))[:, window]  # is the column left of it seen?
    return torch.where(before[..., None], left, own)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Open a folder with config.json, *.safetensors, lab.json and a tokenizer (here or beside).

    A draft model's folder gives its target with that draft model. ModelError for pickled weights,
    weights that do not fit or a folder of another format.
    """
    from transformers import AutoModelForCausalLM

    check_weights(folder)
    card = read_card(folder)
    if target := target_folder(folder):
        from lab.models.transformers.draft_model import paired

        return paired(load_checkpoint(target), folder, **vars(card))
    tokenizer = read_own_tokenizer(tokenizer_folder(folder))
    network = read_network(AutoModelForCausalLM, folder)
    size, start_id = network.config.vocab_size, read_facts(folder).get("start_id")
    if card.vocab_size - size not in (0, 1):  # a mask may be one past what the network knows
        raise ModelError(
            f"vocab_size in lab.json of {folder.name} must be {size} as in config.json, or one "
            f"more for a mask, got {card.vocab_size}; correct it"
        )
    if start_id is not None and not (type(start_id) is int and 0 <= start_id < size):
        raise ModelError(
            f"start_id in lab.json of {folder.name} must be a token id below {size}, got "
            f"{brief(start_id)}; correct it"
        )
    return Checkpoint(network, card, tokenizer, start_id=start_id)
