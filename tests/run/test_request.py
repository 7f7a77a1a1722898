"""A request: which value of a parameter counts, and what is said of names that no run knows."""

import numpy as np
import pytest

import lab
from lab.run.plan import plan
from lab.run.request import RunRequest
from samplers import get
from tests.kit import tiny


def values(**arguments):
    return RunRequest("llada2", "capitals", **arguments).values()


def test_own_overrides_shared_overrides_preset_overrides_default():
    preset = "llada2.1_speed"
    stored = get("llada2").presets[preset]
    name = next(name for name, value in stored.items() if isinstance(value, float))
    default = values()[name]
    assert default != stored[name] == values(preset=preset)[name]
    shared, own = 0.125, 0.625
    assert values(preset=preset, shared={name: shared})[name] == shared
    assert values(preset=preset, shared={name: shared}, params={name: own})[name] == own
    assert values(shared={name: shared})[name] == shared
    assert values(params={name: own})[name] == own


def test_unknown_parameter_is_dropped_if_shared_refused_if_own():
    assert "corrector" not in values(shared={"corrector": 3})
    with pytest.raises(ValueError, match="llada2 has no parameter 'corrector'"):
        values(params={"corrector": 3})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("max_new_tokens", "did you mean gen_length?"),
        ("treshold", "did you mean threshold?"),
        ("num_inference_steps", "did you mean steps?"),
        ("prompt", "did you mean prompts?"),
        ("genlength", "did you mean gen_length?"),
        ("device", "seed, rows, first_row, preset, chat_template_kwargs"),
    ],
)
def test_unknown_names_name_one_that_was_meant(name, hint):
    with pytest.raises(ValueError) as error:
        lab.run("llada2", "capitals", "The capital of", **{name: 3})
    message = str(error.value)
    assert message.startswith(f"llada2 has no parameter '{name}'; it has block_length")
    assert "every run takes prompts, template, gen_length" in message and message.endswith(hint)


def test_list_of_whole_numbers_is_one_prompt_of_ids():
    model = tiny.networks()["full-absorbing"]
    (one,) = lab.run("mdlm", model, [60, np.int64(61), 62], gen_length=2, steps=1)
    (same,) = lab.run("mdlm", model, [[60, 61, 62]], gen_length=2, steps=1)
    assert one.same_tokens(same) and one.tokens[0, :3].tolist() == [60, 61, 62]
    (filled,) = lab.run("mdlm", model, template=[60, model.card.mask_id, 62], steps=1)
    assert filled.writable.tolist() == [False, True, False]


def test_values_are_bound_and_prompts_encoded_once(monkeypatch):
    model = tiny.networks()["full-absorbing"]
    sampler, bound, encoded = get("mdlm"), [], []
    bind, tokenizer = type(sampler).bind, type(model.tokenizer).__call__
    monkeypatch.setattr(type(sampler), "bind", lambda s, v=None: bound.append(v) or bind(s, v))
    monkeypatch.setattr(type(model.tokenizer), "__call__",
                        lambda *a, **k: encoded.append(a) or tokenizer(*a, **k))  # fmt: skip
    lab.run("mdlm", model, ["One day", "Once"], gen_length=2, steps=1)
    assert len(bound) == 1 and len(encoded) == 2


def test_block_longer_than_what_is_generated_is_one_block():
    run_plan = plan(
        RunRequest("llada2", "capitals", "The capital of", params={"block_length": 512})
    )
    assert len(run_plan.canvas.blocks()) == 1


@pytest.mark.parametrize("prompts", ["", None])
def test_without_prompt_row_begins_with_start_token(prompts):
    model = tiny.networks()["full-absorbing"]
    (one,) = lab.run("mdlm", model, prompts, gen_length=3, steps=1)
    bos = model.card.bos_id
    assert one.tokens[0].tolist() == [*([] if bos is None else [bos]), *[model.card.mask_id] * 3]
