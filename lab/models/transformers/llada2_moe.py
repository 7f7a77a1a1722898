"""LLaDA2's mixture of experts (arXiv:2512.15745), without the code that comes with its weights.

Layer by layer it is GLM-4.5's (arXiv:2508.06471), which transformers has: normed queries and keys,
rotary positions over part of a head, sigmoid routing within groups of experts with a bias that
only chooses, one expert that sees all tokens. What differs is how the weights are named and that
queries, keys and values lie in one matrix: that is said here.
"""

from typing import Any

import torch
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.core_model_loading import (
    Concatenate,
    ConversionOps,
    WeightConverter,
    WeightRenaming,
)


class SplitHeads(ConversionOps):
    """One matrix [(heads + 2 key_value_heads) * head_dim, hidden] into those of q, k and v."""

    @torch.no_grad()
    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        **context: Any,
    ) -> dict[str, Any]:
        """Split the one tensor of input_dict by the sizes that the model's config names."""
        (value,) = input_dict.values()
        fused = value[0] if isinstance(value, list) else value
        config = context["model"].config
        heads = (config.num_attention_heads, *[config.num_key_value_heads] * 2)
        parts = fused.split([count * config.head_dim for count in heads])
        return {name: part.contiguous() for name, part in zip(target_patterns, parts, strict=True)}

    @property
    def reverse_op(self) -> ConversionOps:
        """What save_pretrained does: back into one matrix."""
        return Concatenate(0)


class LLaDA2MoeConfig(Glm4MoeConfig):
    """GLM-4.5's config under LLaDA2's model type."""

    model_type = "llada2_moe"


class LLaDA2MoeForCausalLM(Glm4MoeForCausalLM):
    """GLM-4.5's model, whose checkpoints have LLaDA2's names."""

    config_class = LLaDA2MoeConfig


register_checkpoint_conversion_mapping(
    "llada2_moe",
    [
        *get_checkpoint_conversion_mapping("glm4_moe"),  # every expert's matrices into one
        WeightRenaming(r"^model\.word_embeddings\.", "model.embed_tokens."),
        WeightConverter(
            [".attention.query_key_value."],
            [".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj."],
            [SplitHeads()],
        ),
        WeightRenaming(r"\.attention\.query_layernorm\.", ".self_attn.q_norm."),
        WeightRenaming(r"\.attention\.key_layernorm\.", ".self_attn.k_norm."),
        WeightRenaming(r"\.attention\.dense\.", ".self_attn.o_proj."),
        WeightRenaming(r"\.mlp\.gate\.expert_bias", ".mlp.gate.e_score_correction_bias"),
    ],
    overwrite=True,
)
