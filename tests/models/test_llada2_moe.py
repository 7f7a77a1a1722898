"""LLaDA2's mixture of experts: published names and shapes, and its numbers worked out by hand."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import lab
from lab.models.attention import allowed
from lab.models.transformers import build
from tests.kit import published, tiny
from tests.models.test_families import banned, close

CONFIG = published.LLADA2_CONFIG
KIND = "LLaDA2.0-mini"


def norm(x, weight):
    return weight * x / (x.square().mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]).sqrt()


def perceptron(x, state, place):
    gate, up, down = (state[f"{place}.{n}_proj.weight"] for n in ("gate", "up", "down"))
    return (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T


def turned(x, place):
    """Rotate the first half of the head, as pairs half of it apart; the rest stays as it is."""
    width = int(CONFIG["head_dim"] * CONFIG["partial_rotary_factor"])
    rate = CONFIG["rope_theta"] ** (-torch.arange(0, width, 2) / width)
    cos, sin = (place * rate).cos(), (place * rate).sin()
    left, right = x[: width // 2], x[width // 2 : width]
    return torch.cat([left * cos - right * sin, right * cos + left * sin, x[width:]])


def attend(x, state, here, seen):
    heads, pairs, width = (
        CONFIG[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim")
    )
    parts = (x @ state[f"{here}.query_key_value.weight"].T).unflatten(-1, (-1, width))
    query = norm(parts[:, :heads], state[f"{here}.query_layernorm.weight"])
    key = norm(parts[:, heads : heads + pairs], state[f"{here}.key_layernorm.weight"])
    value, out = parts[:, heads + pairs :], torch.zeros(len(x), heads, width)
    for head in range(heads):
        group = head * pairs // heads
        keys = torch.stack([turned(key[j, group], j) for j in range(len(x))])
        for i in range(len(x)):
            score = keys @ turned(query[i, head], i) / width**0.5
            weight = score.masked_fill(~seen[i], -torch.inf).softmax(-1)
            out[i, head] = weight @ value[:, group]
    return out.flatten(1) @ state[f"{here}.dense.weight"].T


def experts(x, state, here):
    """Groups by their two best experts, then experts; the bias chooses and does not weigh."""
    chance = (x @ state[f"{here}.gate.weight"].T).sigmoid()
    out = perceptron(x, state, f"{here}.shared_experts")
    size = CONFIG["num_experts"] // CONFIG["n_group"]
    for i, row in enumerate(chance):
        choice = (row + state[f"{here}.gate.expert_bias"]).unflatten(0, (-1, size))
        groups = choice.topk(2).values.sum(-1).topk(CONFIG["topk_group"]).indices
        eligible = torch.full_like(choice, -torch.inf)
        eligible[groups] = choice[groups]
        best = eligible.flatten().topk(CONFIG["num_experts_per_tok"]).indices
        share = CONFIG["routed_scaling_factor"] * row[best] / row[best].sum()
        for number, part in zip(best.tolist(), share, strict=True):
            out[i] += part * perceptron(x[i], state, f"{here}.experts.{number}")
    return out


def by_hand(state, ids, seen):
    x = state["model.word_embeddings.weight"][torch.tensor(ids)]
    for layer in range(CONFIG["num_hidden_layers"]):
        here = f"model.layers.{layer}"
        weight = state[f"{here}.input_layernorm.weight"]
        x = x + attend(norm(x, weight), state, f"{here}.attention", seen)
        inner = norm(x, state[f"{here}.post_attention_layernorm.weight"])
        dense = layer < CONFIG["first_k_dense_replace"]
        x = x + (perceptron if dense else experts)(inner, state, f"{here}.mlp")
    return norm(x, state["model.norm.weight"]) @ state["lm_head.weight"].T


def test_it_says_what_published_layers_say(tmp_path):
    folder = published.write(tmp_path / KIND, KIND)
    state, model = load_file(folder / "model.safetensors"), lab.load(str(folder))
    (ids,) = tiny.prompts([40])
    columns = torch.arange(40)
    seen = allowed(torch.ones(1, 40).bool(), "block_causal", 32, columns, columns)[0, 0]
    expected = by_hand(state, ids, seen)
    close(model.denoise(torch.tensor([ids]))[0], banned(model, expected[None])[0])


def test_it_has_published_tensors_and_writes_them_again(tmp_path):
    model = published.load(KIND)
    model.network.save_pretrained(tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    shapes = published.llada2_shapes(model.card.vocab_size)
    assert {name: tuple(tensor.shape) for name, tensor in written.items()} == shapes
    before = load_file(published.write(tmp_path / KIND, KIND) / "model.safetensors")
    assert all(torch.equal(written[name], before[name]) for name in shapes)


def test_it_needs_none_of_code_beside_its_weights(tmp_path):
    folder = published.write(tmp_path / KIND, KIND)
    (folder / "modeling_llada2_moe.py").write_text("raise SystemExit('it ran')")
    model = lab.load(str(folder), trust_remote_code=bool(folder))
    assert type(model.network).__module__ == "lab.models.transformers.llada2_moe"
    (run,) = lab.run("llada2", model, "One day", gen_length=6, block_length=4)
    assert run.output and model.card.block_lengths == (32,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("model.layers.2.mlp.gate.expert_bias"), r"1 tensors are missing"),
        (lambda s: s.pop("model.layers.0.attention.query_key_value.weight"), r"are missing"),
        (
            lambda s: s.update({"model.layers.1.attention.dense.bias": torch.ones(32)}),
            r"1 tensors have no place in it, model\.layers\.1\.self_attn\.o_proj\.bias among them",
        ),
    ],
)
def test_weights_that_are_not_whole_or_hold_more_are_refused(change, said, tmp_path):
    folder = published.write(tmp_path / KIND, KIND)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"do not fit LLaDA2MoeForCausalLM: .*" + said):
        build.build(folder, "inclusionAI/LLaDA2.0-mini")


def test_tokens_that_delete_or_split_are_never_predicted(tmp_path):
    folder = published.write(tmp_path / KIND, KIND)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(
        {**config, "delete_token_id": 20, "split_token_id": 21}))  # fmt: skip
    logits = lab.load(str(folder)).denoise(torch.tensor([[50, 51, 52]]))
    assert (logits[..., 20:22] == -torch.inf).all() and logits[..., 22].isfinite().all()
