"""DiffusionGemma: an encoder reads the text so far, a decoder sees it and the whole canvas."""

from typing import Any

import torch
from torch import Tensor

from lab.models.attention import alike
from lab.models.model import Model, ModelCard, Opened
from lab.models.transformers.key_value_cache import cache_argument
from samplers.canvas import Canvas


class CanvasModel(Model):
    """transformers' DiffusionGemmaForBlockDiffusion as a denoiser of full attention.

    What stands left of the window goes through the encoder once a run; its keys and values, and
    all columns from the window on, or the window's alone where a run has blocks, are what the
    decoder reads, both ways. Pads are cut away, so the class's own masks hold. Without the logits
    of the call before (self-conditioning), as by the class's default, equal tokens get equal
    answers.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        card: ModelCard,
        tokenizer: Any = None,
        banned_ids: tuple[int, ...] = (),
    ):
        self.network: Any = network.eval()
        self.card, self.tokenizer = card, tokenizer
        config: Any = network.config
        self.most, text = int(config.canvas_length), config.get_text_config()
        self.start_id = card.bos_id if card.bos_id is not None else 0
        names = ("boi_token_id", "eoi_token_id", "image_token_id")
        images = [getattr(config, name, None) for name in names]
        known = [i for i in images if i is not None and i < text.vocab_size]
        self.banned_ids = (*banned_ids, *known)

    def open(self, canvas: Canvas, block_length: int | None = None) -> Opened:
        """As every model's; ValueError where a block, or all without, is wider than a canvas."""
        columns = canvas.writable.any(0).nonzero().flatten()
        width = canvas.tokens.shape[1] - int(columns[0]) if len(columns) else 0
        if min(width, block_length or width) > self.most:
            way = "block_length" if block_length else "gen_length, or go on in a second run"
            raise ValueError(
                f"{self.card.name} writes canvases of at most {self.most} tokens, got "
                f"{min(width, block_length or width)}; lower {way}"
            )
        return super().open(canvas, block_length)

    @property
    def device(self) -> torch.device:
        """Where the embeddings are."""
        return self.network.device

    def new_cache(self) -> dict[Any, Any]:
        return {}

    def forward(
        self,
        tokens: Tensor,
        visible: Tensor,
        window: slice,
        t: Tensor | None,
        block_length: int | None,
        cache: dict[Any, Any] | None,
        rows: Tensor,
    ) -> Tensor:
        return self._answer(None, tokens, visible, window, block_length, cache, rows)

    def self_conditioned(
        self, previous: Tensor, tokens: Tensor, visible: Tensor, window: slice,
        block_length: int | None, cache: Any, rows: Tensor,
    ) -> Tensor:  # fmt: skip
        return self._answer(previous, tokens, visible, window, block_length, cache, rows)

    def _answer(
        self, previous: Tensor | None, tokens: Tensor, visible: Tensor, window: slice,
        block_length: int | None, cache: dict[Any, Any] | None, rows: Tensor,
    ) -> Tensor:  # fmt: skip
        shape = len(tokens), window.stop - window.start, self.card.vocab_size
        answer, computed = (
            torch.zeros(shape, dtype=torch.float32, device=self.device),
            torch.zeros_like(rows),
        )
        for same, columns in alike(visible):
            canvas, line = columns[columns >= window.start], self._there(same)
            canvas = canvas[canvas < window.stop] if block_length else canvas
            read = tokens[line, self._there(columns[columns < window.start])]
            if not read.shape[1]:
                read = torch.full((len(read), 1), self.start_id, device=self.device)
            past, columns_read = self._past(read, window, rows[same[:, 0]], cache)
            computed[same[:, 0]] = len(canvas) + columns_read
            stop = read.shape[1] + len(canvas)
            place = torch.arange(read.shape[1], stop, device=self.device)
            inside = (canvas < window.stop).nonzero().flatten()
            here = self._there(canvas[inside] - window.start)
            more = {} if previous is None else {"self_conditioning_logits": previous[line, here]}
            out = self.network(
                decoder_input_ids=tokens[line, self._there(canvas)],
                decoder_position_ids=place.expand(len(read), -1),
                **cache_argument(self.network, past),
                **more,
            )
            answer[line, here] = out.logits[:, self._there(inside)].to(self.device).float()
        if cache is not None:
            cache["computed"] = computed
        return answer

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        return visible.sum(-1) if cache is None else cache["computed"]

    def _there(self, x: Tensor) -> Tensor:
        return x.to(self.device, non_blocking=True)

    def _past(
        self, read: Tensor, window: slice, rows: Tensor, cache: dict[Any, Any] | None
    ) -> tuple[Any, int]:
        """Keys and values of the columns `read` of these rows, and how many it computed for them.

        They are kept as long as the window begins where it does; rows that no longer ask are let
        go.
        """
        if cache is None:
            return self._read(read), read.shape[1]
        if cache.get("start") != window.start:
            cache.clear()
            cache["start"] = window.start
        numbers, key = rows.tolist(), read.shape[1]
        known, past = cache.get(key, ([], None))
        if not set(numbers) <= set(known):
            cache[key] = numbers, self._read(read)
            return cache[key][1], read.shape[1]
        if numbers != known:
            places = torch.tensor([known.index(number) for number in numbers])
            past.batch_select_indices(self._there(places))
            cache[key] = numbers, past
        return past, 0

    def _read(self, ids: Tensor) -> Any:
        from transformers import DynamicCache

        past = DynamicCache(config=self.network.config.get_text_config())
        encoder = self.network.model.encoder
        encoder(input_ids=ids, **cache_argument(encoder, past))
        return past
