"""A causal model with a DFlash draft model beside it (arXiv:2602.06036): one verifies, one
proposes.

The draft model is transformers' own class for such models (MuseGlimmerAssistantModel): a few
Qwen3-like layers that look both ways within a block [last verified token, masks] and, as extra keys
and values, at a projection of the target's hidden states. Embedding and output head are the
target's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.models.attention import additive, allowed
from lab.models.checkpoint_files import check_weights
from lab.models.errors import ModelError
from lab.models.model import ModelCard
from lab.models.transformers.checkpoint import Checkpoint
from lab.models.transformers.key_value_cache import (
    Pair,
    buffered_cache,
    cache_argument,
)
from lab.models.transformers.pretrained import read_network
from samplers.canvas import on_cpu

# Names of the published checkpoints (z-lab/dflash, DFlashDraftModel), as a pattern, and ours.
HUB_NAMES = {r"^fc\.": "encoder.fc.", r"^hidden_norm\.": "encoder.output_norm_enc."}
HUB_FIELDS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings", "hidden_act",
    "block_size",
)  # fmt: skip


def target_layers(layers: int, draft_layers: int) -> list[int]:
    """Which of a target's `layers`, counted from 0, a draft model of `draft_layers` reads.

    DFlash's rule: from the second to the third from last, evenly, one a layer of the draft model;
    the middle one for a single layer. Where the target is too shallow for different ones: all of
    its layers.
    """
    if draft_layers == 1:
        return [layers // 2]
    last = layers - 4
    spread = [round(1 + i * last / (draft_layers - 1)) for i in range(draft_layers)]
    return spread if len(set(spread)) == draft_layers else list(range(layers))


@dataclass
class Reading:
    """What the target has read of one row: ids [n], keys and values, and its features [n, F].

    final: how many of the first ids stood left of a window when they were read, and so change no
    more; computed: columns that were read since they were last counted.
    """

    ids: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    features: Tensor = field(default_factory=lambda: torch.zeros(0))
    pairs: list[Pair] = field(default_factory=list)
    final: int = 0
    computed: int = 0

    def common(self, ids: Tensor) -> int:
        """How many of the first ids [m] are those that were read.

        A GPU is waited for only where some of them were not final then; on a CPU all are compared.
        """
        size = min(len(ids), len(self.ids))
        final = 0 if on_cpu(ids) else min(self.final, size)
        if size == final:
            return size
        same = ids[final:size] == self.ids[final:size]
        return final + int(same.int().cumprod(0).sum())

    def forget(self, length: int) -> None:
        """Keep the first `length` columns."""
        self.ids, self.features = self.ids[:length], self.features[:length]
        self.final = min(self.final, length)

    def count(self) -> int:
        """The columns read since this was last asked."""
        computed, self.computed = self.computed, 0
        return computed


class Drafted(Checkpoint):
    """A causal model (`model`) that verifies and its draft model. Rows run one by one, as in the
    paper.

    What a row's target has read is kept from call to call as far as the row still begins so: a
    refused draft is forgotten, an accepted one is not read again.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        draft_model: torch.nn.Module,
        card: ModelCard,
        tokenizer: Any = None,
        banned_ids: tuple[int, ...] = (),
    ):
        super().__init__(network, card, tokenizer, banned_ids=banned_ids)
        self.draft_model: Any = draft_model.eval()

    def new_cache(self) -> dict[int, Reading]:
        return {}

    def forward(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        t: Tensor | None,
        block_length: int | None,
        cache: dict[int, Reading] | None,
        rows: Tensor,
    ) -> Tensor:
        answer = self._blank(len(tokens), window)
        for out, (ids, reading) in self._lines(answer, tokens, visible, window, cache, rows):
            # Output j - 1 speaks of column j, so the last column itself is not read.
            first = len(ids) - len(out) - 1
            if first < 0:
                raise ValueError(f"{self.card.name} is causal: its canvas needs a first token")
            reading.forget(reading.common(ids[:first]))
            out[:] = self._padded(self._read(ids[:-1], reading, tokens.shape[1], len(out)))
            reading.final = first + 1
        return answer

    def draft(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        cache: dict[int, Reading] | None,
        rows: Tensor,
    ) -> Tensor:
        """What the draft model expects at the window's columns, from all that stands left of it.

        The target reads first what it has not read yet of the text left of the last verified
        token; after a verified block that is nothing.
        """
        answer = self._blank(len(tokens), window)
        for out, (ids, reading) in self._lines(answer, tokens, visible, window, cache, rows):
            anchor = len(ids) - len(out) - 1
            if anchor < 1:
                raise ValueError(f"{self.card.name} drafts after at least two tokens, got less")
            if (known := reading.common(ids[:anchor])) < anchor:
                reading.forget(known)
                self._read(ids[:anchor], reading, tokens.shape[1])
            reading.final = max(reading.final, anchor)
            out[:] = self._padded(self._propose(reading.features[:anchor], ids[anchor:]))
        return answer

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        if cache is None:
            return visible[:, : window.stop - 1].sum(-1)
        return self.columns_for_draft(cache, rows)

    def columns_for_draft(self, cache: dict[int, Reading] | None, rows: Tensor) -> Tensor:
        if cache is None:
            return torch.zeros_like(rows)
        return torch.tensor([cache[row].count() for row in rows.tolist()])

    def _blank(self, rows: int, window: slice) -> Tensor:
        width = window.stop - window.start
        return torch.zeros(
            rows, width, self.card.vocab_size, dtype=torch.float32, device=self.device
        )

    def _lines(
        self,
        answer: Tensor,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        cache: dict[int, Reading] | None,
        rows: Tensor,
    ) -> Iterator[tuple[Tensor, tuple[Tensor, Reading]]]:
        """Of each row that has columns in the window: the part of `answer` [B, W, V] that is those
        columns', its ids up to the window's end, and what was read."""
        for out, line, seen, row in zip(answer, tokens, visible, rows.tolist(), strict=True):
            reading = Reading() if cache is None else cache.setdefault(row, Reading())
            columns = seen.nonzero().flatten().tolist()  # the pads' place, known without a wait
            first, stop = columns[0], min(columns[-1] + 1, window.stop)
            begin = max(first, window.start)
            if begin < stop:
                inside = slice(begin - window.start, stop - window.start)
                yield out[inside], (line[first:stop], reading)

    def _read(self, ids: Tensor, reading: Reading, room: int, width: int = 1) -> Tensor:
        """Let the target read those of ids [n] that it has not read; the last logits [W, V].

        room: columns of the canvas, the most that will be read.
        """
        past, device = len(reading.ids), self.network.device
        columns, keys = (torch.arange(at, len(ids), device=device) for at in (past, 0))
        seen = torch.ones(1, len(ids), dtype=torch.bool, device=device)
        mask = allowed(seen, "causal", None, columns, keys)
        cache = buffered_cache()(reading.pairs, past, room)
        out = self.network(
            # A model without a mask token has no vector for its masked positions; being causal, it
            # sees none.
            input_ids=ids[None, past:].clamp(max=self.network.config.vocab_size - 1),
            attention_mask=additive(mask, device, self.network.dtype),
            position_ids=columns[None],
            use_cache=True,
            output_hidden_states=True,
            logits_to_keep=width,
            **cache_argument(self.network, cache),
        )
        fresh = features(out.hidden_states, self.draft_model.config.target_layer_ids)[0]
        before = [reading.features] if past else []
        reading.features, reading.ids = torch.cat([*before, fresh]), ids
        reading.pairs = cache.pairs
        reading.computed += len(ids) - past
        return out.logits[0]

    def _propose(self, context: Tensor, block: Tensor) -> Tensor:
        """Logits [W, V] at all but the first of block [1 + W], after context [n, F]."""
        config, device = self.draft_model.config, self.draft_model.device
        # It was trained on whole blocks: those that the window leaves out are masks to it.
        whole = block.new_full((config.block_size,), config.mask_token_id)
        masked = torch.as_tensor(block == self.card.mask_id)
        whole[: len(block)] = block.masked_fill(masked, config.mask_token_id)
        places = torch.arange(len(context) + len(whole), device=device)
        embeds = self.network.get_input_embeddings()(whole[None])
        hidden = self.draft_model(
            noise_embeds=embeds.to(device),
            context_hidden_states=context[None].to(device),
            position_ids=places[None],
            attention_mask={"full_attention": None},  # one row, no pads: everything is seen
        ).last_hidden_state[0, 1 : len(block)]
        head = self.network.get_output_embeddings()
        return head(hidden.to(head.weight.device))

    def _padded(self, logits: Tensor) -> Tensor:
        more = self.card.vocab_size - logits.shape[-1]
        return torch.nn.functional.pad(logits.to(self.device).float(), (0, more))


