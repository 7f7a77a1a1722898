"""The trainer: objectives against exact laws, exact resume, refusals, the files it writes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import lab
from lab.train import bounds, evaluate, gidd, main
from lab.train.data import generator, pack, read_corpus, train_tokenizer, window_length, windows
from lab.train.export import card_fields, export
from lab.train.network import Learner, build
from lab.train.objectives import (
    Problem,
    absorb,
    ar,
    bd3lm,
    block_causal,
    edit,
    hybrid,
    hybrid_noise,
    mdlm,
)
from samplers.schedules import Hybrid
from tests.kit import stories
from tests.kit.stories import STORIES, command, refused

ROOT = Path(__file__).parents[2]
# The reference chain of the exact tests: V = 3, L = 4, entropy 3.50701 nats (samplers.md 3).
FIRST = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
NEXT = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]], dtype=torch.float64)
MASK = 3
X = torch.tensor(list(itertools.product(range(3), repeat=4)))
P = FIRST[X[:, 0]] * NEXT[X[:, 0], X[:, 1]] * NEXT[X[:, 1], X[:, 2]] * NEXT[X[:, 2], X[:, 3]]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(STORIES, 320)


@pytest.fixture(scope="module")
def learner(tokenizer):
    network = build(tokenizer, hidden=32, layers=2, heads=2, intermediate=48, context=64)
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=random))
    return Learner(network, (tokenizer.mask_token_id, tokenizer.pad_token_id)).eval()


@pytest.fixture
def data(tmp_path):
    return stories.write(tmp_path / "stories.jsonl")


# --- data


def test_tokenizer_round_trip_and_specials(tokenizer):
    text = "Zoë’s 猫 said: <|mask|> é\n\t!"
    stream = pack(tokenizer, [text])
    ids = stream.tokens.tolist()
    assert tokenizer.decode(ids[1:-1]) == text
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    specials = {tokenizer.mask_token_id, tokenizer.pad_token_id, ids[0], ids[-1]}
    assert len(specials) == 4
    assert not specials & set(ids[1:-1]), "text was read as a special token"


def test_held_out_split_never_trains(data):
    corpus = read_corpus(str(data))
    assert len(corpus.held_out) == 5
    assert not set(corpus.train) & set(corpus.held_out)
    assert len(corpus.train) + len(corpus.held_out) == len(STORIES)


def test_text_file_holds_out_every_twentieth(tmp_path):
    path = tmp_path / "stories.txt"
    path.write_text("\n\n".join(STORIES), encoding="utf-8")
    corpus = read_corpus(str(path))
    assert corpus.held_out == STORIES[19::20]
    assert set(corpus.train) == set(STORIES) - set(corpus.held_out)


def test_windows_depend_on_the_step_alone(tokenizer):
    stream = pack(tokenizer, STORIES)
    first = windows(stream, 400, 16, generator(0, 7, 2, 0))
    assert torch.equal(first, windows(stream, 400, 16, generator(0, 7, 2, 0)))
    assert not torch.equal(first, windows(stream, 400, 16, generator(0, 8, 2, 0)))
    assert not torch.equal(first, windows(stream, 400, 16, generator(0, 7, 2, 1)))
    at_start = (first[:, 0] == tokenizer.bos_token_id).float().mean()
    assert 0.4 < at_start < 0.65
    drawn = {window_length((16, 32, 64), 0, step) for step in range(40)}
    assert drawn == {16, 32, 64}


# --- objectives


@pytest.mark.parametrize("block_length", [4, 6, 16])
def test_exact_masking_counts(block_length):
    tokens = torch.zeros(200, 16, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(1), block_length=block_length)
    masked = noisy == 1
    assert not masked[:, 0].any()
    for first in range(0, 16, block_length):
        size = min(block_length, 16 - first) - (first == 0)
        part = slice(first, first + block_length)
        count = masked[:, part].sum(1)
        assert count.min() == 1 and count.max() == size
        torch.testing.assert_close(weight[:, part][:, -1], size / count.float())


@pytest.mark.parametrize("masking", ["exact", "independent"])
def test_weights_make_every_token_count_once(masking):
    tokens = torch.zeros(40_000, 8, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(2), block_length=4, masking=masking, low=0.02)
    mean = (weight * (noisy == 1)).mean(0)
    assert mean[0] == 0
    torch.testing.assert_close(mean[1:], torch.ones(7), atol=0.06, rtol=0)


def chain_nll(problem: Problem, block_length: int = 4, context: bool = True) -> float:
    """The loss of `problem`, whose tokens are all 0, when the chain's exact posterior answers.

    The patterns of masks are the problem's own; the tokens under them run over all 81 sequences by
    their chance. The posterior sees the blocks before and the own block's shown tokens, or nothing.
    """
    masked_here = problem.inputs[:, :4] == MASK
    weight = (problem.weight * problem.wanted)[:, :4] / len(masked_here)
    pattern = (masked_here * 2 ** torch.arange(4)).sum(1)
    share = torch.zeros(16, 4, dtype=torch.float64).index_add(0, pattern, weight.double())
    total = 0.0
    for code, column in share.nonzero().tolist():
        known = torch.tensor([not code >> other & 1 for other in range(4)])
        first = column - column % block_length
        known[:first], known[first + block_length :] = True, False
        fits = (X[:, None] == X[None])[:, :, known & context].all(-1) * P  # [81 given, 81]
        right = (fits * (X[:, None, column] == X[None, :, column])).sum(1)
        total += float(share[code, column] * (P * -(right / fits.sum(1)).log()).sum())
    return total


@pytest.mark.parametrize("masking", ["exact", "independent"])
@pytest.mark.parametrize("block_length", [4, 2])
def test_absorbing_objectives_equal_the_entropy(masking, block_length):
    truth = float(-(P * (P / FIRST[X[:, 0]]).log()).sum())
    tokens = torch.zeros(2_000_000, 4, dtype=torch.int64)
    options = {"masking": masking, "low": 1e-3}
    tolerance = 1e-3 if masking == "exact" else 5e-3  # 1/t strays more
    if block_length == 4:
        problem = mdlm(tokens, MASK, generator(4), **options)
    else:
        problem = bd3lm(tokens, MASK, generator(4), block_length=block_length, **options)
    assert chain_nll(problem, block_length) == pytest.approx(truth, abs=tolerance)
    wrong = chain_nll(problem, block_length, context=False)
    assert wrong > truth + 0.5, "a wrong posterior went unseen"


def test_ar_is_the_stock_loss(learner, tokenizer):
    rows = windows(pack(tokenizer, STORIES), 4, 24, generator(8))
    asked = ar(rows, tokenizer.mask_token_id, generator(9))
    plain = Learner(learner.network, ())
    with torch.no_grad():
        stock = learner.network(input_ids=rows, labels=rows).loss
        torch.testing.assert_close(plain(asked), stock)
        half = ar(rows, tokenizer.mask_token_id, generator(9), given=12)
        labels = rows.clone()
        labels[:, :12] = -100
        torch.testing.assert_close(plain(half), learner.network(input_ids=rows, labels=labels).loss)


def test_edit_corrupts_what_is_shown_and_asks_for_all(tokenizer):
    tokens = torch.full((400, 32), 7)
    size = len(tokenizer)
    asked = edit(tokens, 0, generator(6), vocab_size=size, p_uniform=0.2, block_length=8)
    noisy, masked_here = asked.inputs[:, :32], asked.inputs[:, :32] == 0
    assert torch.equal(asked.inputs[:, 32:], tokens), "the context of later blocks must be clean"
    shown = ~masked_here
    shown[:, 0] = False
    share = float((noisy != 7)[shown].float().mean())
    assert share == pytest.approx(0.2 * (size - 2) / (size - 1), abs=0.01)
    assert asked.wanted[:, 1:32].all() and not asked.wanted[:, 0].any()
    assert not asked.wanted[:, 32:].any()
    assert asked.weight[:, :32][shown].unique().tolist() == [0.5]
    whole = (~masked_here).view(400, 4, 8).all(2)[:, 1:].float().mean()
    assert 0.2 < whole < 0.3, "a quarter of the blocks has no masks left, as an editor finds them"
    masked = bd3lm(tokens, 0, generator(6), block_length=8).weight[:, :32]
    assert torch.equal(asked.weight[:, :32][masked_here], masked[masked_here])


def gidd_integral(p_uniform: float, convert: bool) -> float:
    """Integrate GIDD's bound over the chain with exact posteriors, 60 nodes in s (t = sin^2)."""
    z = torch.tensor(list(itertools.product(range(4), repeat=4)))
    low = 2 / numpy.pi * numpy.arcsin(1e-2)
    node, share = numpy.polynomial.legendre.leggauss(60)
    s = low + (1 - 2 * low) * (node + 1) / 2
    total = 0.0
    for unit, part in zip(s, share * (1 - 2 * low) / 2, strict=True):
        t = torch.tensor(numpy.sin(numpy.pi / 2 * unit) ** 2)
        jacobian = numpy.pi / 2 * numpy.sin(numpy.pi * unit)
        alpha, mask, uniform = Hybrid(p_uniform).at(t)
        kernel = torch.zeros(3, 4, dtype=torch.float64) + uniform / 3
        kernel[:, MASK] = mask
        kernel[range(3), range(3)] += alpha
        chance = kernel[X[:, None], z[None]]  # [81, 256, 4]
        joint = P[:, None] * chance.prod(-1)
        for column in range(4):
            table = torch.stack([joint[X[:, column] == v].sum(0) for v in range(3)], 1)
            log_full = torch.cat([table, torch.zeros(256, 1)], 1).log()
            pair = [(v, k) for v in range(3) for k in range(256)]
            clean, index = (torch.tensor(each) for each in zip(*pair, strict=True))
            noisy, time_ = z[index, column], t.expand(len(pair))
            curve = gidd.marginal(time_, p_uniform, 4)
            answer = log_full[index].log_softmax(1)
            if convert:
                answer = gidd.leave_one_out(answer, noisy, curve, MASK)
            value = gidd.integrand(answer, noisy, clean, curve, MASK)
            total += part * jacobian * float((value * table[index, clean]).sum())
    return total


