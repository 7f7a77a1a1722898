"""The shipped tables: what is in them, and their tokenizers."""

import pickle

import pytest
import torch

import samplers
from lab.models.exact.shipped import SHIPPED
from lab.models.exact.table import Table
from lab.study.enumeration import canvas_of
from lab.tasks import TASKS
from samplers.canvas import Canvas
from samplers.noise import Noise

MODELS = {name: make() for name, make in SHIPPED.items()}
TABLES = [name for name, model in MODELS.items() if isinstance(model, Table)]


def encode(tokenizer, text):
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


@pytest.mark.parametrize("name", SHIPPED)
def test_cards(name):
    model = MODELS[name]
    task, _, kind = name.partition("-")
    card, causal = model.card, kind == "causal"
    noise = "" if causal else kind
    assert (card.name, card.task) == (name, task)
    assert card.attention == ("causal" if causal else "any")
    assert card.draft_length == card.joint_length == (4 if causal else None)
    assert card.corruption == (noise or "absorbing")
    assert card.p_uniform == (0.1 if noise else 0.0)
    assert card.vocab_size == card.mask_id + 1 == len(model.tokenizer)
    assert model.tokenizer.mask_token_id == card.mask_id
    eos = model.tokenizer.eos_token_id
    assert card.eos_ids == (() if eos is None else (eos,))
    assert set(card.eos_ids) | {card.mask_id} == set(model.tokenizer.all_special_ids)


@pytest.mark.parametrize("name", TABLES)
def test_every_sequence_comes_back_from_text(name):
    model = MODELS[name]
    for row in model.sequences.tolist():
        text = model.tokenizer.decode(row, skip_special_tokens=True)
        ids = encode(model.tokenizer, text)
        assert ids == [i for i in row if i not in model.card.eos_ids]
    if "capitals" in name:
        assert model.tokenizer.decode(ids, skip_special_tokens=True).endswith(" is Harare.")


def test_tokenizer_reads_what_people_type():
    words, digits = MODELS["capitals"].tokenizer, MODELS["sudoku4"].tokenizer
    assert words.decode(encode(words, " The capital  of\nFrance is Paris.")) == (
        "The capital of France is Paris."
    )
    assert encode(words, "Sa\u0303o Tome\u0301") == encode(words, "São Tomé")
    assert encode(digits, "12 34\n34 12") == encode(digits, "1 2 3 4 3 4 1 2")
    assert encode(words, "") == []
    assert pickle.loads(pickle.dumps(words))("Paris").input_ids == encode(words, "Paris")


@pytest.mark.parametrize("text", ["The <mask>", "<eos>", "The<mask>", "Paris <mask> ."])
@pytest.mark.parametrize("split", [True, False])
def test_text_is_never_read_as_special_token(text, split):
    tokenizer = MODELS["capitals"].tokenizer
    with pytest.raises(ValueError, match="words this model knows"):
        tokenizer(text, add_special_tokens=False, split_special_tokens=split)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("capitals", "The capital of france", "got 'france'; did you mean 'France'"),
        ("capitals", "Paris, Lyon", "got ','"),
        ("capitals", "\x00", "words this model knows"),
        ("capitals", "x" * 999, "got 'x{37}...'"),
        ("sudoku4", "1 2 5", "got '5'; it has 1 2 3 4"),
    ],
)
def test_unknown_word_is_named(name, text, message):
    with pytest.raises(ValueError, match=message):
        encode(MODELS[name].tokenizer, text)


@pytest.mark.parametrize("name", TABLES)
def test_prompt_leaves_only_what_is_true(name):
    """A sentence up to "is" leaves its capital; a grid less its last line leaves that line."""
    model = MODELS[name]
    row = model.sequences[57:58]
    known = 5 if "capitals" in name else 12
    tokens = row.clone()
    tokens[:, known:] = model.card.mask_id
    writable = tokens == model.card.mask_id
    seen = torch.ones_like(writable)
    canvas = Canvas(tokens, writable, seen, model.card.mask_id, model.card.eos_ids)
    logits = model.open(canvas)(tokens, window=slice(0, model.card.length))
    known = writable if model.card.attention == "causal" else seen  # that one sees no cell itself
    assert torch.equal(logits.argmax(-1)[known], row[known])


def test_false_prompt_still_answers():
    """The floor: a canvas that no sentence allows gives finite logits near those it resembles."""
    model = MODELS["capitals"]
    ids = encode(model.tokenizer, "The capital of France is Rome")
    tokens = torch.tensor([[*ids, *[model.card.mask_id] * (12 - len(ids))]])
    logits = model.denoise(tokens)
    assert torch.isfinite(logits[..., : model.card.mask_id]).all()
    assert model.tokenizer.decode(logits[0, 6].argmax()) == "."


@pytest.mark.parametrize("name", ["capitals", "sudoku4"])
def test_one_token_call_is_always_right_and_two_calls_are_not(name):
    """What the tables are for: the error of parallel decoding, and nothing else, is seen."""
    model, right = MODELS[name], {}
    for sampler, values in (("bd3lm", {}), ("mdlm", {"steps": 2})):
        run = samplers.get(sampler)
        row = [model.card.mask_id] * model.card.length
        canvas = canvas_of(run, model, row, 32, 16)
        *_, last = run(model.open(canvas, 16), canvas, Noise(0, range(32)), **values)
        texts = [[model.tokenizer.decode([i]) for i in row] for row in last.tokens.tolist()]
        right[sampler] = sum(TASKS[name].score(text).value == 1 for text in texts)
    assert right["bd3lm"] == 32 and right["mdlm"] < 24
