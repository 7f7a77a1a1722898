"""A causal model with a draft model: its folder, its caches, and transformers' own decoding
beside it."""

import json
from copy import deepcopy

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

import lab
from lab.models.card import read_card
from lab.models.model import Opened
from lab.models.transformers.draft_model import Drafted, open_draft_model, target_layers
from lab.train.draft_learner import DraftLearner, dflash
from samplers.canvas import Canvas
from tests.kit import published, tiny
from tests.kit.laws import check, record

NET = tiny.DRAFTED
BLOCK = tiny.DRAFT_LENGTH


class Cheating(Drafted):
    """A draft model that knows the text, and errs at every fifth column or so."""

    def __init__(self, model, text, every):
        super().__init__(model.network, model.draft_model, model.card, model.tokenizer)
        self.text, self.every = torch.tensor(text), every

    def _propose(self, context, block):
        columns = len(context) + torch.arange(1, len(block))
        expected = self.text[columns] + (columns % self.every == 0)
        return 9.0 * torch.nn.functional.one_hot(expected, self.card.vocab_size).float()


def generate(model, prompt, length, **more):
    """What transformers' own greedy decoding writes; ids that nobody may say are left out."""
    config = GenerationConfig(
        max_new_tokens=length, do_sample=False, eos_token_id=list(model.card.eos_ids),
        pad_token_id=model.card.pad_id, suppress_tokens=[model.card.mask_id, model.card.pad_id],
        speculation_type="dflash" if more else None,
    )  # fmt: skip
    with torch.no_grad():
        out = model.network.generate(torch.tensor([prompt]), config, **more)
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("prompt", tiny.prompts([1, 5, 30]))
def test_greedy_output_is_transformers_own_and_plain_greedy(prompt):
    model = tiny.networks()[NET]
    expected = generate(model, prompt, 24)
    run = record("dflash", model, [prompt], gen_length=24, temperature=0.0)
    check(run)
    plain = record("autoregressive", model, [prompt], gen_length=24, temperature=0.0)
    assert run.trajectories()[0].output == expected == plain.trajectories()[0].output
    for every in (2, 5, 99):
        cheat = Cheating(model, [*prompt, *expected, *[9] * BLOCK], every)
        fast = record("dflash", cheat, [prompt], gen_length=24, temperature=0.0)
        check(fast)
        assert fast.trajectories()[0].output == expected
        assert fast.frames[-1].calls[0] < run.frames[-1].calls[0]


def test_sampled_output_is_what_autoregressive_draws():
    model = tiny.networks()[NET]
    text = record("autoregressive", model, "One day", gen_length=30, seed=3).trajectories()[0]
    cheat = Cheating(model, [*text.tokens[-1].tolist(), *[9] * BLOCK], 7)
    for draft_model in (model, cheat):
        run = record("dflash", draft_model, "One day", gen_length=30, seed=3)
        check(run)
        assert run.trajectories()[0].output == text.output
    assert run.frames[-1].calls[0] < 16


@pytest.fixture(scope="module")
def agreeing():
    """A pair whose draft model was fitted to half of one text, and that text's prompt."""
    model = tiny.networks()[NET]
    prompt = tiny.prompts([9])[0]
    text = torch.tensor([[*prompt, *generate(model, prompt, 40)]])
    draft_model = open_draft_model_of(model)
    learner = DraftLearner(draft_model, model.network, (model.card.mask_id, model.card.pad_id))
    optimizer = torch.optim.Adam(draft_model.parameters(), lr=3e-3)
    random = torch.Generator().manual_seed(1)
    for _ in range(60):
        loss = learner(dflash(text[:, :30], 0, random, block_length=BLOCK))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(loss.detach()) < 2.0, "the draft model did not learn the text"
    return Drafted(model.network, draft_model, model.card, model.tokenizer), prompt


def open_draft_model_of(model):
    """A copy of its draft model, whose weights may change."""
    return deepcopy(model.draft_model).train()


class Watching(Drafted):
    """Keeps what it drafts."""

    drafts: list

    def _propose(self, context, block):
        logits = super()._propose(context, block)
        self.drafts.append(logits)
        return logits


def test_every_round_equals_transformers_dflash(agreeing):
    pair, prompt = agreeing
    model = Watching(pair.network, pair.draft_model, pair.card, pair.tokenizer)
    model.drafts = []
    run = record("dflash", model, [prompt], gen_length=40, temperature=0.0)
    check(run)
    (one,) = run.trajectories()
    seen, theirs = [], []
    plain = pair.draft_model.forward

    def watched(**named):
        seen.append(named["context_hidden_states"].shape[1])
        out = plain(**named)
        theirs.append(pair.network.lm_head(out.last_hidden_state[0, 1:]))
        return out

    pair.draft_model.forward = watched
    try:
        text = generate(model, prompt, 40, assistant_model=pair.draft_model)
    finally:
        del pair.draft_model.forward
    assert one.output == text == generate(model, prompt, 40)
    pytest.importorskip("transformers", "5.23", reason="drafts otherwise before; texts are equal")
    accepted = one.commits.sum(-1).tolist()
    # A round there reads the features of what the round before kept; the first, of the prompt.
    assert accepted[0] == 1 and seen[0] == len(prompt) and accepted[1 : len(seen)] == seen[1:]
    assert set(seen[1:]) >= {1, BLOCK}, "the draft model agrees always or never"
    assert len(theirs) == len(model.drafts)
    for ours, other in zip(model.drafts, theirs, strict=True):
        assert torch.allclose(ours, other[: len(ours)], atol=1e-4)