@pytest.mark.parametrize(("p_uniform", "expected"), [(0.1, 3.46594), (0.2, 3.42587)])
def test_gidd_bound_equals_the_entropy(p_uniform, expected):
    assert gidd_integral(p_uniform, convert=True) == pytest.approx(expected, abs=1e-3)
    assert gidd_integral(p_uniform, convert=False) > expected + 0.5, "a full posterior was taken"


def test_hybrid_weight_depends_on_what_is_seen_alone():
    tokens = torch.randint(3, (64, 32), generator=generator(5))
    asked = hybrid(tokens, MASK, generator(6), vocab_size=4, p_uniform=0.3)
    seen = asked.inputs != MASK
    assert (asked.inputs != tokens)[seen].any()
    assert asked.weight[seen].unique().tolist() == [0.5]
    assert asked.wanted[:, 1:].all() and not asked.wanted[:, 0].any()


def test_hybrid_noise_has_gidds_shares():
    tokens = torch.zeros(4000, 33, dtype=torch.int64)
    noisy = hybrid_noise(tokens, torch.full((4000,), 0.5), 2, 6, 0.2, generator(7))[:, 1:]
    alpha, mask, uniform = (float(v) for v in Hybrid(0.2).at(torch.tensor(0.5)))
    share = torch.bincount(noisy.flatten(), minlength=6) / noisy.numel()
    expected = torch.full((6,), uniform / 5)
    expected[0] += alpha
    expected[2] = mask
    torch.testing.assert_close(share, expected.float(), atol=0.006, rtol=0)


