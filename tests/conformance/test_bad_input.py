"""Bad input: one message through every door, naming field, rule and way out, before any call."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import lab
from lab.cli import main
from lab.run import limits
from lab.run.plan import plan
from lab.run.request import RunRequest
from tests.kit import tiny
from tests.kit.laws import record

HOSTILE = {
    "template_literal": "${1+1} {{7*7}} #{x} <%= 1 %>",
    "script": "</script><img src=x onerror=alert(1)>",
    "escape": "\\u00 \\x0 %s %n {0}",
    "bidi": "\u202eabc\u2066\u200f",
    "joined": "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301",
    "special": "<|mask|><|eos|><|pad|>[SEP]",
    "blank": " \t\n\r",
}
NO_TEXT = {"nul": "a\0b", "high": "a\ud800", "low": "\udc00b", "long": "x" * 20_001}


def counting(kind="block-absorbing"):
    return tiny.Counting(tiny.networks()[kind])


def refuse(match, sampler="llada2", prompts="Once", model=None, **arguments):
    """Refused by run and stream alike, with one short line, and the model never called."""
    model = model or counting()
    messages = []
    for door in (lab.run, lab.stream):
        with pytest.raises(ValueError, match=match) as caught:
            door(sampler, model, prompts, **arguments)
        messages.append(str(caught.value))
    assert not isinstance(caught.value, (UnicodeError, OverflowError))
    assert messages[0] == messages[1] and "\n" not in messages[0]
    listing = (*lab.models(), *lab.tasks())  # names are as many as there are
    assert (
        len(messages[0]) - sum(f"{name}, " in messages[0] and len(name) + 2 for name in listing)
        < 500
    )
    messages[0].encode()
    assert not getattr(model, "calls", 0)
    return messages[0]


WHOLE = {  # field: (lowest, highest)
    "gen_length": (1, limits.GEN_LENGTH),
    "seed": (0, limits.SEED),
    "rows": (1, limits.ROWS),
    "first_row": (0, limits.FIRST_ROW),
    "steps": (1, 5000),
    "block_length": (1, 1024),
}
NO_NUMBERS = [math.nan, math.inf, -math.inf, "8", "", [8], {}, 1j, 2.5, True, Decimal(3), 10**400,
              10**5000, np.nan, np.array([1, 2]), object()]  # fmt: skip


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: str(type(v).__name__))
@pytest.mark.parametrize("field", WHOLE)
def test_value_that_is_not_whole_number_is_refused(field, value):
    low = WHOLE[field][0]
    message = refuse(rf"{field} must be a whole number from {low} to", **{field: value})
    assert "got" in message


@pytest.mark.parametrize("field", WHOLE)
def test_value_beyond_either_end_is_refused(field):
    low, high = WHOLE[field]
    for value in (low - 1, high + 1):
        refuse(
            rf"{field} must be a whole number from {low} to {high}, got {value}", **{field: value}
        )


@pytest.mark.parametrize("value", [8.0, np.int32(8), np.float64(8), np.uint8(8)])
def test_whole_numbers_of_any_type_are_accepted(value):
    result = plan(RunRequest("llada2", counting(), gen_length=value, seed=value, rows=value,
                params={"steps": value}))  # fmt: skip
    assert result.values["steps"] == result.seed == 8 and type(result.values["steps"]) is int


def test_ends_of_seed_and_first_row_run():
    for seed, first_row in ((0, 0), (limits.SEED, limits.FIRST_ROW)):
        record("llada2", counting(), gen_length=2, rows=2, seed=seed, first_row=first_row)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.01, 1.01, "0.5", True, [0.5], b"1"])
def test_bad_threshold_is_refused_with_way_out(value):
    refuse(r"llada2: threshold must be a number from 0 to 1 \(or None: off\), got .*; leave it out "
           r"for the default 0.95", threshold=value)  # fmt: skip


def test_unknown_names_list_known_ones():
    refuse(r"llada2 has no parameter 'treshold'; it has .*threshold", treshold=0.5)
    refuse(r"no sampler 'llada3'; there are .*llada2", sampler="llada3")
    refuse(r"llada2 has no preset 'fast'; it has llada2.1_quality", preset="fast")
    refuse(r"no model 'storys'; there are .*capitals", model="storys")
    refuse(r"loaded by name or path, got int", model=3)
    refuse(r"nucleus_rule must be one of keep_crossing, drop_crossing", nucleus_rule="top")
    for name in (["llada2.1_quality"], 3, "x" * 10_000):
        refuse(r"llada2 has no preset ", preset=name)
    for name in ("x" * 10_000, "a\0", "\ud800", "\u202e"):
        refuse(r"no sampler '.*there are", sampler=name)
        refuse(r"no model '.*there are", model=name)


@pytest.mark.parametrize("prompts", [3, None, {}, [], [3.5], [[1], "a"], [[-1]], [[290]], [["a"]],
                                     [[1.5]], [[True]], [None], ["a", 3], [{"role": "user"}],
                                     [[{"role": "user", "content": 3}]], b"bytes",
                                     [{"role": 1, "content": "x"}]], ids=str)  # fmt: skip
def test_bad_prompts_are_refused(prompts):
    if prompts is None or prompts == [[1], "a"]:  # None is the empty prompt; kinds may be mixed
        assert lab.run("llada2", counting(), prompts, gen_length=1)
        return
    refuse("prompt|chat turn", prompts=prompts)


@pytest.mark.parametrize("name", NO_TEXT)
def test_text_that_cannot_be_written_out_is_refused(name):
    bad = NO_TEXT[name]
    rule = r"prompt must (not hold NUL or a lone surrogate, got U\+.*; remove it|be at most)"
    for prompts in (bad, ["fine", bad], [{"role": "user", "content": bad}]):
        refuse(rule, prompts=prompts)
    refuse(rule.replace("prompt", "template", 1), prompts="", template=bad + " [MASK]")
    refuse(rule.replace("prompt", "prompt.*"), prompts=[{"role": bad, "content": "x"}])


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("sampler", ["llada2", "bd3lm"])
def test_hostile_text_is_text(name, sampler):
    model, text = counting(), HOSTILE[name]
    chat = [{"role": "user", "content": text}]
    for prompts in (text, [text, "x"], [chat]):
        for one in lab.run(sampler, model, prompts, gen_length=2):
            line = one.tokens[0, ~one.writable].tolist()
            spelled = model.tokenizer.decode(line)
            assert model.card.mask_id not in line and model.card.pad_id not in line
        assert text in spelled or prompts == [text, "x"]
    (one,) = lab.run(sampler, model, template=text + " [MASK]*2")
    assert one.writable.sum() == 2


def test_prompt_beyond_context_is_refused():
    rule = r"prompt \+ gen_length must be at most 256, the context of block-absorbing, got 250 \+ 7"
    message = refuse(rule, prompts=[[50] * 250], gen_length=7)
    assert "shorten the prompt or lower gen_length" in message
    refuse(r"at most 256", prompts="", template="[MASK]*257")
    refuse(r"at most 12, the length of capitals.*leave gen_length out", model=lab.load("capitals"),
           sampler="mdlm", prompts="The capital of", gen_length=10)  # fmt: skip
    refuse(r"gen_length must be a whole number from 1", model=lab.load("sudoku4"), sampler="mdlm",
           prompts="1 " * 16)  # fmt: skip


def test_template_needs_some_masks_and_not_too_many():
    for template in ("", "no masked position", "[MASK]*0", [[50, 51]], "[mask]"):
        refuse(r"a template needs a masked position: write \[MASK\]", prompts="", template=template)
    refuse(r"at most 8192 tokens, got more .*ask for fewer masked positions", prompts="",
           template="[MASK]*99999" * 1500)  # fmt: skip
    for arguments in ({"gen_length": 4}, {"prompts": "x"}):
        refuse(
            r"leave prompts and gen_length out", template="a [MASK]", **{"prompts": "", **arguments}
        )


def test_too_expensive_run_is_refused_before_any_work():
    refuse(r"too expensive: at most .*model calls x columns x rows.*lower", rows=limits.ROWS,
           gen_length=250)  # fmt: skip
    refuse(r"too (expensive|large): at most", prompts=[[50]] * 1000, rows=limits.ROWS)
    refuse(r"too (expensive|large): at most", prompts=[[50]] * 80, rows=2000, gen_length=250)
    assert replace(limits.WORK, most=24).check(2, 3, 4) == 24
    with pytest.raises(ValueError, match=r"at most 23 .*got 2 x 3 x 4 = 24; lower steps"):
        replace(limits.WORK, most=23).check(2, 3, 4)


def test_canvas_beyond_memory_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "CELLS", replace(limits.CELLS, most=1000))
    few = {"gen_length": 19, "block_length": 32, "steps": 1}
    refuse(
        r"this canvas is too large: at most 1,000 .*got 20 x 51 = 1,020; run fewer rows",
        prompts=[[50]],
        rows=51,
        **few,
    )
    assert lab.run("llada2", counting(), [[50]], rows=50, **few)


def test_limits_speak_alike_to_every_caller():
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to 9, got nan"):
        limits.whole("seed", math.nan, 0, 9)
    with pytest.raises(ValueError, match="prompt must be text, got int"):
        limits.text("prompt", 3)
    assert limits.whole("x", 7.0, 0, 9) == 7 and limits.text("x", "\u202e") == "\u202e"
    with pytest.raises(ValueError, match="at most 100000, got 100001; run them in parts"):
        limits.prompts("prompt", [""] * 100_001)


SHELL = [
    (["--steps", "0"], "steps must be a whole number from 1 to 5000, got 0"),
    (["--steps", "nan"], "steps must be a whole number from 1 to 5000, got nan"),
    (["--steps", "2.5"], "steps must be a whole number from 1 to 5000, got 2.5"),
    (["--steps", "many"], "steps must be a whole number from 1 to 5000, got 'many'"),
    (["--steps", "none"], "steps must be a whole number from 1 to 5000, got None"),
    (["--steps", "9" * 400], "steps must be a whole number from 1 to 5000, got 999"),
    (["--steps", "9" * 5000], "steps must be a whole number from 1 to 5000, got"),
    (["--seed", "-1"], "seed must be a whole number from 0 to"),
    (["--seed", "inf"], "seed must be a whole number from 0 to"),
    (["--rows", "0"], "rows must be a whole number from 1 to"),
    (["--gen-length", "1e3"], "prompt + gen_length must be at most 12, the length of capitals"),
    (["--gen-length", "x"], "gen_length must be a whole number from 1 to 8192, got 'x'"),
    (["--temperature", "hot"], "temperature must be a number from 0 to 2, got 'hot'"),
    (["--threshold", "1.5"], "threshold must be a number from 0 to 1"),
    (["--preset", "fast"], "llada2 has no preset 'fast'; it has"),
    (["--prompt", "The capital of Franz"], "'Franz'; did you mean 'France'?"),
    (["--prompt", "a\0b"], "prompt must not hold NUL"),
    (["--prompt", "\ud800"], "prompt must not hold NUL or a lone surrogate, got U+D800"),
    (["--template", "The capital of"], "a template needs a masked position"),
    (["--template", "[MASK]", "--prompt", "The"], "leave prompts and gen_length out"),
    (["--model", "storys"], "no model 'storys'; there are"),
    (["--sampler", "llada3"], "no sampler 'llada3'; there are"),
]


@pytest.mark.parametrize(("flags", "message"), SHELL, ids=lambda x: str(x)[:40])
def test_shell_prints_same_error_and_returns_2(flags, message, capsys):
    base = ["generate", "--model", "capitals", "--sampler", "llada2"]
    assert main([*base, *flags]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1 and "Traceback" not in err


def test_compare_refuses_what_generate_refuses(capsys):
    for flags, message in (
        (["--task", "nope"], "no task 'nope'; there are"),
        (["--task", "capitals", "--samplers", "mdlm,nope"], "no sampler 'nope'; there are"),
        (["--task", "capitals", "--samplers", "mdlm", "--steps", "0"], "steps must be"),
    ):
        assert main(["compare", *flags]) == 2
        out, err = capsys.readouterr()
        assert out == "" and message in err and err.count("\n") == 1


def test_call_beyond_memory_is_refused(monkeypatch):
    model = counting()
    cells = 32 * model.card.vocab_size  # a row's logits in one block
    monkeypatch.setattr(limits, "LOGITS", replace(limits.LOGITS, most=3 * cells))
    few = {"gen_length": 40, "block_length": 32}
    refuse(r"run fewer rows at a time, continuing with first_row", prompts=[[50]], rows=4, **few)
    assert lab.run("llada2", model, [[50]], rows=3, **few)
