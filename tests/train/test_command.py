"""The command: exact resume, the files it writes, what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import lab
from lab.train import evaluate, main
from lab.train.command import precision
from lab.train.export import card_fields, export
from tests.kit import stories
from tests.kit.stories import command, refused

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("known", "usual"),
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx2": True, "avx512_bf16": False}, "no"),
        ({}, "bf16"),
    ],
)
def test_precision_is_what_machine_computes_in(monkeypatch, known, usual):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert precision("auto") == usual
    assert precision("no") == "no" and precision("bf16") == "bf16"
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert precision("auto") == "bf16"


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
        AutoModelForCausalLM.from_pretrained(stories.folder(work)) for work in (whole, killed)
    ]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)
    logs = [(work / "log.csv").read_text().splitlines() for work in (whole, killed)]
    for one, other in zip(*logs, strict=True):
        assert one.split(",")[:2] == other.split(",")[:2]
        assert one.split(",")[4:5] == other.split(",")[4:5]


def test_files_and_evaluation(data, tmp_path, capsys):
    out = stories.folder(tmp_path / "w")
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
    assert json.loads((out.parent / "tokenizer" / "token_counts.json").read_text())
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
    assert json.loads((stories.folder(loo) / "lab.json").read_text())["posterior"] == "loo"
    assert "--weighting dynamic" in (stories.folder(loo) / "README.md").read_text()
    one = tmp_path / "one"
    more = ("--steps", "1", "--objective", "bd3lm", "--block-length", "8", *shared)
    assert main(command(data, one, *more)) == 0
    assert json.loads((stories.folder(one) / "lab.json").read_text())["block_lengths"] == [8]
    assert "block length 8)" in (stories.folder(one) / "README.md").read_text()
    for objective, attention in (("edit", "block_causal"), ("ar", "causal")):
        work = tmp_path / objective
        more = ("--steps", "1", "--objective", objective, "--init-from", str(out))
        assert main(command(data, work, *more, *shared)) == 0
        other = stories.folder(work)
        stages = json.loads((other / "training.json").read_text())
        assert [stage["objective"] for stage in stages] == ["hybrid", objective]
        assert json.loads((other / "lab.json").read_text())["attention"] == attention
    flags = ("--data", str(data), "--length", "16", "--tokenizer", str(out.parent / "tokenizer"))
    assert evaluate.main([str(other), str(out), *flags]) == 0
    printed = capsys.readouterr().out
    assert "| next token | " in printed and "\nmodel:\n" in printed
    both = printed.split("| model | bound | nats a token | perplexity at most |")[1]
    assert "| exact | " in both and "| GIDD | " in both
    nats = [float(line.split("|")[3].split("±")[0]) for line in both.splitlines()[2:]]
    assert len(nats) == 2 and nats == sorted(nats)


def test_joint_model_has_two_modes_and_two_kinds_of_bound(data, tmp_path, capsys):
    out = stories.folder(tmp_path / "w")
    assert main(command(data, tmp_path / "w", "--steps", "2", "--objective", "joint")) == 0
    facts = json.loads((out / "lab.json").read_text())
    assert (facts["attention"], facts["joint_length"]) == ("causal", 32)
    assert facts["block_lengths"] is None
    assert "fills up to 32 tokens at once" in (out / "README.md").read_text()
    model = lab.load(str(out))
    fast, plain = (lab.run(name, model, "Tom", gen_length=12)[0]
                   for name in ("self_speculation", "autoregressive"))  # fmt: skip
    assert fast.text == plain.text
    shared = ("--objective", "joint", "--block-length", "8", "--tokenizer",
              str(out.parent / "tokenizer"))  # fmt: skip
    assert main(command(data, tmp_path / "v", "--steps", "1", *shared)) == 0
    short = stories.folder(tmp_path / "v")
    assert json.loads((short / "lab.json").read_text())["joint_length"] == 8
    assert evaluate.main([str(short), "--data", str(data), "--length", "16", *shared[-2:]]) == 0
    printed = capsys.readouterr().out
    for name in ("exact", "block mode, length 4", "block mode, length 8"):
        assert f"| {name} | " in printed
    assert "mode, length 16" not in printed and "| next token | " in printed


def test_card_names_start_that_was_read(data, tmp_path, monkeypatch):
    source, work = stories.folder(tmp_path / "w"), tmp_path / "v"
    assert main(command(data, tmp_path / "w", "--steps", "1")) == 0

    def replaced(*_, **__):  # another model moves in where this one started from
        (source / "training.json").write_text("[]")
        return ""

    monkeypatch.setattr("lab.train.command.sample", replaced)
    more = ("--steps", "2", "--save-every", "0.00001", "--objective", "bd3lm")
    shared = ("--init-from", str(source), "--tokenizer", str(source.parent / "tokenizer"))
    assert main(command(data, work, *more, *shared)) == 0
    stages = json.loads((stories.folder(work) / "training.json").read_text())
    assert [stage["objective"] for stage in stages] == ["mdlm", "bd3lm"]
    assert stages[-1]["steps"] == 2


def test_ar_model_writes_what_its_stock_class_writes(learner, tokenizer, tmp_path):
    out = tmp_path / "model"
    fields = card_fields("ar", "tiny-ar", "stories", 64, 0.1)
    export(out, learner.network, fields)
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
    vocabulary = json.loads((work / "models" / "tokenizer" / "tokenizer_config.json").read_text())
    del vocabulary["mask_token"]
    (work / "models" / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(vocabulary))
    lacking = ("--tokenizer", str(work / "models" / "tokenizer"))
    assert "lacks mask" in refused(capsys, command(data, fresh, *once, *lacking))