def test_gidd_weights_are_the_papers_closed_forms():
    time, p_uniform, size = torch.tensor([0.1, 0.5, 0.83]).double(), 0.2, 12
    curve = gidd.marginal(time, p_uniform, size)
    others = size - 1
    c = 2 * p_uniform / (1 - p_uniform) * (time * (1 - time)).sqrt()
    slope = 0.5 * (1 - 2 * time) / (time * (1 - time)) * c
    mask, clean, other = (torch.full((3,), token) for token in (MASK, 5, 7))
    rest = 1 - time
    expected = {
        mask: 1 / (time * rest),
        clean: (c + rest * slope) / others / (rest * (rest + c / others)),
        other: (c + rest * slope) / (rest * c),
    }
    for noisy, value in expected.items():
        torch.testing.assert_close(gidd.weight(noisy, clean, curve, MASK), value)
    told = [gidd.dynamic(z, clean, time, p_uniform, size, MASK) for z in (mask, other, clean)]
    assert told[0].tolist() == [2, 2, 2] and told[1].tolist() == [1, 1, 1]
    torch.testing.assert_close(told[2], 0.5 / size * (torch.sigmoid(-time) / 2).exp())


@pytest.mark.parametrize("weighting", ["elbo", "clip", "dynamic"])
def test_hybrid_losses_of_the_paper(learner, tokenizer, weighting):
    rows, size = windows(pack(tokenizer, STORIES), 3, 16, generator(8)), len(tokenizer)
    mask_id = tokenizer.mask_token_id
    asked = hybrid(rows, mask_id, generator(6), vocab_size=size, p_uniform=0.3, weighting=weighting)
    time = asked.divergence.time[:, 1:].flatten()
    with torch.no_grad():
        loss, log_loo = learner(asked), learner.logits(asked).double().log_softmax(1)
    curve = gidd.marginal(time, 0.3, size)
    clean, noisy = rows[:, 1:].flatten(), asked.inputs[:, 1:].flatten()
    each = gidd.integrand(log_loo, noisy, clean, curve, mask_id)
    elbo = gidd.weight(noisy, clean, curve, mask_id)
    used = {
        "elbo": elbo,
        "clip": elbo.clamp(max=2.0),
        "dynamic": gidd.dynamic(noisy, clean, time, 0.3, size, mask_id),
    }[weighting]
    assert (elbo > 2).any() and (noisy != clean)[noisy != mask_id].any()
    torch.testing.assert_close(loss, (each / elbo * used).mean())


