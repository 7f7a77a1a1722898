"""A Qwen3 decoder in plain torch, for one row and no padding: what a call of it must cost at least.

It reads the weights of transformers' module and computes what that computes (arXiv:2505.09388,
appendix: pre-norm, rotary positions, norms of queries and keys, gated feed-forward), and nothing
else: no masks, no hooks, no choice of anything.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu


class Handwritten:
    """Logits of the last columns of a row behind a prefix that was read before."""

    def __init__(self, network: Any):
        config = network.config
        self.layers = network.model.layers
        self.embed, self.head = network.model.embed_tokens.weight, network.lm_head.weight
        self.norm, self.eps = network.model.norm.weight, config.rms_norm_eps
        self.dim, self.heads = config.head_dim, config.num_attention_heads
        self.pairs = config.num_key_value_heads
        half = torch.arange(0, self.dim, 2, device=network.device) / self.dim
        self.frequency = config.rope_parameters["rope_theta"] ** -half.float()

    @torch.no_grad()
    def __call__(
        self,
        ids: Tensor,
        first: int,
        past: list[tuple[Tensor, Tensor]] | None = None,
        keep: int | None = None,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Logits [1, keep, V] of the last of ids [1, W], all where None, at columns first and on,
        which see each other and `past`; each layer's keys and values [1, heads, first + W, dim].
        """
        angles = torch.arange(first, first + ids.shape[1], device=ids.device)[:, None]
        angles = (angles * self.frequency).repeat(1, 2)
        cos, sin = angles.cos(), angles.sin()
        hidden, pairs = self.embed[ids], list[tuple[Tensor, Tensor]]()
        for number, layer in enumerate(self.layers):
            hidden, pair = self._layer(layer, hidden, cos, sin, past[number] if past else None)
            pairs.append(pair)
        hidden = hidden if keep is None else hidden[:, -keep:]
        return linear(self._normed(hidden, self.norm), self.head), pairs

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x, weight.shape, weight, self.eps)

    def _layer(
        self, layer: Any, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        attention, feed = layer.self_attn, layer.mlp
        normed, shape = self._normed(x, layer.input_layernorm.weight), (1, x.shape[1], -1, self.dim)
        queries = linear(normed, attention.q_proj.weight).view(shape)
        keys = linear(normed, attention.k_proj.weight).view(shape)
        values = linear(normed, attention.v_proj.weight).view(shape).transpose(1, 2)
        queries = self._turned(self._normed(queries, attention.q_norm.weight), cos, sin)
        keys = self._turned(self._normed(keys, attention.k_norm.weight), cos, sin)
        if past is not None:
            keys = torch.cat([past[0], keys], 2)
            values = torch.cat([past[1], values], 2)
        mixed = scaled_dot_product_attention(
            queries, keys, values, enable_gqa=self.heads != self.pairs
        )
        x = x + linear(mixed.transpose(1, 2).flatten(2), attention.o_proj.weight)
        normed = self._normed(x, layer.post_attention_layernorm.weight)
        gated = silu(linear(normed, feed.gate_proj.weight)) * linear(normed, feed.up_proj.weight)
        return x + linear(gated, feed.down_proj.weight), (keys, values)

    def _turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Queries or keys [1, W, heads, dim] turned by their positions: [1, heads, W, dim]."""
        x = x.transpose(1, 2)
        left, right = x.chunk(2, -1)
        return x * cos + torch.cat([-right, left], -1) * sin