def test_draft_is_what_learner_trains(agreeing):
    pair, _ = agreeing
    learner = DraftLearner(pair.draft_model, pair.network, (pair.card.mask_id, pair.card.pad_id))
    tokens = torch.tensor(tiny.prompts([20, 20]))
    mask_id, random = pair.draft_model.config.mask_token_id, torch.Generator().manual_seed(0)
    problem = dflash(tokens, mask_id, random, block_length=BLOCK)
    with torch.no_grad():
        expected = learner.logits(problem)
    for place, anchor in enumerate(problem.anchors.tolist()):
        window = slice(anchor + 1, anchor + BLOCK)
        canvas_tokens = tokens.clone()
        canvas_tokens[:, window] = pair.card.mask_id
        seen = torch.ones_like(tokens, dtype=torch.bool)
        opened = pair.open(Canvas(canvas_tokens, ~seen, seen, pair.card.mask_id))
        answer = opened.draft(canvas_tokens, window=window)
        assert torch.allclose(answer, expected[:, place], atol=1e-4)
        junk = canvas_tokens.clone()
        junk[:, window.stop :] = 77
        assert torch.equal(opened.draft(junk, window=window), answer), "it looked ahead"


def test_what_is_kept_between_calls_is_what_fresh_call_computes(agreeing):
    pair, prompt = agreeing
    compared = {"calls": 0, "drafts": 0}

    class Compared(Opened):
        def __call__(self, tokens, **options):
            answer = super().__call__(tokens, **options)
            fresh = Opened(self.model, self.canvas, caches=False)(tokens, **options)
            assert torch.allclose(answer, fresh, atol=1e-4)
            compared["calls"] += 1
            return answer

        def draft(self, tokens, **options):
            answer = super().draft(tokens, **options)
            fresh = Opened(self.model, self.canvas, caches=False).draft(tokens, **options)
            assert torch.allclose(answer, fresh, atol=1e-4)
            compared["drafts"] += 1
            return answer

    class Model(Drafted):
        def open(self, canvas, block_length=None):
            return Compared(self, canvas, block_length)

    model = Model(pair.network, pair.draft_model, pair.card, pair.tokenizer)
    mask = model.card.mask_id
    template = [*prompt, *[mask] * 9, 60, 61, *[mask] * 7]
    for many in ([template, prompt + [mask] * 5], [prompt[:3] + [mask] * 20]):
        record("dflash", model, template=many, temperature=0.0)
    assert compared["calls"] > 12 and compared["drafts"] > 8


@pytest.mark.parametrize("column", [3, 7, 8, 9])
def test_text_that_changed_since_it_was_read_is_read_again(agreeing, column):
    pair, _ = agreeing
    tokens = torch.tensor(tiny.prompts([14]))
    changed = tokens.clone()
    changed[:, column] += 1
    seen = torch.ones_like(tokens, dtype=torch.bool)
    canvas = Canvas(tokens, ~seen, seen, pair.card.mask_id)
    for name in ("draft", "__call__"):
        held, fresh = pair.open(canvas), Opened(pair, canvas, caches=False)
        held(tokens, window=slice(6, 12))
        window = slice(11, 13)
        answer, expected = (getattr(one, name)(changed, window=window) for one in (held, fresh))
        assert torch.allclose(answer, expected, atol=1e-4), name


def test_row_of_pads_alone_is_no_error(agreeing):
    pair, _ = agreeing
    tokens = torch.tensor(tiny.prompts([8, 8]))
    seen = torch.ones_like(tokens, dtype=torch.bool)
    seen[1, :6] = False
    canvas = Canvas(tokens, seen & False, seen, pair.card.mask_id)
    answer = pair.open(canvas)(tokens, window=slice(4, 6))
    alone = pair.denoise(tokens[:1], window=slice(4, 6))
    assert torch.allclose(answer[0], alone[0], atol=1e-4)
    with pytest.raises(ValueError, match=r"is causal: its canvas needs a first token"):
        pair.open(canvas)(tokens, window=slice(4, 7))


