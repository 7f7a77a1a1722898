"""Folders as the hub holds them: tiny random models of the real classes, with no lab.json.

`write(folder, kind)` saves one; `load(kind)` opens it by `lab.load`, once a process.
"""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

import lab
from lab.models import Model
from lab.models.transformers.dit import DiT
from lab.models.transformers.draft_model import draft_model_config
from lab.models.transformers.pretrained import quiet
from tests.kit import tiny

SPECIAL = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
           "pad_token": "[PAD]", "bos_token": None, "eos_token": None}  # fmt: skip
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
         "num_attention_heads": 4, "initializer_range": 0.3}  # fmt: skip
BERT = {**SIZES, "max_position_embeddings": 130, "type_vocab_size": 2}
MASKED = {
    "bert": ("Bert", BERT),
    "roberta": ("Roberta", BERT),
    "distilbert": ("DistilBert", {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4,
                                  "max_position_embeddings": 130, "initializer_range": 0.3}),
    "modernbert": ("ModernBert", {**SIZES, "max_position_embeddings": 130, "local_attention": 8,
                                  "global_attn_every_n_layers": 2, "initializer_cutoff_factor": 3.0,
                                  "decoder_bias": True}),
}  # fmt: skip
CAUSAL = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
          "tie_word_embeddings": False}  # fmt: skip
