"""The judge of written text, and the samples that model cards show."""

import math

import pytest
import torch

import lab
import samplers
from lab.models.judge import judge
from lab.train import card_samples
from tests.kit import tiny


def test_judge_gives_nll_of_what_was_written():
    model = tiny.networks()["causal-absorbing"]
    runs = lab.run("autoregressive", model, ["Once upon", "One day the"], gen_length=6)
    for run, nats in zip(runs, judge(model, runs), strict=True):
        prompt = [model.card.bos_id, *run.tokens[0][~run.writable].tolist()]
        ids = torch.tensor([prompt + list(run.output)])
        with torch.no_grad():
            logits = model.network(input_ids=ids).logits[0]
        logits[:, [model.card.mask_id, model.card.pad_id]] = -torch.inf
        each = logits.log_softmax(1)[:-1].gather(1, ids[0, 1:, None])[:, 0]
        assert nats == pytest.approx(-float(each[len(prompt) - 1 :].mean()), rel=1e-4)


def test_empty_text_has_no_likelihood():
    model = tiny.networks()["causal-absorbing"]
    ended = tiny.changed(model, eos_ids=tuple(range(4, model.card.vocab_size)))
    (run,) = lab.run("autoregressive", ended, "Once upon", gen_length=6)
    assert math.isnan(judge(ended, [run])[0])


def test_judge_that_cannot_judge_is_refused():
    networks = tiny.networks()
    (run,) = lab.run("mdlm", networks["full-absorbing"], "Once upon", gen_length=4, steps=2)
    with pytest.raises(ValueError, match="a judge must be causal, full-absorbing is full"):
        judge(networks["full-absorbing"], [run])
    (other,) = lab.run("mdlm", "capitals", "The capital", steps=2)
    with pytest.raises(ValueError, match="share the run's vocabulary"):
        judge(networks["causal-absorbing"], [other])


def test_samples_show_every_sampler_that_fits(tmp_path, capsys):
    network = tiny.write(tmp_path / "network", "block-absorbing")
    referee = tiny.write(tmp_path / "judge", "causal-absorbing")
    assert card_samples.main([str(network), "--judge", str(referee)]) == 0
    printed = capsys.readouterr().out
    card = lab.load(str(network)).card
    fitting = [s.name for s in samplers.SAMPLERS.values() if s.misfit(card) is None]
    assert len(fitting) >= 3
    assert printed.count("> **") == len(card_samples.PROMPTS) * len(fitting)
    for name in fitting:
        (line,) = (line for line in printed.splitlines() if line.startswith(f"| `{name}` |"))
        calls, nats = (float(part) for part in line.split("|")[2:4])
        assert 1 <= calls <= 64 and nats > 0
    assert card_samples.main([str(network), "--judge", str(network)]) == 2
    assert "a judge must be causal" in capsys.readouterr().err
