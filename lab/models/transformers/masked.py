"""A masked language model (BERT, DistilBERT, ModernBERT, ...) as a denoiser of full attention.

Such models were trained on masks, though at one rate, and between a first and a last special token
(Wang and Cho 2019, arXiv:1902.04094, read one as a sampler's model).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lab.models.attention import additive, allowed, positions, with_shadow
from lab.models.model import Model, ModelCard
from lab.models.transformers.key_value_cache import RunCache

# The output head alone, where a class has it in one piece: logits for the window, no more.
HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "bert": lambda network, hidden: network.cls(hidden),
    "modernbert": lambda network, hidden: network.decoder(network.head(hidden)),
}


class MaskedLM(Model):
    """Any transformers class `...ForMaskedLM` that takes position ids.

    `frame`: the ids before and after all text ([CLS], [SEP]), which the canvas does not hold; the
    model sees them round each row's visible columns, no sampler can write there, and the first is
    never predicted; the last and the pad may be, and end a text (the ban list of
    javiersgjavi/diffusion-llm). Attention is a 4-D mask built here, narrower in layers that look
    only so far (ModernBERT), with distances counted in positions, not columns.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        card: ModelCard,
        tokenizer: Any = None,
        frame: tuple[int, int] | None = None,
        banned_ids: tuple[int, ...] = (),
    ):
        self.network: Any = network.eval()
        self.card, self.tokenizer, self.frame = card, tokenizer, frame
        self.banned_ids = (*banned_ids, *(frame or ())[:1])
        self._reach = sliding(network.config)
        self._first = first_position(network)

    @property
    def device(self) -> torch.device:
        """Where the embedding is."""
        return self.network.device

    def new_cache(self) -> RunCache:
        """Nothing of a call is kept but what depends on its shape alone."""
        return RunCache()

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
        cache = RunCache() if cache is None else cache
        cache.computed = visible.sum(-1)
        tokens, visible, window = self._in_frame(tokens, visible, window)
        inputs = cache.inputs(rows.tolist(), lambda: self._inputs(visible))
        return self._run(tokens, inputs, window)

    def leave_one_out(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """The answers of a copy of the window behind the canvas, all masks (`with_shadow`)."""
        cache = RunCache() if cache is None else cache
        masks = torch.full_like(tokens[:, window], int(self.card.mask_id or 0))
        cache.computed = visible.sum(-1) + masks.shape[1]
        tokens, visible, window = self._in_frame(tokens, visible, window)
        key = ("leave one out", rows.tolist(), window)
        inputs = cache.inputs(key, lambda: self._inputs(visible, window))
        copies = slice(tokens.shape[1], tokens.shape[1] + masks.shape[1])
        return self._run(torch.cat([tokens, masks], -1), inputs, copies)

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        return visible.sum(-1) if cache is None else cache.computed

    def _in_frame(
        self, tokens: Tensor, visible: Tensor, window: slice
    ) -> tuple[Tensor, Tensor, slice]:
        if not self.frame:
            return tokens, visible, window
        visible = framed(visible.long(), 1, 1).bool()
        return framed(tokens, *self.frame), visible, slice(window.start + 1, window.stop + 1)

    def _run(self, tokens: Tensor, inputs: dict[str, Any], outputs: slice) -> Tensor:
        kind = self.network.config.model_type
        if kind not in HEADS:
            return self.network(tokens, **inputs).logits[:, outputs].to(self.device)
        hidden = self.network.base_model(tokens, **inputs).last_hidden_state[:, outputs]
        return HEADS[kind](self.network, hidden).to(self.device)

    def _inputs(self, visible: Tensor, copied: slice | None = None) -> dict[str, Any]:
        place = positions(visible)
        mask = self._mask(visible, place, copied)
        place = place if copied is None else torch.cat([place, place[:, copied]], -1)
        ids = (place + self._first).to(self.device, non_blocking=True)
        return {"attention_mask": mask, "position_ids": ids}

    def _mask(
        self, visible: Tensor, place: Tensor, copied: slice | None
    ) -> Tensor | dict[str, Tensor]:
        columns = torch.arange(visible.shape[1])
        seen = allowed(visible, self.card.attention, None, columns, columns)
        if self._reach is None:
            return self._additive(seen, copied)
        near = (place[:, None] - place[..., None]).abs() <= self._reach
        return {
            "full_attention": self._additive(seen, copied),
            "sliding_attention": self._additive(seen & near[:, None], copied),
        }

    def _additive(self, seen: Tensor, copied: slice | None) -> Tensor:
        seen = seen if copied is None else with_shadow(seen, copied)
        return additive(seen, self.device, self.network.dtype)


def framed(x: Tensor, first: int, last: int) -> Tensor:
    """A column before and a column after: [B, T] -> [B, T + 2]."""
    return torch.nn.functional.pad(
        torch.nn.functional.pad(x, (1, 0), value=first), (0, 1), value=last
    )


def sliding(config: Any) -> int | None:
    """How far, in positions, layers of local attention look; None where all look everywhere.

    ValueError where layers differ in another way, for which no mask is built here.
    """
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds == {"full_attention"}:
        return None
    if config.model_type == "modernbert" and kinds <= {"full_attention", "sliding_attention"}:
        return config.sliding_window
    raise ValueError(
        f"{config.model_type} has layers of {' and '.join(sorted(kinds))}, for which the lab "
        "builds no mask; choose a model whose layers all see everything"
    )


def first_position(network: torch.nn.Module) -> int:
    """The position id of the first token: 0, or one past the pad's in RoBERTa's family."""
    pad = getattr(getattr(network.base_model, "embeddings", None), "padding_idx", None)
    return 0 if pad is None else pad + 1