def test_accepted_draft_is_not_read_again(agreeing):
    pair, prompt = agreeing
    read = []
    plain = pair.network.forward

    def watched(*arguments, input_ids, **named):
        read.append(input_ids.shape[1])
        return plain(*arguments, input_ids=input_ids, **named)

    pair.network.forward = watched
    try:
        run = record("dflash", pair, [prompt], gen_length=30, temperature=0.0)
    finally:
        del pair.network.forward
    calls = run.frames[-1].calls[0]
    assert len(read) == calls and read[0] == len(prompt) and max(read[1:]) <= BLOCK


def test_layers_that_draft_model_hears_are_paper():
    assert target_layers(36, 5) == [1, 9, 17, 25, 33]  # Qwen3-4B and -8B
    assert target_layers(28, 3) == [1, 13, 25]
    assert target_layers(36, 1) == [18] and target_layers(5, 1) == [2]
    assert target_layers(4, 2) == [0, 1, 2, 3] and target_layers(6, 5) == list(range(6))


# --- folders


def test_folder_names_its_target_and_has_its_card(tmp_path):
    folder = tiny.write(tmp_path / "pair", NET)
    model = lab.load(str(folder))
    assert isinstance(model, Drafted) and model.card.name == NET
    assert (model.card.draft_length, model.card.attention) == (BLOCK, "causal")
    target = lab.load(str(tmp_path / "target"))
    assert target.card.draft_length is None and target.card.eos_ids == model.card.eos_ids
    tokens = torch.tensor(tiny.prompts([6]))
    window = slice(1, 6)
    ours, theirs = model.denoise(tokens, window=window), target.denoise(tokens, window=window)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_draft_model_without_its_own_target_is_refused(tmp_path):
    folder = tiny.write(tmp_path / "pair", NET)
    facts = json.loads((folder / "lab.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "lab.json").write_text(json.dumps({**facts, "target": {"a" * 60: None}}))
    with pytest.raises(ValueError, match=r"write that folder's name there$"):
        lab.load(str(other))
    (other / "lab.json").write_text(json.dumps({**facts, "target": "gone"}))
    with pytest.raises(ValueError, match=r"goes with gone, which is not beside it; put that model"):
        lab.load(str(other))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "target_layer_ids": [0, 7]}))
    (other / "lab.json").write_text(json.dumps(facts))
    read_card.cache_clear()
    with pytest.raises(ValueError, match=r"was made for another target than target: it reads"):
        lab.load(str(other))
    (other / "model.safetensors").rename(other / "model.bin")
    with pytest.raises(ValueError, match=r"no safetensors weights in other"):
        lab.load(str(other))


def test_pair_of_hub_format_opens_under_its_names_and_shapes(tmp_path):
    folder = tiny.write(tmp_path / "pair", NET)
    mine = lab.load(str(folder))
    hub = published.as_dflash(folder, tmp_path / "hub", layers=2)
    (hub / "lab.json").write_text(json.dumps({"target": "target"}))
    # DFlashDraftModel's own names (z-lab/dflash, model/dflash.py).
    state = load_file(hub / "model.safetensors")
    hidden, heads, width = 32, 4, len(mine.draft_model.config.target_layer_ids)
    assert state["fc.weight"].shape == (hidden, width * hidden)
    assert state["hidden_norm.weight"].shape == state["norm.weight"].shape == (hidden,)
    layer = {name.split(".", 2)[2]: list(value.shape) for name, value in state.items()
             if name.startswith("layers.0.")}  # fmt: skip
    assert layer == {
        "self_attn.q_proj.weight": [heads * 8, hidden],
        "self_attn.k_proj.weight": [2 * 8, hidden],
        "self_attn.v_proj.weight": [2 * 8, hidden],
        "self_attn.o_proj.weight": [hidden, heads * 8],
        "self_attn.q_norm.weight": [8],
        "self_attn.k_norm.weight": [8],
        "mlp.gate_proj.weight": [48, hidden],
        "mlp.up_proj.weight": [48, hidden],
        "mlp.down_proj.weight": [hidden, 48],
        "input_layernorm.weight": [hidden],
        "post_attention_layernorm.weight": [hidden],
    }
    theirs = lab.load(str(hub))
    assert (theirs.card.name, theirs.card.draft_length) == ("hub", BLOCK)
    runs = [record("dflash", one, [[50, 51]], gen_length=20, seed=2) for one in (mine, theirs)]
    assert (runs[0].frames[-1].predicted == runs[1].frames[-1].predicted).all()
    for name, value in mine.draft_model.state_dict().items():
        assert torch.equal(value, theirs.draft_model.state_dict()[name])
    del state["hidden_norm.weight"]
    save_file(state, hub / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"in hub do not fit .* 1 .* encoder\.output_norm_enc"):
        open_draft_model(hub)


def test_tasks_of_tables_serve_dflash():
    assert lab.tasks()["capitals"]["dflash"] == "capitals-causal"
    assert lab.tasks()["sudoku4"]["dflash"] == "sudoku4-causal"
    assert lab.tasks()["capitals"]["autoregressive"] == "capitals"