def test_full_and_leave_one_out_are_each_others_inverse():
    log_full = torch.randn(5, 6, generator=generator(1)).double().log_softmax(1)
    noisy = torch.tensor([0, 1, MASK, 4, 5])
    curve = gidd.marginal(torch.full((5,), 0.4), 0.2, 6)
    log_loo = gidd.leave_one_out(log_full, noisy, curve, MASK)
    assert (log_loo[2] == log_full[2]).all() and (log_loo[0, 0] < log_full[0, 0] - 1).all()
    torch.testing.assert_close(gidd.full(log_loo, noisy, curve, MASK), log_full)


def test_a_noise_range_clips_the_share_of_masks(learner, tokenizer):
    tokens = torch.zeros(400, 32, dtype=torch.int64)
    noisy, weight = absorb(tokens, 1, generator(3), block_length=8, noise_range=(0.25, 0.75))
    count = (noisy == 1).view(400, 4, 8)[:, 1:].sum(2)
    assert count.min() == 3 and count.max() == 6
    torch.testing.assert_close(weight[:, 8:].view(400, 3, 8)[..., 0], 8 / count.float())
    rows = windows(pack(tokenizer, STORIES), 64, 32, generator(8))
    ranges = bounds.noise_ranges(learner, rows, tokenizer.mask_token_id, 8)
    assert [each[2] for each in ranges] == sorted(each[2] for each in ranges)
    assert len(ranges) == 11 + 9 + 7 + 5 + 3 + 1
    assert ranges[-1][0] == 0.0 and ranges[0][0] > 0.2, "few masks, weighted high, stray most"


@pytest.mark.parametrize("block_length", [4, 8])
def test_one_pass_equals_one_block_at_a_time(learner, tokenizer, block_length):
    rows = windows(pack(tokenizer, STORIES), 3, 24, generator(8))
    asked = bd3lm(rows, tokenizer.mask_token_id, generator(9), block_length=block_length)
    with torch.no_grad():
        once = learner.logits(asked)
        wanted = asked.wanted[:, :24]
        together = torch.zeros(*wanted.shape, once.shape[1])
        together[wanted] = once
        for first in range(0, 24, block_length):
            block = slice(first, first + block_length)
            inputs = rows.clone()
            inputs[:, block] = asked.inputs[:, block]
            inputs = inputs[:, : block.stop]
            only = torch.zeros_like(inputs, dtype=torch.bool)
            only[:, block] = wanted[:, block]
            alone = learner.logits(
                Problem(inputs, torch.arange(block.stop), block_causal(block.stop, block_length),
                        only, inputs, only.float(), 1)
            )  # fmt: skip
            torch.testing.assert_close(together[:, block][wanted[:, block]], alone)


