"""Published families on tiny models of their classes: attention, shift, frame, ids, and runs."""

import pytest
import torch
import transformers
from safetensors.torch import load_file

import lab
import samplers
from lab.models import ModelCard
from lab.models.attention import additive, allowed
from lab.models.card import leaves_one_out
from lab.models.transformers import build, families, family_card
from lab.models.transformers.checkpoint import unshifted
from lab.run.prompts import encode
from tests.kit import published, tiny
from tests.kit.laws import record

KINDS = {
    "bert": "Masked language models",
    "roberta": "Masked language models",
    "distilbert": "Masked language models",
    "modernbert": "Masked language models",
    "LLaDA2.0-mini": "LLaDA2.0",
    "LLaDA2.1-mini": "LLaDA2.1",
    "dream": "Dream",
    "sdar-b8": "SDAR",
    "llada": "LLaDA",
    "qwen3-mdlm": "dLLM conversions (masked diffusion)",
    "qwen2-bd3lm": "dLLM conversions (block diffusion)",
    "mdlm": "MDLM",
    "mdlm-timed": "MDLM",
    "bd3lm": "BD3LM",
    "gidd-p_unif-0.2": "GIDD",
    "duo": "Duo",
    "nemotron": "Nemotron-Labs-Diffusion",
    "diffusion-gemma": "DiffusionGemma",
}
FAMILY = {family.name: family for family in families.FAMILIES}


def close(left, right):
    torch.testing.assert_close(left, right, atol=2e-5, rtol=1e-4)


def settings(family, model):
    """The family's own sampler and preset, in few steps and in blocks that it was trained with."""
    known = {param.name for param in samplers.get(family.sampler).params}
    few = {"steps": 4, "block_length": (model.card.block_lengths or (8,))[-1], "temperature": 1.0}
    return {name: value for name, value in few.items() if name in known}


@pytest.mark.parametrize("kind", KINDS)
def test_family_row_alone_equals_row_in_batch(kind):
    model, family = published.load(kind), FAMILY[KINDS[kind]]
    prompts = ["Once upon a time there was", "One day"]
    how = {**settings(family, model), "gen_length": 8, "preset": family.preset, "seed": 3}
    both = record(family.sampler, model, prompts, **how).trajectories()
    for number, run in enumerate(both):
        alone = record(family.sampler, model, [prompts[number]], first_row=number, **how)
        assert run.same_tokens(alone.trajectories()[0])
        assert not {model.card.mask_id, model.card.pad_id, *model.banned_ids} & set(run.output)
        assert len(run.output) == 8 or run.output[-1] in model.card.eos_ids


