"""The diffusion transformer (DiT) of MDLM, BD3LM and GIDD, with PyTorch's own attention.

Written from the published descriptions (arXiv:2406.07524, 2503.09573, 2503.04482; Peebles and
Xie 2022 for adaLN), under the tensor names that their state dicts have. It was never run on the
published weights: names and shapes are tested, numbers only on tiny random ones.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.models.attention import allowed, positions
from lab.models.errors import ModelError
from lab.models.model import Model, ModelCard
from lab.models.transformers.key_value_cache import RunCache

FREQUENCIES = 256  # of the time embedding
HEAD = 64  # columns of a head in all published sizes, where the weights do not say
NOISE_FLOOR = 1e-3  # eps of sigma = -log(1 - (1 - eps) t), the log-linear schedule of MDLM


class Norm(nn.Module):
    """Layer norm with a weight and no bias."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight)


class Embedding(nn.Module):
    """Token vectors [V, D] under the name `embedding`."""

    def __init__(self, vocabulary: int, width: int):
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(vocabulary, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embedding[tokens]


class Time(nn.Module):
    """Noise level [B] -> conditioning [B, C]: cosines and sines of it, then two layers."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        half = FREQUENCIES // 2
        rate = torch.exp(-math.log(10_000) * torch.arange(half, device=level.device) / half)
        angle = level.float()[:, None] * rate
        return self.mlp(torch.cat([angle.cos(), angle.sin()], -1))


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the noise level (adaLN-zero)."""

    def __init__(self, width: int, head: int, condition: int):
        super().__init__()
        self.head = head
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.adaLN_modulation = nn.Linear(condition, 6 * width)

    def forward(self, x: Tensor, angle: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        moved = self.adaLN_modulation(condition)[:, None].chunk(6, -1)
        shift, scale, gate, shift2, scale2, gate2 = moved
        parts = self.attn_qkv(self.norm1(x) * (1 + scale) + shift).chunk(3, -1)
        query, key, value = (p.unflatten(-1, (-1, self.head)).transpose(1, 2) for p in parts)
        seen = F.scaled_dot_product_attention(turned(query, angle), turned(key, angle), value, mask)
        x = x + gate * self.attn_out(seen.transpose(1, 2).flatten(-2))
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class Output(nn.Module):
    """Final norm under the noise level, then one vector a token, its own and not the input's."""

    def __init__(self, width: int, vocabulary: int, condition: int):
        super().__init__()
        self.norm_final = Norm(width)
        self.linear = nn.Linear(width, vocabulary)
        self.adaLN_modulation = nn.Linear(condition, 2 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, -1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


def turned(x: Tensor, angle: Tensor) -> Tensor:
    """Rotary positions: x [B, heads, T, head] by angle [B, 1, T, head / 2]."""
    left, right = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


class DiT(nn.Module):
    """tokens [B, T], noise level [B] -> logits [B, W, V] of the window's columns."""

    def __init__(self, vocabulary: int, width: int, blocks: int, condition: int, head: int = HEAD):
        super().__init__()
        self.vocab_embed = Embedding(vocabulary, width)
        self.sigma_map = Time(condition)
        self.blocks = nn.ModuleList(Block(width, head, condition) for _ in range(blocks))
        self.output_layer = Output(width, vocabulary, condition)
        # GIDD adds one number to the logit of the token that stands there; the others have none.
        self.logit_bias: Tensor
        self.register_buffer("logit_bias", torch.zeros(1, 1, 1))
        self.head = head

    def forward(
        self, tokens: Tensor, level: Tensor, mask: Tensor, place: Tensor, window: slice
    ) -> Tensor:
        half = torch.arange(0, self.head, 2, device=tokens.device) / self.head
        angle = (place[:, :, None] / 10_000**half)[:, None]
        condition = F.silu(self.sigma_map(level))
        x = self.vocab_embed(tokens)
        for block in self.blocks:
            x = block(x, angle, condition, mask)
        logits = self.output_layer(x[:, window], condition)
        bias = self.logit_bias.to(logits.dtype).expand(*logits.shape[:2], 1)
        return logits.scatter_add(-1, tokens[:, window, None], bias)


def from_state(state: Mapping[str, Tensor]) -> DiT:
    """Build the model that these tensors are of; its sizes are read from their shapes.

    ModelError for tensors that are missing, unknown or of another shape.
    """
    prefix = next((k.split("vocab_embed.")[0] for k in state if "vocab_embed." in k), None)
    if prefix is None:
        raise ModelError("this is not a DiT checkpoint: its weights have no vocab_embed.embedding")
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    vocabulary, width = state["vocab_embed.embedding"].shape
    if "sigma_map.mlp.2.weight" not in state:
        raise ModelError(
            "this DiT checkpoint has no sigma_map: a DiT without adaLN is not supported"
        )
    frequency = state.get("rotary_emb.inv_freq")
    turns = state.get("rotary_emb.cos_cached")
    head = HEAD if frequency is None else 2 * len(frequency)
    head = head if turns is None else turns.shape[-1]
    blocks = len({m[1] for name in state if (m := re.match(r"blocks\.(\d+)\.", name))})
    with torch.device("meta"):  # takes no memory: the tensors may not be those of such a model
        network = DiT(vocabulary, width, blocks, len(state["sigma_map.mlp.2.weight"]), head)
    # What follows from the sizes, and the noise range that BD3LM was trained over, is no weight.
    known = {name: tensor for name, tensor in state.items()
             if not re.match(r"rotary_emb\.|sampling_eps_", name)}  # fmt: skip
    expected = network.state_dict()
    known.setdefault("logit_bias", torch.zeros(1, 1, 1))
    bad = sorted(set(known) ^ set(expected)) or sorted(
        name for name, tensor in known.items() if tensor.shape != expected[name].shape
    )
    if bad:
        raise ModelError(
            f"this is not a DiT checkpoint that the lab knows: {', '.join(bad[:3])} do not fit"
        )
    state = {name: tensor.to(torch.float32, copy=True) for name, tensor in known.items()}
    network.load_state_dict(state, assign=True)
    return network


class DiTModel(Model):
    """A DiT under its card: full or block_causal attention, uncached."""

    def __init__(self, network: DiT, card: ModelCard, tokenizer: Any = None, sigma: bool = True):
        self.network, self.card, self.tokenizer, self.sigma = network.eval(), card, tokenizer, sigma

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.network.vocab_embed.embedding.device

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
        stop = window.stop if self.card.attention == "block_causal" else tokens.shape[1]
        first = max(0, stop - self.card.context)  # official presets slide past the context
        tokens, visible = tokens[:, first:stop], visible[:, first:stop]
        cache = RunCache() if cache is None else cache
        cache.computed = visible.sum(-1)
        inputs = cache.inputs(
            (rows.tolist(), first, stop), lambda: self._inputs(visible, block_length, first)
        )
        level = torch.zeros(len(tokens), device=self.device)
        if self.card.time_conditioned and t is not None:
            noisy = t.float()
            level = -torch.log1p(-(1 - NOISE_FLOOR) * noisy) if self.sigma else noisy
        here = slice(window.start - first, window.stop - first)
        return self.network(tokens, level, window=here, **inputs)

    def columns_computed(
        self, visible: Tensor, window: slice, block_length: int | None, cache: Any, rows: Tensor
    ) -> Tensor:
        if cache is None:
            stop = window.stop if self.card.attention == "block_causal" else visible.shape[1]
            return visible[:, :stop].sum(-1)
        return cache.computed

    def _inputs(self, visible: Tensor, block_length: int | None, first: int) -> dict[str, Any]:
        columns = torch.arange(first, first + visible.shape[1])
        mask = allowed(visible, self.card.attention, block_length, columns, columns)
        place = positions(visible)
        return {
            "mask": mask.to(self.device, non_blocking=True),
            "place": place.to(self.device, non_blocking=True),
        }
