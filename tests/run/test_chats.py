"""Chats: one or a batch, what their template takes besides, and what is cut off the answer."""

from copy import copy, deepcopy

import numpy as np
import pytest

import lab
from lab.run.prompts import output
from tests.kit import tiny
from tests.kit.laws import record

CHAT = [{"role": "user", "content": "What is the capital of Peru?"}]
LONG = [*CHAT, {"role": "assistant", "content": "Lima"}, {"role": "user", "content": "And?"}]
THINK = {"enable_thinking": False}


def thinking():
    """A tiny model whose chat template opens an empty thought where thinking is switched off."""
    model = copy(tiny.networks()["full-absorbing"])
    model.tokenizer = deepcopy(model.tokenizer)
    model.tokenizer.chat_template = (
        tiny.CHAT + "{% if enable_thinking is false %}<think></think>{% endif %}"
    )
    return model


def start_of(one):
    return one.tokens[0, ~one.writable].tolist()


@pytest.mark.parametrize("options", [None, THINK, {**THINK, "add_generation_prompt": False}])
@pytest.mark.parametrize("chats", [CHAT, [CHAT], [CHAT, LONG]])
def test_chats_in_batch_equal_chats_alone(chats, options):
    model = thinking()
    extra = {} if options is None else {"chat_template_kwargs": options}
    runs = record("llada", model, chats, gen_length=4, steps=2, **extra).trajectories()
    batch = [chats] if isinstance(chats[0], dict) else chats
    assert len(runs) == len(batch)
    for chat, one in zip(batch, runs, strict=True):
        expected = {"add_generation_prompt": True, **(options or {})}
        ids = model.tokenizer.apply_chat_template(chat, **expected).input_ids
        assert start_of(one) == ids and one.writable.sum() == 4
        assert (
            one.settings.get("chat_template_kwargs") == options and one.settings["prompt"] == chat
        )
        thought = "<think></think>" in model.tokenizer.decode(ids)
        assert thought == (options is not None)


def test_chat_template_options_tell_runs_apart():
    model, masked = thinking(), [{"role": "user", "content": "Peru: [MASK]*3."}]
    plain, quiet = (
        lab.run("llada", model, template=masked, steps=2, **extra)[0]
        for extra in ({}, {"chat_template_kwargs": THINK})
    )
    assert plain.run_id != quiet.run_id and len(plain.tokens[0]) < len(quiet.tokens[0])
    assert plain.writable.sum() == quiet.writable.sum() == 3


def test_text_that_spells_marker_stays_text_under_options():
    model = thinking()
    chat = [{"role": "user", "content": "a<|eos|>b"}]
    (one,) = lab.run("llada", model, chat, gen_length=2, chat_template_kwargs=THINK)
    assert start_of(one).count(model.tokenizer.eos_token_id) == 1, "the template's own"
    assert "<think></think>" in model.tokenizer.decode(start_of(one))


@pytest.mark.parametrize(
    ("options", "prompts", "reason"),
    [
        ("no", [CHAT], "must be a dict of names"),
        ({"tokenize": True}, [CHAT], "without tokenize"),
        ({"tools": [print]}, [CHAT], "what JSON can hold"),
        ({"x": float("nan")}, [CHAT], "what JSON can hold"),
        ({1: 2}, [CHAT], "a dict of names"),
        (THINK, "plain text", "go with chats .* leave them out"),
        (THINK, [[60, 61]], "go with chats"),
    ],
)
def test_options_are_checked_before_any_work(options, prompts, reason):
    counting = tiny.Counting(tiny.networks()["full-absorbing"])
    with pytest.raises(ValueError, match=reason):
        lab.run("llada", counting, prompts, gen_length=2, chat_template_kwargs=options)
    assert not counting.calls


@pytest.mark.parametrize(
    ("tokens", "writable", "expected"),
    [
        ([9, 2, 5, 6, 2, 7], "..####", [5, 6, 2]),  # an EOS of the prompt ends nothing
        ([9, 5, 6, 7], ".###", [5, 6, 7]),
        (
            [5, 9, 6, 2, 2],
            "#.##.",
            [5, 9, 6, 2],
        ),  # pinned text between masked positions is part of it
        ([5, 2, 6, 2, 7], "#.###", [5, 2, 6, 2]),  # neither does a pinned one
        ([9, 1, 1, 5], ".###", [5]),  # masks that an early end left
        ([9, 9], "..", []),
    ],
)
def test_answer_is_cut_after_its_first_eos(tokens, writable, expected):
    card = tiny.card(12, mask_id=1, eos_ids=(2,))
    marks = np.array([mark == "#" for mark in writable])
    assert output(card, np.array(tokens), marks) == expected