def test_loss_is_the_weighted_mean_and_specials_are_banned(learner, tokenizer):
    rows = windows(pack(tokenizer, STORIES), 2, 16, generator(10))
    asked = mdlm(rows, tokenizer.mask_token_id, generator(11))
    with torch.no_grad():
        logits, loss = learner.logits(asked), learner(asked)
    assert logits[:, [tokenizer.mask_token_id, tokenizer.pad_token_id]].eq(-torch.inf).all()
    nats = -logits.log_softmax(1).gather(1, rows[asked.wanted][:, None])[:, 0]
    torch.testing.assert_close(loss, (nats * asked.weight[asked.wanted]).sum() / (2 * 15))


# --- the run


def test_killed_run_resumes_exactly(data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    tail = ("--steps", "20", "--save-every", "0.001", "--accumulate", "2")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.train", *command(data, killed, *tail)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (killed / "state").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    assert not errors, "a piped run must not draw"

    assert main(command(data, whole, *tail)) == 0
    assert main(command(data, killed, *tail, "--resume")) == 0
    networks = [
        AutoModelForCausalLM.from_pretrained(work / "networks" / "network")
        for work in (whole, killed)
    ]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)
    logs = [(work / "log.csv").read_text().splitlines() for work in (whole, killed)]
    for one, other in zip(*logs, strict=True):
        assert one.split(",")[:2] == other.split(",")[:2]
        assert one.split(",")[4:5] == other.split(",")[4:5]


def test_files_and_evaluation(data, tmp_path, capsys):
    out = tmp_path / "w" / "networks" / "network"
    extra = ("--steps", "2", "--objective", "hybrid", "--name", "stories-hybrid")
    assert main(command(data, tmp_path / "w", *extra)) == 0
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "model.safetensors", "lab.json", "training.json", "README.md")
    }
    fields = json.loads((out / "lab.json").read_text())
    assert (fields["corruption"], fields["posterior"]) == ("hybrid", "full")
    assert fields["p_uniform"] == 0.1 and fields["block_lengths"] is None
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(out.parent / "tokenizer").mask_token == "<|mask|>"
    card = (out / "README.md").read_text()
    assert "path/to/stories.jsonl" in card and str(tmp_path) not in card

    assert evaluate.main([str(out), "--data", str(data), "--length", "16", "--card"]) == 0
    printed = capsys.readouterr().out
    assert "| GIDD | " in printed and "± " in printed
    assert printed.strip() in (out / "README.md").read_text()

    shared = ("--tokenizer", str(out.parent / "tokenizer"))
    loo = tmp_path / "loo"
    more = ("--steps", "2", "--objective", "hybrid", "--weighting", "dynamic", *shared)
    assert main(command(data, loo, *more)) == 0
    assert json.loads((loo / "networks" / "network" / "lab.json").read_text())["posterior"] == "loo"
    assert "--weighting dynamic" in (loo / "networks" / "network" / "README.md").read_text()
    one = tmp_path / "one"
    more = ("--steps", "1", "--objective", "bd3lm", "--block-length", "8", *shared)
    assert main(command(data, one, *more)) == 0
    assert json.loads((one / "networks" / "network" / "lab.json").read_text())["block_lengths"] == [
        8
    ]
    assert "block length 8)" in (one / "networks" / "network" / "README.md").read_text()
    for objective, attention in (("edit", "block_causal"), ("ar", "causal")):
        work = tmp_path / objective
        more = ("--steps", "1", "--objective", objective, "--init-from", str(out))
        assert main(command(data, work, *more, *shared)) == 0
        made = work / "networks" / "network"
        stages = json.loads((made / "training.json").read_text())
        assert [stage["objective"] for stage in stages] == ["hybrid", objective]
        assert json.loads((made / "lab.json").read_text())["attention"] == attention
    told = ("--data", str(data), "--length", "16", "--tokenizer", str(out.parent / "tokenizer"))
    assert evaluate.main([str(made), str(out), *told]) == 0
    printed = capsys.readouterr().out
    assert "| next token | " in printed and "\nnet:\n" in printed
    both = printed.split("| model | bound | nats a token | perplexity at most |")[1]
    assert "| exact | " in both and "| GIDD | " in both
    nats = [float(line.split("|")[3].split("±")[0]) for line in both.splitlines()[2:]]
    assert len(nats) == 2 and nats == sorted(nats)


