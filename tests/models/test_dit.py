"""The DiT of MDLM, BD3LM and GIDD: its tensors' names and shapes, and its arithmetic by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import lab
from lab.models.transformers.dit import DiT, Time, from_state, turned
from tests.kit import published, tiny

# The published small size: 12 blocks of 768, conditioning 128, GPT-2 and a mask.
WIDTH, CONDITION, VOCABULARY = 768, 128, 50258
BLOCK = {
    "norm1.weight": (WIDTH,),
    "attn_qkv.weight": (3 * WIDTH, WIDTH),
    "attn_out.weight": (WIDTH, WIDTH),
    "norm2.weight": (WIDTH,),
    "mlp.0.weight": (4 * WIDTH, WIDTH),
    "mlp.0.bias": (4 * WIDTH,),
    "mlp.2.weight": (WIDTH, 4 * WIDTH),
    "mlp.2.bias": (WIDTH,),
    "adaLN_modulation.weight": (6 * WIDTH, CONDITION),
    "adaLN_modulation.bias": (6 * WIDTH,),
}
WHOLE = {
    "vocab_embed.embedding": (VOCABULARY, WIDTH),
    "sigma_map.mlp.0.weight": (CONDITION, 256),
    "sigma_map.mlp.0.bias": (CONDITION,),
    "sigma_map.mlp.2.weight": (CONDITION, CONDITION),
    "sigma_map.mlp.2.bias": (CONDITION,),
    "output_layer.norm_final.weight": (WIDTH,),
    "output_layer.linear.weight": (VOCABULARY, WIDTH),
    "output_layer.linear.bias": (VOCABULARY,),
    "output_layer.adaLN_modulation.weight": (2 * WIDTH, CONDITION),
    "output_layer.adaLN_modulation.bias": (2 * WIDTH,),
    **{f"blocks.{i}.{name}": shape for i in range(12) for name, shape in BLOCK.items()},
}


def test_names_and_shapes_are_published_ones():
    with torch.device("meta"):
        network = DiT(VOCABULARY, WIDTH, 12, CONDITION)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes.pop("logit_bias") == (1, 1, 1)
    assert shapes == WHOLE
    count = sum(math.prod(shape) for shape in WHOLE.values())
    assert 169e6 < count < 171e6, "the card says 170 million"


@pytest.fixture
def state():
    torch.manual_seed(2)
    network = DiT(40, 32, 2, 16, head=8)
    return {name: torch.randn_like(tensor) * 0.3 for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "backbone.", "model.backbone."])
def test_sizes_are_read_from_tensors(state, prefix):
    named = {prefix + name: tensor for name, tensor in state.items()}
    named[prefix + "rotary_emb.inv_freq"] = torch.ones(4)
    network = from_state(named)
    assert network.head == 8 and len(network.blocks) == 2
    assert torch.equal(
        network.state_dict()["blocks.1.attn_qkv.weight"], state["blocks.1.attn_qkv.weight"]
    )
    gidd = {**state, "rotary_emb.cos_cached": torch.ones(1, 9, 3, 1, 16)}
    assert from_state(gidd).head == 16
    noise = {**state, "sampling_eps_min": torch.tensor(1e-3), "rotary_emb.inv_freq": torch.ones(4)}
    del noise["logit_bias"]
    assert float(from_state(noise).logit_bias) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pop("blocks.1.mlp.0.bias"), r"blocks\.1\.mlp\.0\.bias do not fit"),
        (lambda s: s.update({"blocks.0.extra": torch.ones(1)}), r"blocks\.0\.extra do not fit"),
        (lambda s: s.update({"output_layer.linear.bias": torch.ones(3)}), r"linear\.bias do not"),
        (lambda s: s.pop("sigma_map.mlp.2.weight"), r"no sigma_map: a DiT without adaLN"),
        (
            lambda s: s.pop("vocab_embed.embedding"),
            r"is not a DiT checkpoint: its weights have no vocab_embed",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(state, change, reason):
    change(state)
    with pytest.raises(ValueError, match=reason):
        from_state(state)


def by_hand(s, tokens, level, head):
    """The published forward pass, one position and one head at a time (full attention)."""
    half = torch.arange(128) / 128
    wave = level * torch.exp(-math.log(10_000) * half)
    c = torch.cat([wave.cos(), wave.sin()]) @ s["sigma_map.mlp.0.weight"].T
    c = F.silu(c + s["sigma_map.mlp.0.bias"]) @ s["sigma_map.mlp.2.weight"].T
    c = F.silu(c + s["sigma_map.mlp.2.bias"])
    x = s["vocab_embed.embedding"][tokens]
    rate = 10_000 ** (-torch.arange(0, head, 2) / head)
    angle = (torch.arange(len(tokens))[:, None] * rate).repeat(1, 2)

    def rotate(v):
        left, right = v[:, : head // 2], v[:, head // 2 :]
        return v * angle.cos() + torch.cat([-right, left], -1) * angle.sin()

    for i in range(2):
        part = {name: s[f"blocks.{i}.{name}"] for name in BLOCK}
        m = (part["adaLN_modulation.weight"] @ c + part["adaLN_modulation.bias"]).chunk(6)
        y = F.layer_norm(x, x.shape[-1:]) * part["norm1.weight"] * (1 + m[1]) + m[0]
        q, k, v = (y @ part["attn_qkv.weight"].T).chunk(3, -1)
        seen = []
        for h in range(x.shape[-1] // head):
            here = slice(h * head, (h + 1) * head)
            score = rotate(q[:, here]) @ rotate(k[:, here]).T / math.sqrt(head)
            seen.append(score.softmax(-1) @ v[:, here])
        x = x + m[2] * (torch.cat(seen, -1) @ part["attn_out.weight"].T)
        y = F.layer_norm(x, x.shape[-1:]) * part["norm2.weight"] * (1 + m[4]) + m[3]
        y = F.gelu(y @ part["mlp.0.weight"].T + part["mlp.0.bias"], approximate="tanh")
        x = x + m[5] * (y @ part["mlp.2.weight"].T + part["mlp.2.bias"])
    name = "output_layer.adaLN_modulation"
    shift, scale = (s[f"{name}.weight"] @ c + s[f"{name}.bias"]).chunk(2)
    y = F.layer_norm(x, x.shape[-1:]) * s["output_layer.norm_final.weight"] * (1 + scale) + shift
    out = y @ s["output_layer.linear.weight"].T + s["output_layer.linear.bias"]
    out[torch.arange(len(tokens)), tokens] += s["logit_bias"].flatten()
    return out


@pytest.mark.parametrize("level", [0.0, 0.7, 5.0])
def test_arithmetic_is_published_one(state, level):
    state["rotary_emb.inv_freq"] = torch.ones(4)
    tokens = torch.tensor([3, 39, 3, 0, 17, 8])
    network = from_state(state).eval()
    mask = torch.ones(1, 1, 6, 6, dtype=torch.bool)
    with torch.no_grad():
        ours = network(
            tokens[None], torch.tensor([level]), mask, torch.arange(6)[None], slice(1, 5)
        )
    torch.testing.assert_close(ours[0], by_hand(state, tokens, level, 8)[1:5], atol=1e-4, rtol=1e-4)


def test_positions_only_turn():
    x = torch.randn(1, 2, 3, 8, generator=torch.Generator().manual_seed(0))
    angle = torch.full((1, 1, 3, 4), 0.3)
    torch.testing.assert_close(turned(x, angle).norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned(x, angle * 0), x)


def test_time_is_heard_where_network_was_trained_with_it():
    ids = torch.tensor(tiny.prompts([8]))
    timed, deaf = published.load("mdlm-timed"), published.load("mdlm")
    early, late = (timed.denoise(ids, t=torch.tensor([t])) for t in (0.2, 0.9))
    assert (early - late).nan_to_num(neginf=0).abs().max() > 0.01
    assert torch.equal(*(deaf.denoise(ids, t=torch.tensor([t])) for t in (0.2, 0.9)))
    with pytest.raises(ValueError, match=r"is time-conditioned: denoise needs t"):
        timed.denoise(ids)
    levels = []
    gidd = published.load("gidd-p_unif-0.2")
    for model in (timed, gidd):
        handle = model.network.sigma_map.register_forward_pre_hook(
            lambda module, inputs: levels.append(float(inputs[0][0]))
        )
        model.denoise(ids, t=torch.tensor([0.5]))
        handle.remove()
    assert levels[0] == pytest.approx(-math.log(1 - 0.999 * 0.5)) and levels[1] == 0.5
    assert isinstance(gidd.network.sigma_map, Time)


def test_block_sees_what_is_left_of_it_and_nothing_right():
    model = published.load("bd3lm")
    ids = torch.tensor(tiny.prompts([12]))
    other = ids.clone()
    other[:, 8:] = 99
    first = model.denoise(ids, window=slice(4, 8))
    assert torch.equal(model.denoise(other, window=slice(4, 8)), first)
    inside = ids.clone()
    inside[:, 7] = 120
    within = model.denoise(inside, window=slice(4, 8))[:, 0]
    assert not torch.equal(within, first[:, 0]), "a block's first column sees its last"
    other[:, 0] = 99
    assert not torch.equal(model.denoise(other, window=slice(4, 8)), first)


def test_shards_are_read_together(tmp_path):
    folder = published.write(tmp_path / "network", "mdlm")
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    (folder / "model.safetensors").unlink()
    for part in range(2):
        save_file(
            {name: state[name] for name in names[part::2]}, folder / f"model-{part}.safetensors"
        )
    ids = torch.tensor(tiny.prompts([8]))
    assert torch.equal(lab.load(str(folder)).denoise(ids), published.load("mdlm").denoise(ids))