# kind: the stock class it is saved by, and what its config.json then says instead.
LIKE = {
    "llama": ("Llama", {}),
    "qwen3": ("Qwen3", {}),
    "dream": ("Qwen2", {"model_type": "Dream", "architectures": ["DreamModel"],
                        "auto_map": {"AutoModel": "modeling_dream.DreamModel"}}),
    "sdar-b8": ("Qwen3", {"model_type": "sdar", "architectures": ["SDARForCausalLM"],
                          "auto_map": {"AutoModel": "modeling_sdar.SDARForCausalLM"}}),
    "llada": ("Llama", {}),
    "qwen3-mdlm": ("Qwen3", {"model_type": "a2d-qwen3", "architectures": ["A2DQwen3LMHeadModel"]}),
    "qwen2-bd3lm": ("Qwen2", {"model_type": "a2d-qwen2", "architectures": ["A2DQwen2LMHeadModel"]}),
    "nemotron": ("Ministral3", {
        "model_type": "nemotron_labs_diffusion", "architectures": ["NemotronLabsDiffusionModel"],
        "auto_map": {"AutoModel": "modeling_nemotron_labs_diffusion.NemotronLabsDiffusionModel"},
        "block_size": 6, "mask_token_id": 0, "dlm_paradigm": "bidirectional"}),
}  # fmt: skip
NEMOTRON, GEMMA = "nemotron", "diffusion-gemma"
DITS = {
    "mdlm": {"model_type": "mdlm", "architectures": ["MDLM"], "model_length": 128,
             "time_conditioning": False},
    "mdlm-timed": {"model_type": "mdlm", "architectures": ["MDLM"], "model_length": 128,
                   "time_conditioning": True},
    "bd3lm": {"model_type": "bd3lm", "architectures": ["BD3LM"], "model_length": 128,
              "block_size": 4, "time_conditioning": False},
    "duo": {"model_type": "DUO", "architectures": ["DUO"], "model_length": 128,
            "time_conditioning": True},
    "gidd-p_unif-0.2": {"model_type": "gidd", "architectures": ["GiddForMaskedDiffusion"],
                        "max_position_embeddings": 128},
}  # fmt: skip
LLADA = {
    "model.layers.": "model.transformer.blocks.", ".self_attn.o_proj.": ".attn_out.",
    ".self_attn.": ".", ".mlp.gate_proj.": ".ff_proj.", ".mlp.up_proj.": ".up_proj.",
    ".mlp.down_proj.": ".ff_out.", ".input_layernorm.": ".attn_norm.",
    ".post_attention_layernorm.": ".ff_norm.", "model.embed_tokens.": "model.transformer.wte.",
    "model.norm.": "model.transformer.ln_f.", "lm_head.": "model.transformer.ff_out.",
}  # fmt: skip
NEMOTRON_NAMES = {"model.": "encoder.", "lm_head.": "diffusion_head."}
# As published, but for the length that it was trained on at first.
NEMOTRON_ROPE = {
    "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 8,
    "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}  # fmt: skip
LLADA_CONFIG = {
    "architectures": ["LLaDAModelLM"], "model_type": "llada", "d_model": 32, "n_heads": 4,
    "mlp_hidden_size": 48, "n_layers": 3, "n_kv_heads": 2, "max_sequence_length": 128,
    "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "weight_tying": False, "include_bias": False,
}  # fmt: skip
RENAMED = {"llada": LLADA, NEMOTRON: NEMOTRON_NAMES}
# LLaDA2 as its config.json and its tensors are published; one layer without experts, two with.
LLADA2 = ("LLaDA2.0-mini", "LLaDA2.1-mini")
LLADA2_CONFIG = {
    "architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe",
    "auto_map": {"AutoConfig": "configuration_llada2_moe.LLaDA2MoeConfig",
                 "AutoModelForCausalLM": "modeling_llada2_moe.LLaDA2MoeModelLM"},
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6, "rope_theta": 600000, "rope_scaling": None,
    "partial_rotary_factor": 0.25, "use_qk_norm": True, "use_qkv_bias": False, "use_bias": False,
    "norm_head": False, "tie_word_embeddings": False, "num_experts": 8, "num_shared_experts": 1,
    "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "moe_intermediate_size": 16,
    "routed_scaling_factor": 2.5, "first_k_dense_replace": 1, "attention_dropout": 0.0,
    "output_router_logits": False, "pad_token_id": 1, "use_cache": False,
}  # fmt: skip


def write(folder: Path, kind: str, spare: int = 0) -> Path:
    """Save a tiny model of this kind, its config and a real tokenizer, as a hub repository does.

    spare: ids that the model has and the tokenizer has not.
    """
    words = tiny.tokenizer()
    if kind in MASKED:
        words.add_special_tokens({k: v for k, v in SPECIAL.items() if v})
        words.bos_token = words.eos_token = None
    if kind in ("llama", GEMMA):
        words.mask_token = None
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(5)
        if kind == GEMMA:
            _gemma(folder, len(words) + spare)
        elif kind in LLADA2:
            _llada2(folder, len(words) + spare)
        elif kind in DITS:
            _dit(folder, kind, len(words) + spare)
        else:
            _network(folder, kind, len(words) + spare)
    words.save_pretrained(folder)
    return folder


def _network(folder: Path, kind: str, size: int) -> None:
    name, values = MASKED.get(kind) or (LIKE[kind][0], CAUSAL)
    suffix = "ForMaskedLM" if kind in MASKED else "ForCausalLM"
    network_class = getattr(transformers, name + suffix)
    if kind in ("llada", "qwen2-bd3lm", "dream"):  # classes whose heads are hidden_size wide
        values = {key: value for key, value in values.items() if key != "head_dim"}
    if kind == NEMOTRON:
        values = {**values, "rope_parameters": NEMOTRON_ROPE}
    config = network_class.config_class(
        vocab_size=size, **{**values, "bos_token_id": None, "eos_token_id": None,
                            "pad_token_id": 1, "cls_token_id": None, "sep_token_id": None},
    )  # fmt: skip
    network = network_class(config)
    for parameter in network.parameters():  # wide enough that answers differ from place to place
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if kind in RENAMED:
        _rename(folder, RENAMED[kind])
    if kind == "llada":
        (folder / "config.json").write_text(json.dumps({**LLADA_CONFIG, "vocab_size": size}))
    else:
        change(folder, **LIKE.get(kind, ("", {}))[1])


def _rename(folder: Path, names: dict[str, str]) -> None:
    def theirs(name: str) -> str:
        for ours, other in names.items():
            name = name.replace(ours, other)
        return name

    state = load_file(folder / "model.safetensors")
    save_file({theirs(name): tensor for name, tensor in state.items()},
              folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip


def llada2_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a checkpoint with LLADA2_CONFIG."""
    config = LLADA2_CONFIG
    wide, head = config["hidden_size"], config["head_dim"]
    heads, pairs = config["num_attention_heads"], config["num_key_value_heads"]
    shapes = {"model.word_embeddings.weight": (size, wide), "model.norm.weight": (wide,),
              "lm_head.weight": (size, wide)}  # fmt: skip

    def perceptron(place: str, inner: int) -> None:
        shapes[f"{place}.gate_proj.weight"] = shapes[f"{place}.up_proj.weight"] = (inner, wide)
        shapes[f"{place}.down_proj.weight"] = (wide, inner)

    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{here}.{norm}.weight"] = (wide,)
        for norm in ("query_layernorm", "key_layernorm"):
            shapes[f"{here}.attention.{norm}.weight"] = (head,)
        shapes[f"{here}.attention.query_key_value.weight"] = ((heads + 2 * pairs) * head, wide)
        shapes[f"{here}.attention.dense.weight"] = (wide, heads * head)
        if layer < config["first_k_dense_replace"]:
            perceptron(f"{here}.mlp", config["intermediate_size"])
            continue
        shapes[f"{here}.mlp.gate.weight"] = (config["num_experts"], wide)
        shapes[f"{here}.mlp.gate.expert_bias"] = (config["num_experts"],)
        for expert in range(config["num_experts"]):
            perceptron(f"{here}.mlp.experts.{expert}", config["moe_intermediate_size"])
        shared = config["num_shared_experts"] * config["moe_intermediate_size"]
        perceptron(f"{here}.mlp.shared_experts", shared)
    return shapes


def _llada2(folder: Path, size: int) -> None:
    state = {}
    for name, shape in llada2_shapes(size).items():
        state[name] = torch.randn(shape) * 0.3 + (1.0 if "norm" in name else 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**LLADA2_CONFIG, "vocab_size": size}))


def _gemma(folder: Path, size: int) -> None:
    """Two kinds of layers, experts, an encoder that reads images: all of it, tiny."""
    text = {
        **CAUSAL, "vocab_size": size, "sliding_window": 8, "num_experts": 4, "top_k_experts": 2,
        "moe_intermediate_size": 16, "global_head_dim": 8, "tie_word_embeddings": True,
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
    }  # fmt: skip
    vision = {"model_type": "gemma4_vision", "hidden_size": 16, "intermediate_size": 16,
              "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
              "head_dim": 8}  # fmt: skip
    network_class = transformers.DiffusionGemmaForBlockDiffusion
    config = network_class.config_class(
        text_config=text, vision_config=vision, canvas_length=24, image_token_id=280
    )
    network_class(config).save_pretrained(folder)


def _dit(folder: Path, kind: str, size: int) -> None:
    network = DiT(size, 32, 2, 16, head=8)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    state = {f"backbone.{name}": tensor for name, tensor in network.state_dict().items()}
    if "gidd" not in kind:
        del state["backbone.logit_bias"]
    state["backbone.rotary_emb.inv_freq"] = torch.ones(4)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**DITS[kind], "vocab_size": size}))


# What z-lab/Qwen3-4B-DFlash-b16 has in its config.json, but for the sizes.
DFLASH = {"architectures": ["DFlashDraftModel"], "model_type": "qwen3", "hidden_act": "silu"}
DFLASH_NAMES = {"encoder.fc.": "fc.", "encoder.output_norm_enc.": "hidden_norm."}
DFLASH_SIZES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings", "block_size",
)  # fmt: skip


def as_dflash(saved: Path, folder: Path, layers: int) -> Path:
    """A draft model that transformers saved, as the hub's DFlash pairs are; layers: its
    target's."""
    config = json.loads((saved / "config.json").read_text())
    state = load_file(saved / "model.safetensors")
    for own, named in DFLASH_NAMES.items():
        state = {name.replace(own, named): value for name, value in state.items()}
    sizes = {key: config[key] for key in DFLASH_SIZES}
    sizes["rope_theta"] = config["rope_parameters"]["rope_theta"]
    own = {"mask_token_id": 0, "target_layer_ids": config["target_layer_ids"]}
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({**DFLASH, **sizes, "num_target_layers": layers, "dflash_config": own})
    )
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


def write_draft_model(folder: Path, target: Path) -> Path:
    """A random draft model of two layers for the model in the folder `target`, as the hub has
    them."""
    config = transformers.AutoConfig.from_pretrained(target)
    draft_config = draft_model_config(config, layers=2, block_size=4, mask_token_id=0)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(6)
        draft_model = transformers.MuseGlimmerAssistantModel(draft_config)
        draft_model.save_pretrained(folder.with_name("saved"))
    return as_dflash(folder.with_name("saved"), folder, config.num_hidden_layers)


def change(folder: Path, **facts: Any) -> None:
    """Rewrite fields of config.json; None takes one away."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **facts}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@cache
def load(kind: str) -> Model:
    """The model of this kind, opened from its folder by `lab.load`."""
    with tempfile.TemporaryDirectory() as folder:
        return lab.load(str(write(Path(folder) / kind, kind)))