def canvas_logits(model, tokens, visible, window, **more):
    card = model.card
    writable = torch.zeros_like(visible)
    canvas = samplers.canvas.Canvas(tokens, writable, visible, card.mask_id)
    lengths = card.block_lengths
    opened = model.open(canvas, lengths[-1] if lengths else None)
    t = torch.full((len(tokens),), 0.4) if card.time_conditioned else None
    return opened(tokens, window=window, t=t, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_pads_are_invisible_and_shift_no_position(kind):
    model = published.load(kind)
    block = (model.card.block_lengths or (8,))[-1]
    ids = tiny.prompts([2 * block])
    alone = canvas_logits(model, torch.tensor(ids), torch.ones(1, 2 * block).bool(),
                          slice(block, 2 * block))  # fmt: skip
    for junk in (77, 140):
        tokens = torch.tensor([[junk] * block + ids[0]])
        visible = torch.ones_like(tokens, dtype=torch.bool)
        visible[:, :block] = False
        close(canvas_logits(model, tokens, visible, slice(2 * block, 3 * block)), alone)


@pytest.mark.parametrize("kind", list(published.MASKED))
def test_masked_network_sees_its_frame_round_canvas(kind):
    model = published.load(kind)
    first, last = model.tokenizer.cls_token_id, model.tokenizer.sep_token_id
    ids = tiny.prompts([40])[0]
    with torch.no_grad():
        plain = model.network(torch.tensor([[first, *ids, last]])).logits[:, 1:-1]
    ours = model.denoise(torch.tensor([ids]))
    banned = [model.card.mask_id, first]
    assert (ours[..., banned] == -torch.inf).all()
    close(ours, plain.index_fill(-1, torch.tensor(banned), -torch.inf))
    window = slice(5, 9)
    close(model.denoise(torch.tensor([ids]), window=window), ours[:, window])


def test_chat_conversion_is_given_no_frame(tmp_path):
    folder = published.write(tmp_path / "network", "modernbert")
    model = build.build(folder, "dllm-hub/ModernBERT-base-chat-v0.1")
    assert model.frame is None
    ids = tiny.prompts([20])[0]
    with torch.no_grad():
        plain = model.network(torch.tensor([ids])).logits
    close(model.denoise(torch.tensor([ids])), banned(model, plain))
    assert lab.run("llada", model, "Once", gen_length=4, steps=2, block_length=4)[0].text


def test_modernbert_reads_no_further_than_its_layers_reach():
    network = published.load("modernbert").network
    assert network.config.layer_types.count("sliding_attention") == 1
    assert network.config.sliding_window == 4, "the test above is longer than what these layers see"


def test_text_is_never_read_as_frame():
    model = published.load("bert")
    ids = encode(model, "[CLS] [MASK] [SEP]")
    assert not {model.tokenizer.cls_token_id, model.card.mask_id} & set(ids)
    (run,) = lab.run("max_prob", model, template="The [MASK]*3 sea.", seed=1)
    assert run.writable.sum() == 3 and run.text


def manual(network, ids, order="full", block=None):
    columns = torch.arange(len(ids))
    mask = allowed(torch.ones(1, len(ids)).bool(), order, block, columns, columns)
    with torch.no_grad():
        return network(torch.tensor([ids]), attention_mask=additive(mask)).logits


def banned(model, logits):
    ids = {model.card.mask_id, model.card.pad_id} - {None}
    return logits.index_fill(-1, torch.tensor(sorted(ids)), -torch.inf)


def test_dreams_shift_is_undone():
    model = published.load("dream")
    ids = tiny.prompts([12])[0]
    out = manual(model.network, ids)
    expected = banned(model, torch.cat([out[:, :1], out[:, :-1]], 1))
    close(model.denoise(torch.tensor([ids])), expected)
    for window in (slice(0, 1), slice(3, 7), slice(11, 12)):
        close(model.denoise(torch.tensor([ids]), window=window), expected[:, window])
    padded = torch.tensor([[77, 77, 77, *ids]])
    visible = torch.ones_like(padded, dtype=torch.bool)
    visible[:, :3] = False
    close(canvas_logits(model, padded, visible, slice(3, 15)), expected)


def test_unshifted_moves_by_one_within_each_row():
    outputs = torch.arange(4.0)[None, :, None].expand(2, 4, 1)
    visible = torch.tensor([[True] * 4, [False, False, True, True]])
    moved = unshifted(outputs, visible, slice(0, 4))[..., 0].tolist()
    assert moved[0] == [0, 0, 1, 2] and moved[1][2:] == [2, 2]
    assert unshifted(outputs[:, 1:], visible, slice(2, 4))[0, :, 0].tolist() == [1, 2]


def test_llada_tensors_are_lamas_under_other_names(tmp_path):
    model = published.load("llada")
    assert type(model.network).__name__ == "LlamaForCausalLM"
    ids = tiny.prompts([9])[0]
    other = published.write(tmp_path / "network", "llada")
    state = load_file(other / "model.safetensors")
    assert "model.transformer.blocks.2.attn_out.weight" in state
    close(model.network.model.layers[2].self_attn.o_proj.weight.detach(),
          state["model.transformer.blocks.2.attn_out.weight"])  # fmt: skip
    close(model.denoise(torch.tensor([ids])), banned(model, manual(model.network, ids)))


def test_sdar_sees_whole_blocks_and_no_later_ones():
    model = published.load("sdar-b8")
    assert model.card.block_lengths == (8,)
    ids = tiny.prompts([24])[0]
    close(
        model.denoise(torch.tensor([ids])),
        banned(model, manual(model.network, ids, "block_causal", 8)),
    )


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_autoregressive_network_says_what_greedy_decoding_says(kind, tmp_path):
    model = lab.load(str(published.write(tmp_path / kind, kind)))
    ids = list(tiny.prompts([5])[0])
    if kind == "llama":
        assert model.card.mask_id == model.network.config.vocab_size, (
            "an id that the model never sees"
        )
    (run,) = lab.run("autoregressive", model, [ids], gen_length=6, temperature=0.0)
    said = []
    for _ in range(len(run.output)):
        with torch.no_grad():
            logits = model.network(torch.tensor([ids + said])).logits[0, -1]
        logits[[i for i in (model.card.mask_id, model.card.pad_id) if i < len(logits)]] = -torch.inf
        said.append(int(logits.argmax()))
    assert list(run.output) == said


def test_ids_without_text_are_never_said(tmp_path):
    folder = published.write(tmp_path / "network", "qwen3-mdlm", spare=7)
    model = lab.load(str(folder))
    size = len(model.tokenizer)
    assert model.card.vocab_size == size + 7 and model.banned_ids == tuple(range(size, size + 7))
    logits = model.denoise(torch.tensor(tiny.prompts([6])))
    assert (logits[..., size:] == -torch.inf).all()


def test_pad_that_ends_texts_stays_sayable():
    words = tiny.tokenizer()
    words.pad_token = words.eos_token
    card = family_card.card_of(FAMILY["Dream"], {"vocab_size": 290}, words, "dream")
    assert card.pad_id is None and card.eos_ids == (words.eos_token_id,)


def test_published_ids_hold_where_tokenizer_names_none():
    words = tiny.tokenizer()
    words.mask_token = None
    words.get_vocab = dict
    config = {"vocab_size": 157184, "max_position_embeddings": 32768, "eos_token_id": 156892}
    card = family_card.card_of(FAMILY["LLaDA2.0"], config, words, "x/LLaDA2.0-mini")
    assert card.mask_id == 156895 and 156892 in card.eos_ids and card.block_lengths == (32,)
    llada = family_card.card_of(FAMILY["LLaDA"], {"vocab_size": 126464}, words, "x")
    assert llada.mask_id == 126336 and {126081, 126348} <= set(llada.eos_ids)
    dream = {"vocab_size": 152064, "mask_token_id": 151666, "max_position_embeddings": 131072}
    card = family_card.card_of(FAMILY["Dream"], dream, words, "x")
    assert (card.mask_id, card.context) == (151666, 2048) and 151643 in card.eos_ids
    sdar = family_card.card_of(
        FAMILY["SDAR"], {"vocab_size": 151936}, words, "JetLM/SDAR-1.7B-Chat-b64"
    )
    assert sdar.mask_id == 151669 and sdar.block_lengths == (64,)
    nemotron = FAMILY["Nemotron-Labs-Diffusion"]
    card = family_card.card_of(nemotron, {"vocab_size": 131072}, words, "x")
    assert (card.mask_id, card.joint_length) == (100, 32) and 11 in card.eos_ids
    gidd = family_card.card_of(
        FAMILY["GIDD"], {"vocab_size": 50259}, words, "gidd-small-p_unif-0.2"
    )
    assert (gidd.mask_id, gidd.p_uniform, gidd.posterior) == (50258, 0.2, "loo")


def test_nemotron_drafts_in_blocks_and_reads_causally(tmp_path):
    """Both as its card says: a block sees itself, and output i is of position i there."""
    model, kind = published.load(published.NEMOTRON), published.NEMOTRON
    assert type(model.network).__name__ == "Ministral3ForCausalLM"
    assert (model.card.attention, model.card.joint_length, model.card.mask_id) == ("causal", 6, 0)
    rope = model.network.config.rope_parameters
    assert {key: rope[key] for key in published.NEMOTRON_ROPE} == published.NEMOTRON_ROPE
    state = load_file(published.write(tmp_path / "network", kind) / "model.safetensors")
    assert "encoder.layers.2.self_attn.o_proj.weight" in state
    close(model.network.lm_head.weight.detach(), state["diffusion_head.weight"])
    ids = tiny.prompts([20])[0]
    ids[13:16] = [0] * 3
    causal = banned(model, manual(model.network, ids, "causal"))
    line = torch.tensor([ids])
    close(model.denoise(line, window=slice(12, 18)), causal[:, 11:17])
    seen = torch.ones_like(line, dtype=torch.bool)
    block = canvas_logits(model, line, seen, slice(12, 16), block_mode=True)
    columns = torch.arange(16)
    mask = (columns <= columns[:, None]) | (columns[:, None] >= 12)
    with torch.no_grad():
        out = model.network(line[:, :16], attention_mask=additive(mask[None, None])).logits
    close(block, banned(model, out[:, 12:]))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nemotron_writes_what_its_causal_mode_writes(temperature):
    model = published.load(published.NEMOTRON)
    how = {"gen_length": 10, "seed": 2, "temperature": temperature}
    runs = [lab.run(name, model, "One day", **how)[0]
            for name in ("self_speculation", "autoregressive")]  # fmt: skip
    assert runs[0].output == runs[1].output


@pytest.mark.parametrize("size", [1, 0, "32", None, True])
def test_block_size_that_is_none_is_refused(size):
    config = {"vocab_size": 131072, "block_size": size}
    with pytest.raises(ValueError, match=r"block_size in config.json of x must be .* at least 2"):
        family_card.card_of(FAMILY["Nemotron-Labs-Diffusion"], config, tiny.tokenizer(), "x")


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_what_family_says_fits_registry_and_itself(family):
    sampler = samplers.get(family.sampler)
    assert family.preset is None or family.preset in sampler.presets
    card = ModelCard(
        family.name, 9, attention=family.attention, corruption=family.corruption,
        posterior=family.posterior, time_conditioned=family.time_conditioned,
        draft_length=16 if sampler.needs.draft else None, joint_length=family.joint_length,
        leave_one_out=leaves_one_out(family),
    )  # fmt: skip
    for other in (sampler, *map(samplers.get, family.also)):
        assert other.misfit(card) is None
    assert family.status in families.STATUSES
    assert (family.adapter == "draft_model") == bool(family.targets) == sampler.needs.draft
    assert set(family.targets) <= set(family.ids)
    assert family.adapter != "remote" or family.status == families.WRITTEN
    for name in family.stock.values():
        assert issubclass(build.stock_class(name), transformers.PreTrainedModel)
    for kind in family.model_types or ("",):
        name = next((n for n in family.ids), "")
        known = {"model_type": kind}
        if family.architecture:
            known["architectures"] = [
                {"Masked language models": "ElectraForMaskedLM", "LLaDA": "LLaDAModelLM",
                 "LLaDA-MoE": "LLaDAMoEModelLM",
                 "GIDD": "GiddForMaskedDiffusionLM", "DFlash draft models": "DFlashDraftModel",
                 "Causal language models": "GemmaForCausalLM"}[family.name]
            ]  # fmt: skip
        assert families.recognise(known, name) is family


@pytest.mark.parametrize("config", [{}, {"model_type": "t5"}, {"architectures": []}])
def test_unknown_network_names_known_families(config):
    with pytest.raises(ValueError, match=r"does not support .*SDAR.*lab\.wrap takes any other"):
        families.recognise(config, "some/model")


def test_time_is_given_as_family_was_trained():
    """MDLM and Duo see sigma = -log(1 - (1 - eps) t), GIDD the time itself."""
    takes_sigma = {kind: published.load(kind).sigma for kind in ("mdlm", "duo", "gidd-p_unif-0.2")}
    assert takes_sigma == {"mdlm": True, "duo": True, "gidd-p_unif-0.2": False}
    assert published.load("duo").card.mask_id is None