def test_a_card_tells_the_start_that_was_taken(data, tmp_path, monkeypatch):
    source, work = tmp_path / "w" / "networks" / "network", tmp_path / "v"
    assert main(command(data, tmp_path / "w", "--steps", "1")) == 0

    def replaced(*_, **__):  # another model moves in where this one started from
        (source / "training.json").write_text("[]")
        return ""

    monkeypatch.setattr("lab.train.command.sample", replaced)
    more = ("--steps", "2", "--save-every", "0.00001", "--objective", "bd3lm")
    shared = ("--init-from", str(source), "--tokenizer", str(source.parent / "tokenizer"))
    assert main(command(data, work, *more, *shared)) == 0
    stages = json.loads((work / "networks" / "network" / "training.json").read_text())
    assert [stage["objective"] for stage in stages] == ["mdlm", "bd3lm"]
    assert stages[-1]["steps"] == 2


def test_ar_network_writes_what_its_stock_class_writes(learner, tokenizer, tmp_path):
    out = tmp_path / "network"
    fields = card_fields("ar", "tiny-ar", "stories", 64, 0.1)
    export(out, learner.network, {}, fields)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (written,) = lab.run("autoregressive", str(out), "One day, Tom", gen_length=20, temperature=0)
    network = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    prompt = torch.tensor([tokenizer("One day, Tom", add_special_tokens=False).input_ids])
    never = [tokenizer.mask_token_id, tokenizer.pad_token_id]
    stock = network.generate(prompt, max_new_tokens=20, do_sample=False, suppress_tokens=never)
    stock = stock[0, prompt.shape[1] :].tolist()
    eos = tokenizer.eos_token_id
    assert list(written.output) == (stock[: stock.index(eos)] if eos in stock else stock)
    assert len(set(written.output)) > 5, "a model that repeats itself shows little"


def test_error_bar_is_the_spread_of_independent_chunks():
    chunks = [torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])]
    assert bounds.estimate(chunks) == pytest.approx((2.5, 0.5))
    assert bounds.estimate(chunks[:1]) == pytest.approx((2.0, 1.0))


def test_bad_input_is_refused_and_nothing_overwritten(data, tmp_path, capsys):
    work = tmp_path / "w"
    once = ("--steps", "1")
    assert "existing file" in refused(capsys, command(tmp_path / "no.jsonl", work, *once))
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert "at least two stories" in refused(capsys, command(empty, work, *once))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a b"}\n{"no": 1}\n')
    assert "line 2" in refused(capsys, command(broken, work, *once))
    assert "--steps or as --minutes" in refused(capsys, command(data, work))
    assert "--lengths" in refused(capsys, command(data, work, *once, "--lengths", "16,99"))
    assert "nothing to resume" in refused(capsys, command(data, work, *once, "--resume"))

    assert main(command(data, work, *once)) == 0
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert "already holds" in refused(capsys, command(data, work, *once))
    other = command(data, work, *once, "--resume", "--seed", "3")
    assert "seed was 0, is 3" in refused(capsys, other)
    assert before == {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}

    pickled = tmp_path / "model.ckpt"
    torch.save({"a": torch.ones(1)}, pickled)
    fresh = tmp_path / "fresh"
    assert "safetensors" in refused(
        capsys, command(data, fresh, *once, "--init-from", str(pickled))
    )
    vocabulary = json.loads((work / "networks" / "tokenizer" / "tokenizer_config.json").read_text())
    del vocabulary["mask_token"]
    (work / "networks" / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(vocabulary))
    lacking = ("--tokenizer", str(work / "networks" / "tokenizer"))
    assert "lacks mask" in refused(capsys, command(data, fresh, *once, *lacking))
