"""A trained model of a stock transformers class, run with the attention that its card states."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lab.models import token_counts
from lab.models.attention import additive, allowed, positions, with_block, with_shadow
from lab.models.card import read_card, read_facts, target_folder, tokenizer_folder
from lab.models.checkpoint_files import check_weights
from lab.models.errors import ModelError
from lab.models.model import Model, ModelCard
from lab.models.transformers.dual_cache import DualCache
from lab.models.transformers.key_value_cache import RunCache, buffered_cache, cache_argument
from lab.models.transformers.pretrained import read_network, read_own_tokenizer
from samplers.signature import brief


class Call(NamedTuple):
    """The columns first:stop that a call reads, of which those left of `final` change no more, and
    whether their keys and values can be kept. Output j - shift speaks of column j; `block`: the
    window's columns also see one another."""

    first: int
    stop: int
    final: int
    caches: bool
    shift: int = 0
    block: bool = False


class Checkpoint(Model):
    """A causal-LM class (Qwen3, Llama, ...) used as a denoiser.

    Only the window's hidden states go through the output head. For block_causal and causal models
    everything left of the window is computed once a block (equal to uncached to 1e-5), in a block
    mode too: a causal model with a joint_length answers there for the window's own columns, which
    see one another, from the same keys and values of what stands left of them. Full attention
    reads every column at every call, unless its card says `dual_cache`. `shifted`:
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

    @property
    def device(self) -> torch.device:
        """Where the embedding is: under accelerate's device map the answer comes back there."""
        return self.network.device

    def new_cache(self) -> Any:
        return DualCache() if self.card.dual_cache else RunCache()

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
        if isinstance(cache, DualCache):
            return self._approximate(tokens, visible, window, cache, rows)
        return self._answer(tokens, visible, window, block_length, cache, rows)

    def block_mode(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        if self.card.joint_length is None:
            return super().block_mode(tokens, visible, window, cache, rows)
        return self._answer(tokens, visible, window, None, cache, rows, block=True)

    def _answer(
        self, tokens: Tensor, visible: Tensor, window: slice, block_length: int | None, cache: Any,
        rows: Tensor, block: bool = False,
    ) -> Tensor:  # fmt: skip
        tokens, visible, window = self._behind_start(tokens, visible, window)
        columns = tokens.shape[1]
        call = self._call(window, columns, block_length, block)
        caches = cache is not None and call.caches
        cache = RunCache() if cache is None else cache
        used = cache.open(rows, call.final, columns) if caches else None
        past = call.first if used is None else used.length
        key = (rows.tolist(), window, call, past, columns)
        inputs = cache.inputs(key, lambda: self._inputs(visible, window, block_length, call, past))
        cache.computed = visible[:, past : call.stop].sum(-1)
        logits = self._run(tokens[:, past : call.stop], inputs, used)
        if used is not None:
            cache.keep(rows, call.final, used)
        return unshifted(logits, visible, window) if self.shifted else logits

    def _approximate(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: DualCache, rows: Tensor
    ) -> Tensor:
        """`forward` from a dual cache: a row is read whole at its first call about a window, and
        whenever a token outside of it has changed; else the window's columns alone."""
        tokens, visible, window = self._behind_start(tokens, visible, window)
        columns = slice(max(0, window.start - self.shifted), window.stop)
        held = cache.holds(rows, tokens, columns)
        cache.computed = torch.where(held, visible[:, columns].sum(-1), visible.sum(-1))
        # Those that hold go first: another canvas of the same row may take their place.
        both = [held.nonzero().flatten(), (~held).nonzero().flatten()]
        parts = [part for part in both if len(part)]
        answers = []
        for part in parts:
            own = tokens if len(parts) == 1 else tokens[self._here(part)]
            again = bool(held[part[0]])
            logits = self._pass(own, visible[part], columns, cache, rows[part], again)
            answers.append(unshifted(logits, visible[part], window) if self.shifted else logits)
        if len(answers) == 1:
            return answers[0]
        return torch.cat(answers)[self._here(torch.cat(parts).argsort())]

    def _pass(
        self, tokens: Tensor, visible: Tensor, columns: slice, cache: DualCache, rows: Tensor,
        again: bool,
    ) -> Tensor:  # fmt: skip
        """Logits of the outputs `columns` of rows that are read whole, or again at those alone."""
        size = tokens.shape[1]
        fed = columns if again else slice(0, size)
        used = buffered_cache()(cache.pairs(rows) if again else [], fed.start, size, whole=True)

        def build() -> dict[str, Any]:
            there = torch.arange(size)
            mask = allowed(visible, "full", None, there[fed], there)
            return self._there(mask, positions(visible)[:, fed], there[columns] - fed.start)

        key = ("dual cache", rows.tolist(), columns, again)
        logits = self._run(tokens[:, fed], cache.inputs(key, build), used)
        if not again:
            cache.keep(rows, tokens, columns, used.pairs)
        return logits

    def _here(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.device, non_blocking=True)

    def leave_one_out(
        self, tokens: Tensor, visible: Tensor, window: slice, cache: Any, rows: Tensor
    ) -> Tensor:
        """The answers of a copy of the window behind the canvas, all masks (`with_shadow`).

        Of one layer they know nothing of the token; of more, what the other columns carry of it.
        """
        if not self.card.leave_one_out:
            return super().leave_one_out(tokens, visible, window, cache, rows)
        cache = RunCache() if cache is None else cache
        key = ("leave one out", rows.tolist(), window, tokens.shape[1])
        inputs = cache.inputs(key, lambda: self._shadow_inputs(visible, window))
        masks = torch.full_like(tokens[:, window], int(self.card.mask_id or 0))
        cache.computed = visible.sum(-1) + masks.shape[1]
        return self._run(torch.cat([tokens, masks], -1), inputs, None)

    def _behind_start(
        self, tokens: Tensor, visible: Tensor, window: slice
    ) -> tuple[Tensor, Tensor, slice]:
        """The same with the start before them, where the canvas has none."""
        if self.start_id is None:
            return tokens, visible, window
        tokens = torch.nn.functional.pad(tokens, (1, 0), value=self.start_id)
        visible = torch.nn.functional.pad(visible, (1, 0), value=True)
        return tokens, visible, slice(window.start + 1, window.stop + 1)

    def _run(self, ids: Tensor, inputs: dict[str, Any], used: Any) -> Tensor:
        """Logits of the outputs that `inputs` names, of columns `ids` behind the cache `used`."""
        return self._logits(self._out(ids, inputs, used))

    def _out(self, ids: Tensor, inputs: dict[str, Any], used: Any, **more: Any) -> Any:
        """What the network says of them."""
        # A model without a mask token has no vector for its masked positions; being causal, it sees
        # none.
        known = self.network.config.vocab_size
        return self.network(
            input_ids=ids.clamp(max=known - 1) if self.card.vocab_size > known else ids,
            use_cache=used is not None,
            **inputs,
            **cache_argument(self.network, used),
            **more,
        )

    def _logits(self, out: Any) -> Tensor:
        logits = out.logits.to(self.device)
        more = self.card.vocab_size - self.network.config.vocab_size
        return torch.nn.functional.pad(logits, (0, more)) if more else logits

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        if cache is None:
            # Either mode reads the same columns; a block may begin at the first.
            call = self._call(window, visible.shape[1], block_length, block=True)
            return visible[:, call.first : call.stop].sum(-1)
        return cache.computed

    def _call(
        self, window: slice, columns: int, block_length: int | None, block: bool = False
    ) -> "Call":
        """Which columns a call of this window reads, and up to where they are final."""
        if self.card.attention == "full":
            return Call(0, columns, 0, False)
        shift = 0 if block else self._shift
        # The last whole block boundary at or left of the window: what is final.
        start = window.start - window.start % block_length if block_length else window.start
        final = start - shift
        if final < 0:
            raise ValueError(f"{self.card.name} is causal: its canvas needs a first token")
        context = self.card.context + (self.start_id is not None)
        # Official presets slide past the context. Every column has a new place then: none is final.
        first = max(0, window.stop - context)
        return Call(first, window.stop, final, not first, shift, block)

    @property
    def _shift(self) -> int:
        """1 where output j - 1 speaks of column j, which a block mode's does not."""
        return int(self.card.attention == "causal")

    def _inputs(
        self, visible: Tensor, window: slice, block_length: int | None, call: "Call", past: int
    ) -> dict[str, Any]:
        """Mask, positions and the outputs to keep, on the network's device."""
        seen = visible[:, call.first : call.stop]
        columns, keys = torch.arange(past, call.stop), torch.arange(call.first, call.stop)
        mask = allowed(seen, self.card.attention, block_length, columns, keys)
        mask = with_block(mask, seen, window.start, columns, keys) if call.block else mask
        place = positions(seen)[:, past - call.first :]
        outputs = torch.arange(window.start, window.stop) - past - call.shift
        if self.shifted:
            outputs = torch.arange(max(0, window.start - 1), window.stop)
        return self._there(mask, place, outputs)

    def _shadow_inputs(self, visible: Tensor, window: slice) -> dict[str, Any]:
        columns = torch.arange(visible.shape[1])
        mask = with_shadow(allowed(visible, "full", None, columns, columns), window)
        place = positions(visible)
        place = torch.cat([place, place[:, window]], -1)
        return self._there(mask, place, torch.arange(len(columns), mask.shape[-1]))

    def _there(self, mask: Tensor, place: Tensor, outputs: Tensor) -> dict[str, Any]:
        device = self.network.device
        return {
            "attention_mask": additive(mask, device, self.network.dtype),
            "position_ids": place.to(device, non_blocking=True),
            "logits_to_keep": outputs.to(device, non_blocking=True),
        }


def unshifted(logits: Tensor, visible: Tensor, window: slice) -> Tensor:
    """Logits [B, W, V] of the window's columns from a right-shifted model's outputs.

    logits holds the outputs from column max(0, window.start - 1) on; visible [B, T], on the CPU. A
    row's first column, which has no output left of it, keeps its own (Dream's code).
    """
    own = logits[:, -(window.stop - window.start) :]
    left = logits[:, :-1] if window.start else torch.cat([own[:, :1], own[:, :-1]], 1)
    before = torch.nn.functional.pad(visible, (1, 0))[:, window]  # is the column left of it seen?
    return torch.where(before[..., None].to(logits.device, non_blocking=True), left, own)


def load_checkpoint(folder: Path, device_map: str | None = None) -> Checkpoint:
    """Open a folder with config.json, *.safetensors, lab.json and a tokenizer (here or beside).

    device_map: transformers' own; None: onto the CPU.

    A draft model's folder, or a quality head's, gives its target with that. ModelError for pickled
    weights, weights that do not fit or a folder of another format.
    """
    from transformers import AutoModelForCausalLM

    check_weights(folder)
    card = read_card(folder)
    if target := target_folder(folder):
        if card.quality_head:
            from lab.models.transformers.quality_head import judged

            return judged(load_checkpoint(target, device_map), folder, **vars(card))
        from lab.models.transformers.draft_model import paired

        return paired(load_checkpoint(target, device_map), folder, **vars(card))
    tokenizer = read_own_tokenizer(tokenizer_folder(folder))
    network = read_network(AutoModelForCausalLM, folder, device_map=device_map)
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
    model = Checkpoint(network, card, tokenizer, start_id=start_id)
    if card.frequencies:
        words = tokenizer_folder(folder)
        model.counted = token_counts.frequencies(words, card.task, card.vocab_size)
    return model
