"""LLaDA's own options, and the inference script of javiersgjavi/diffusion-llm through the shell."""

import numpy as np
import pytest
import torch

import lab
from lab import cli
from lab.tasks import examples
from samplers.canvas import Canvas
from samplers.kernels import share
from samplers.noise import Noise, coin
from tests.kit import published, tiny
from tests.kit.laws import check, record

A, B, EOS, MASK, V = 3, 4, 2, 15, 16


def words(probabilities, eos_ids=(EOS,)):
    """A model that says the same at every call: a row of {token: probability} a column."""

    def answer(ids):
        p = torch.full((*ids.shape, V), 1e-9)
        for column, chances in enumerate(probabilities):
            for token, chance in chances.items():
                p[:, column, token] = chance
        return p.log()

    return lab.wrap(tiny.Fake(answer), tiny.card(V, attention="full", eos_ids=eos_ids))


def run(model, columns, **settings):
    result = record("llada", model, template=[[MASK] * columns], steps=columns, **settings)
    check(result)
    return result.trajectories()[0]


# EOS: instruct models were trained on answers padded with it, and say it too early.

ENDING = [{A: 0.4, B: 0.1}, {A: 0.35, EOS: 0.3}, {EOS: 0.9, A: 0.05}]


def test_eos_ends_row_when_it_is_most_confident():
    one = run(words(ENDING), 3)
    assert one.committed_step[-1].tolist() == [2, 3, 1] and one.output == [A, A, EOS]


def test_forbidden_eos_is_never_said():
    one = run(words(ENDING), 3, forbid_eos=True)
    assert one.output == [A, A, A] and EOS not in one.predicted


def test_eos_last_ranks_by_softmax_without_it():
    """Of .4 among .5 and .35 among .65 with an EOS of .3, the second is the surer: .35 of .35."""
    one = run(words(ENDING), 3, eos_last=True)
    assert one.score[0, 1] == pytest.approx(0.35 / (0.35 + 13 * 1e-9), rel=1e-5)
    assert one.score[0, 0] == pytest.approx(0.4 / 0.5, rel=1e-5) and one.score[0, 2] == 0
    assert one.committed_step[-1].tolist() == [2, 1, 3], "EOS last of all"
    assert one.confidence[0, 2] > 0.9, "what the model says is shown as it is"


# Guidance, over the whole path: two calls for one, and the arithmetic of LLaDA's equation 16.


@pytest.mark.parametrize("guidance", [0.5, 3.0])
def test_guidance_pushes_away_from_network_without_its_prompt(guidance):
    model = tiny.networks()["full-absorbing"]
    ids = tiny.prompts([5])[0]
    result = record("llada", model, [ids], gen_length=6, steps=3, guidance=guidance)
    one, mask = result.trajectories()[0], model.card.mask_id
    for before, after in zip(one.tokens[:-1], one.tokens[1:], strict=True):
        tokens, blind = torch.tensor(before[None]).long(), torch.tensor(before[None]).long()
        blind[:, :5] = mask
        plain, free = model.denoise(tokens), model.denoise(blind)
        target = free + (1 + guidance) * (plain - free)
        target = target[0].nan_to_num(nan=-torch.inf).argmax(-1).numpy()  # banned in both: NaN
        fresh = before != after
        assert fresh.sum() == 2 and (after[fresh] == target[fresh]).all()
    assert one.calls.tolist() == [2, 4, 6]


@pytest.mark.parametrize("remasking", ["low_confidence", "random"])
def test_exact_count_rules_keep_this_steps_share(remasking):
    model = tiny.networks()["full-absorbing"]
    settings = {"gen_length": 11, "steps": 4, "remasking": remasking, "block_length": 11}
    result = record("llada", model, tiny.prompts([3, 6]), eos_early_stop=False, **settings)
    for one in result.trajectories():
        quota = [int(share(torch.tensor([11]), 4, step)) for step in range(4)]
        assert one.commits.sum(-1).tolist() == quota == [3, 3, 3, 2]


# The seed: a DistilBERT between [CLS] and [SEP], prediction and remasking with probability s.


def test_inference_script_runs_as_it_was_written(tmp_path):
    file = tmp_path / "run.json"
    script = ["generate", "--sampler", "llada", "--sampling", "greedy", "--gen-length", "50"]
    assert cli.main([*script, "--json", str(file)]) == 0
    (one,) = lab.read(file)
    assert one.settings["params"]["temperature"] == 0.0 and one.writable.sum() == 50
    assert one.text and (len(one.output) == 50 or one.output[-1] in one.card["eos_ids"])


def theirs(network, x, banned, first, last):
    """Greedy predictions [T] of ids [T] by the model itself, between its two fixed tokens."""
    with torch.no_grad():
        logits = network(torch.tensor([[first, *x, last]])).logits[0, 1:-1]
    return logits.index_fill(-1, torch.tensor(banned), -torch.inf).argmax(-1)


def test_seed_generate_is_preset_bernoulli(tmp_path):
    folder, file, steps, length = tmp_path / "network", tmp_path / "run.json", 40, 50
    model = lab.load(str(published.write(folder, "distilbert")))
    script = ["generate", "--model", str(folder), "--sampler", "llada", "--preset", "bernoulli_s"]
    script += ["--sampling", "greedy", "--gen-length", str(length), "--steps", str(steps)]
    assert cli.main([*script, "--seed", "4", "--json", str(file)]) == 0
    (one,) = lab.read(file)
    names = model.tokenizer
    first, last, mask = names.cls_token_id, names.sep_token_id, names.mask_token_id
    noise, masked = Noise(4, [0]), torch.ones(1, length, dtype=torch.bool)
    x, step, calls = torch.full((length,), mask), 0, 0
    ending = torch.tensor([last, names.pad_token_id])
    for step in range(steps):
        stay = torch.full((1, length), (step + 1) / steps, dtype=torch.float64)  # 1 - s
        keep = coin(stay, masked, noise, "remask")[0]
        if keep.any():
            x = torch.where(keep, theirs(model.network, x.tolist(), [first, mask], first, last), x)
            calls += 1
            assert one.tokens[calls].tolist() == x.tolist()
        seen = Canvas(x[None], torch.ones(1, length).bool(), masked, mask, tuple(ending.tolist()))
        masked = seen.masked(x[None], slice(0, length))
        if not masked.any():
            break
    assert len(one.tokens) == calls + 1 and calls < steps, "P(still masked) is the product of s"
    assert not {first, mask} & set(one.tokens[-1]) or one.output[-1] in ending


def test_what_seed_bans_is_banned_and_no_more():
    model = published.load("distilbert")
    names = model.tokenizer
    logits = model.denoise(torch.full((1, 6), names.mask_token_id))
    banned = (logits[0] == -torch.inf).all(0).nonzero().flatten().tolist()
    assert banned == sorted([names.cls_token_id, names.mask_token_id])
    assert {names.sep_token_id, names.pad_token_id} <= set(model.card.eos_ids)
    assert model.card.pad_id is None


@pytest.mark.parametrize("task", ["capitals", "stories"])
def test_shipped_example_fills_beginning_from_end(task):
    (template,) = [e for e in examples(task) if e.startswith("[MASK]") and e[-1] == "."]
    end = template[template.index(" ") :]
    (one,) = lab.run("llada", task, template=template, steps=8, seed=1)
    assert one.writable[0] and not one.writable[-1], "masked positions first, text last"
    assert one.text.endswith(end) and one.text != end
    assert np.isin(one.tokens[-1], [one.card["mask_id"]]).sum() == 0
    if task == "capitals":
        assert one.text == "The capital of Peru is Lima."