def features(hidden_states: Sequence[Tensor], layers: Sequence[int]) -> Tensor:
    """The outputs [B, T, F] of these layers, side by side; the embedding is hidden_states[0]."""
    return torch.cat([hidden_states[layer + 1] for layer in layers], -1)


def draft_model_config(
    target: Any,
    *,
    layers: int,
    block_size: int,
    mask_token_id: int,
    intermediate: int | None = None,
) -> Any:
    """The config of a draft model for a target with this config (Qwen3, Llama, ...)."""
    from transformers import MuseGlimmerAssistantConfig

    return MuseGlimmerAssistantConfig(
        hidden_size=target.hidden_size,
        intermediate_size=intermediate or target.intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=target.num_attention_heads,
        num_key_value_heads=target.num_key_value_heads,
        head_dim=target.head_dim,
        rms_norm_eps=target.rms_norm_eps,
        max_position_embeddings=target.max_position_embeddings,
        rope_parameters=target.rope_parameters,
        layer_types=["full_attention"] * layers,
        block_size=block_size,
        mask_token_id=mask_token_id,
        target_layer_ids=target_layers(target.num_hidden_layers, layers),
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def open_draft_model(folder: Path) -> Any:
    """The draft model in a folder, as transformers saves it or as the hub's DFlash pairs have it.

    ModelError for pickled weights and for tensors that are missing or of another shape.
    """
    from transformers import MuseGlimmerAssistantConfig, MuseGlimmerAssistantModel

    config, _ = check_weights(folder)
    if own := config.get("dflash_config"):
        layers = config["num_hidden_layers"]
        rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"]}
        draft_config = MuseGlimmerAssistantConfig(
            **{key: config[key] for key in HUB_FIELDS if key in config},
            rope_parameters={"rope_type": "default", **rope},
            layer_types=["full_attention"] * layers,
            mask_token_id=own["mask_token_id"],
            target_layer_ids=own.get("target_layer_ids")
            or target_layers(config["num_target_layers"], layers),
        )
    else:
        draft_config = MuseGlimmerAssistantConfig.from_pretrained(folder, trust_remote_code=False)
    names = HUB_NAMES if own else None
    return read_network(MuseGlimmerAssistantModel, folder, config=draft_config, key_mapping=names)


def paired(target: Checkpoint, folder: Path, **facts: Any) -> Drafted:
    """The model that verifies with the draft model in a folder, which goes where that model is.

    facts: where the pair's card differs from the target's. ModelError as `open_draft_model`, and
    for a draft model of another model.
    """
    network = target.network
    draft_model = open_draft_model(folder).to(network.device, network.dtype)
    config = draft_model.config
    width = len(config.target_layer_ids) * network.config.hidden_size
    deepest = max(config.target_layer_ids)
    if draft_model.encoder.fc.in_features != width or deepest >= network.config.num_hidden_layers:
        raise ModelError(
            f"the draft model in {folder.name} was made for another target than "
            f"{target.card.name}: it reads layers {config.target_layer_ids} with "
            f"{draft_model.encoder.fc.in_features} numbers in all"
        )
    card = replace(target.card, **{"draft_length": config.block_size, **facts})
    pair = Drafted(network, draft_model, card, target.tokenizer, target.banned_ids)
    pair.counted = target.counted
    return pair
