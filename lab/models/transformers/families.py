"""What each family of published checkpoints is and how it is run: data, read by
lab.models.transformers.build.

The published ids and constants are those of the model cards; `status` says how far each entry has
been run: few of these weights were available when this was written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.models.errors import ModelError

TINY = "run on tiny random weights of its own class"
STAND_IN = "run on tiny random weights of the stock class that has its layers"
WRITTEN = "written only"
# tests/models/test_real_weights.py opens these.
REAL_MASKED = "run on real weights (sapiens-vh)"
REAL_CAUSAL = "run on real weights (stories260K)"
STATUSES = (TINY, STAND_IN, WRITTEN, REAL_MASKED, REAL_CAUSAL)

GPT2 = ("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e")


@dataclass(frozen=True)
class Family:
    """One family: how to recognise it, how to run it, how far that has been tried.

    ids: published examples. model_types and architecture (a pattern of config.json's first) and
    part_of_id (a pattern the name must hold) recognise it. adapter: causal, masked, dit, canvas,
    draft model or remote (its code comes with the weights). targets: {draft model: the model that
    it drafts for}. also: other samplers that were made for it. stock: {model
    type: the transformers class that has its layers}, so that no code need come with the weights;
    rename turns its tensor names into that class's, fields its config's. shifted: output j - 1
    speaks of column j. framed: the model was trained between a first and a last special token.
    joint_length: tokens of a block that a causal model also fills at once, its first, known one
    counted, where config.json has no block_size.
    """

    name: str
    ids: tuple[str, ...]
    adapter: str
    status: str
    model_types: tuple[str, ...] = ()
    architecture: str = ""
    part_of_id: str = ""
    stock: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    attention: str = "full"
    corruption: str = "absorbing"
    posterior: str = "full"
    p_uniform: float = 0.0
    time_conditioned: bool = False
    mask_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    eos_tokens: tuple[str, ...] = ()
    shifted: bool = False
    framed: bool = False
    block_lengths: tuple[int, ...] | None = None
    joint_length: int | None = None
    context: int | None = None  # what it was trained on, where config promises more
    words: tuple[str, str] | None = None  # a tokenizer from elsewhere: id, commit
    words_class: str = "AutoTokenizer"
    sampler: str = "llada"
    preset: str | None = None
    also: tuple[str, ...] = ()
    space: bool = False  # small enough for a public Space, and no code of its own
    targets: Mapping[str, str] = field(default_factory=dict)


QWEN = {"a2d-qwen2": "Qwen2ForCausalLM", "a2d-qwen3": "Qwen3ForCausalLM",
        "a2d-llama": "LlamaForCausalLM"}  # fmt: skip
LLADA_NAMES = {
    r"^model\.transformer\.wte\.": "model.embed_tokens.",
    r"^model\.transformer\.ln_f\.": "model.norm.",
    r"^model\.transformer\.ff_out\.": "lm_head.",
    **{
        rf"^model\.transformer\.blocks\.(\d+)\.{theirs}\.": rf"model.layers.\1.{ours}."
        for theirs, ours in {
            "q_proj": "self_attn.q_proj",
            "k_proj": "self_attn.k_proj",
            "v_proj": "self_attn.v_proj",
            "attn_out": "self_attn.o_proj",
            "ff_proj": "mlp.gate_proj",
            "up_proj": "mlp.up_proj",
            "ff_out": "mlp.down_proj",
            "attn_norm": "input_layernorm",
            "ff_norm": "post_attention_layernorm",
        }.items()
    },
}
LLADA_FIELDS = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "mlp_hidden_size": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "max_sequence_length": "max_position_embeddings",
    "rms_norm_eps": "rms_norm_eps",
    "rope_theta": "rope_theta",
    "weight_tying": "tie_word_embeddings",
}
LLADA2 = {"llada2_moe": "LLaDA2MoeForCausalLM"}  # the lab's, of transformers' Glm4Moe
LLADA2_FIELDS = {
    **{name: name for name in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
        "max_position_embeddings", "rms_norm_eps", "rope_theta", "partial_rotary_factor",
        "rope_scaling", "tie_word_embeddings", "moe_intermediate_size", "num_experts_per_tok",
        "routed_scaling_factor", "n_group", "topk_group", "first_k_dense_replace", "use_qk_norm",
    )},
    "use_qkv_bias": "attention_bias",
    "num_experts": "n_routed_experts",
    "num_shared_experts": "n_shared_experts",
}  # fmt: skip

NEMOTRON_NAMES = {r"^encoder\.": "model.", r"^diffusion_head\.": "lm_head."}
NEMOTRON_FIELDS = {
    name: name for name in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
        "max_position_embeddings", "rms_norm_eps", "rope_parameters", "sliding_window",
        "tie_word_embeddings", "block_size",
    )
}  # fmt: skip

# The first that fits is taken, so the narrow ones stand before the wide ones.
FAMILIES: tuple[Family, ...] = (
    Family(
        "dLLM conversions (block diffusion)",
        ("dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1",
         "dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-bd3lm-v0.1"),
        "causal", STAND_IN, tuple(QWEN), part_of_id="bd3lm", stock=QWEN,
        attention="block_causal", eos_tokens=("<|im_end|>",), block_lengths=(32,),
        sampler="sdar", preset="static", space=True,
    ),
    Family(
        "dLLM conversions (masked diffusion)",
        ("dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1",
         "dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-mdlm-v0.1"),
        "causal", STAND_IN, tuple(QWEN), stock=QWEN, eos_tokens=("<|im_end|>",),
        space=True,
    ),
    Family(
        "dLLM ModernBERT chat",
        ("dllm-hub/ModernBERT-base-chat-v0.1", "dllm-hub/ModernBERT-large-chat-v0.1"),
        "masked", TINY, ("modernbert",), part_of_id="dllm-hub/", mask_id=50284,
        space=True,
    ),
    Family(
        "Masked language models",
        ("google-bert/bert-base-uncased", "distilbert/distilbert-base-uncased",
         "answerdotai/ModernBERT-base"),
        "masked", REAL_MASKED, architecture=r"ForMaskedLM$", framed=True, sampler="max_prob",
        space=True,
    ),
    Family(
        "LLaDA",
        ("GSAI-ML/LLaDA-8B-Base", "GSAI-ML/LLaDA-8B-Instruct", "GSAI-ML/LLaDA-1.5"),
        "causal", STAND_IN, ("llada",), r"^LLaDAModelLM$", stock={"llada": "LlamaForCausalLM"},
        rename=LLADA_NAMES, fields=LLADA_FIELDS, mask_id=126336, eos_ids=(126081, 126348),
        also=("threshold", "klass", "wino", "saber", "freedave"),
    ),
    Family(
        "LLaDA2.0",
        ("inclusionAI/LLaDA2.0-mini", "inclusionAI/LLaDA2.0-flash"),
        "causal", STAND_IN, ("llada2_moe",), part_of_id=r"LLaDA2\.0", stock=LLADA2,
        fields=LLADA2_FIELDS, attention="block_causal", mask_id=156895, eos_ids=(156892,),
        block_lengths=(32,), sampler="llada2",
    ),
    Family(
        "LLaDA2.1",
        ("inclusionAI/LLaDA2.1-mini", "inclusionAI/LLaDA2.1-flash"),
        "causal", STAND_IN, ("llada2_moe",), stock=LLADA2, fields=LLADA2_FIELDS,
        attention="block_causal", mask_id=156895, eos_ids=(156892,), block_lengths=(32,),
        sampler="llada2", preset="llada2.1_quality",
    ),
    Family(
        "LLaDA-MoE",
        ("inclusionAI/LLaDA-MoE-7B-A1B-Base", "inclusionAI/LLaDA-MoE-7B-A1B-Instruct"),
        "remote", WRITTEN, architecture=r"^LLaDAMoEModel", mask_id=156895,
    ),
    Family(
        "Dream",
        ("Dream-org/Dream-v0-Base-7B", "Dream-org/Dream-v0-Instruct-7B"),
        "causal", STAND_IN, ("Dream", "dream"),
        stock={"Dream": "Qwen2ForCausalLM", "dream": "Qwen2ForCausalLM"},
        mask_id=151666, eos_ids=(151643,), eos_tokens=("<|im_end|>",), shifted=True,
        words_class="Qwen2Tokenizer", context=2048, sampler="dream", preset="recommended",
        also=("klass", "freedave"),
    ),
    Family(
        "SDAR",
        ("JetLM/SDAR-1.7B-Chat", "JetLM/SDAR-4B-Chat", "JetLM/SDAR-8B-Chat",
         "Gen-Verse/TraDo-4B-Instruct"),
        "causal", STAND_IN, ("sdar", "sdar_moe"),
        stock={"sdar": "Qwen3ForCausalLM", "sdar_moe": "Qwen3MoeForCausalLM"},
        attention="block_causal", mask_id=151669, eos_ids=(151645, 151643), block_lengths=(4,),
        sampler="sdar", preset="paper",
    ),
    Family(
        "MDLM",
        ("kuleshov-group/mdlm-owt", "kuleshov-group/mdlm-noeos-owt"),
        "dit", WRITTEN, ("mdlm",), mask_id=50257, words=GPT2, sampler="mdlm",
        space=True, also=("remdm", "p2"),
    ),
    Family(
        "Duo",
        ("s-sahoo/duo", "s-sahoo/duo-distilled"),
        "dit", WRITTEN, ("DUO",), corruption="uniform", posterior="loo", time_conditioned=True,
        words=GPT2, sampler="psi", preset="paper_cap", space=True, also=("uniform",),
    ),
    Family(
        "BD3LM",
        ("kuleshov-group/bd3lm-owt-block_size4", "kuleshov-group/bd3lm-owt-block_size8",
         "kuleshov-group/bd3lm-owt-block_size16"),
        "dit", WRITTEN, ("bd3lm",), attention="block_causal", mask_id=50257, words=GPT2,
        block_lengths=(16,), sampler="bd3lm", space=True,
    ),
    Family(
        "GIDD",
        ("dvruette/gidd-small-p_unif-0.1", "dvruette/gidd-base-p_unif-0.2"),
        "dit", WRITTEN, architecture=r"(?i)gidd", part_of_id=r"p_unif-0\.[12]",
        corruption="hybrid", posterior="loo", p_uniform=0.1, time_conditioned=True,
        mask_id=50258, sampler="hybrid", space=True,
    ),
    Family(
        "DFlash draft models",
        ("z-lab/Qwen3-4B-DFlash-b16", "z-lab/Qwen3-8B-DFlash-b16"),
        "draft_model", TINY, architecture=r"^(DFlash|MuseGlimmerAssistant)", attention="causal",
        block_lengths=(16,), sampler="dflash", also=("adaptive_parallel",),
        targets={"z-lab/Qwen3-4B-DFlash-b16": "Qwen/Qwen3-4B",
                 "z-lab/Qwen3-8B-DFlash-b16": "Qwen/Qwen3-8B"},
    ),
    Family(
        "Nemotron-Labs-Diffusion",
        ("nvidia/Nemotron-Labs-Diffusion-3B", "nvidia/Nemotron-Labs-Diffusion-8B",
         "nvidia/Nemotron-Labs-Diffusion-14B"),
        "causal", STAND_IN, ("nemotron_labs_diffusion",),
        stock={"nemotron_labs_diffusion": "Ministral3ForCausalLM"}, rename=NEMOTRON_NAMES,
        fields=NEMOTRON_FIELDS, attention="causal", mask_id=100, eos_ids=(11,), joint_length=32,
        sampler="self_speculation", preset="paper", also=("autoregressive",),
    ),
    Family(
        "DiffusionGemma",
        ("google/diffusiongemma-26B-A4B-it",),
        "canvas", TINY, ("diffusion_gemma",),
        stock={"diffusion_gemma": "DiffusionGemmaForBlockDiffusion"}, corruption="uniform",
        sampler="renoise", preset="diffusiongemma",
    ),
    Family(
        "Causal language models",
        ("Qwen/Qwen3-0.6B", "HuggingFaceTB/SmolLM2-135M"),
        "causal", REAL_CAUSAL, architecture=r"ForCausalLM$", attention="causal",
        eos_tokens=("<|im_end|>",), sampler="autoregressive", space=True,
    ),
)  # fmt: skip

# What a public Space may load, each at a commit that has to be named.
ALLOWED = frozenset(name for family in FAMILIES if family.space for name in family.ids)


def recognise(config: Mapping[str, Any], name: str) -> Family:
    """The family of a config.json under the id or folder `name`. ModelError names them all."""
    kind = str(config.get("model_type", ""))
    architecture = str((config.get("architectures") or [""])[0])
    for family in FAMILIES:
        by_type = kind in family.model_types
        by_class = bool(family.architecture and re.search(family.architecture, architecture))
        recognised = (by_type or not family.model_types) and (by_class or not family.architecture)
        if recognised and re.search(family.part_of_id, name):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise ModelError(
        "the lab does not support the architecture "
        f"{(architecture or kind or 'without a name')[:60]!r} ({name[:96]}); it supports {known}; "
        "lab.wrap takes any other"
    )
