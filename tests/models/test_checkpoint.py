"""Trained models: attention built here, prefixes cached exactly, files opened safely (P7, P8)."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

import lab
from lab.models.attention import additive, allowed, positions
from lab.models.load import KEPT
from lab.models.model import LOADING, Opened
from lab.models.transformers import build
from lab.run.prompts import Row, lay_out
from samplers.canvas import Canvas
from tests.kit import tiny
from tests.kit.laws import record

AHEAD = ["block-absorbing", "block-hybrid"]


def canvas_of(model, lengths, masked=12, layout="first", block_length=4):
    rows = [
        Row((*ids, *[model.card.mask_id] * masked), (False,) * len(ids) + (True,) * masked)
        for ids in tiny.prompts(lengths)
    ]
    return lay_out(rows, model.card, layout, block_length)


def filled(canvas, x, block, seed=0):
    """The canvas with all masked positions of a block filled by chance."""
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(60, 250, x[:, block].shape, generator=random)
    y = x.clone()
    y[:, block] = torch.where(canvas.writable[:, block], words, x[:, block])
    return y


def close(left, right):
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block_length", [1, 3, 4, 8])
@pytest.mark.parametrize("kind", AHEAD)
def test_cached_logits_equal_uncached_ones(kind, block_length):
    model = tiny.networks()[kind]
    canvas = canvas_of(model, [3, 17, 1], block_length=block_length)
    cached = model.open(canvas, block_length)
    x, out = canvas.tokens, None
    for number, block in enumerate(canvas.blocks()):
        here = canvas.writable[:, block].any(-1)
        for rows in (here, here & torch.tensor([True, False, True]), here):
            fresh = Opened(model, canvas, block_length, caches=False)
            out = cached(x, window=block, rows=rows)
            close(out[rows], fresh(x, window=block, rows=rows)[rows])
            assert not out[~rows].nan_to_num(neginf=0).any(), "an unasked row holds zeros"
            x = filled(canvas, x, slice(block.start, block.start + 1), number)
        x = filled(canvas, x, block, number)
    assert out is not None and cached._cache.length > 0, "the cache was never used"


@pytest.mark.parametrize("kind", AHEAD)
def test_rows_that_dropped_out_may_come_back(kind):
    model = tiny.networks()[kind]
    canvas = canvas_of(model, [5, 9, 13])
    cached, x = model.open(canvas, 4), canvas.tokens
    some = [[1, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1]]
    for number, block in enumerate(canvas.blocks()):
        rows = torch.tensor(some[number % len(some)], dtype=torch.bool)
        fresh = Opened(model, canvas, 4, caches=False)
        close(cached(x, window=block, rows=rows), fresh(x, window=block, rows=rows))
        close(cached(x, window=block), fresh(x, window=block))
        x = filled(canvas, x, block, number)


@pytest.mark.parametrize("kind", AHEAD)
def test_cache_spares_prefix(kind):
    model, widths = tiny.networks()[kind], []
    plain = model.network.forward
    canvas = canvas_of(model, [17])
    cached, x = model.open(canvas, 4), canvas.tokens
    try:
        model.network.forward = lambda **inputs: (
            widths.append(inputs["input_ids"].shape[1]) or plain(**inputs)
        )
        for block in canvas.blocks():
            for _ in range(2):
                cached(x, window=block)
            x = filled(canvas, x, block)
    finally:
        del model.network.forward
    assert max(widths[1:]) <= 9 and widths[0] >= 17


def test_causal_network_is_shifted_and_cached_exactly():
    model = tiny.networks()["causal-absorbing"]
    canvas = canvas_of(model, [5, 9, 1], layout="whole")
    cached, x = model.open(canvas), canvas.tokens
    (block,) = canvas.blocks()
    for column in range(block.start, block.stop):
        window = slice(column, column + 1)
        rows = torch.tensor([True, column % 3 > 0, column % 4 < 3])
        logits = cached(x, window=window, rows=rows)
        close(logits, Opened(model, canvas, caches=False)(x, window=window, rows=rows))
        alone = x[:1, 4:column]  # row 0 has four pads; its answer is the plain model's next token
        plain = model.network(alone).logits[:, -1].index_fill(-1, torch.tensor([0, 1]), -torch.inf)
        close(logits[:1, 0], plain.detach())
        x = filled(canvas, x, window, column)
    with pytest.raises(ValueError, match=r"needs a first token"):
        model.open(canvas)(x, window=slice(0, 3))


def test_later_block_changes_nothing_of_earlier_one():
    model = tiny.networks()["block-absorbing"]
    canvas = canvas_of(model, [6, 10])
    first, *later = canvas.blocks()
    logits = model.open(canvas, 4)(canvas.tokens, window=first)
    other = canvas.tokens
    for block in later:
        other = filled(canvas, other, block)
    close(model.open(canvas, 4)(other, window=first), logits)
    inside = filled(canvas, canvas.tokens, slice(first.stop - 1, first.stop))
    assert (model.open(canvas, 4)(inside, window=first) - logits).nan_to_num().abs().max() > 0.01


@pytest.mark.parametrize("kind", ["full-absorbing", "full-hybrid", "block-absorbing"])
def test_pads_are_invisible_whatever_stands_there(kind):
    model = tiny.networks()[kind]
    layout = "first" if "block" in kind else "whole"
    canvas = canvas_of(model, [2, 15], layout=layout)
    block = canvas.blocks()[-1]
    logits = model.open(canvas, 4)(canvas.tokens, window=block)
    junk = torch.where(canvas.visible, canvas.tokens, 77)
    assert not torch.equal(junk, canvas.tokens)
    here = canvas.visible[:, block]
    close(model.open(canvas, 4)(junk, window=block)[here], logits[here])


@pytest.mark.parametrize("kind", list(tiny.KINDS))
def test_denoise_answers_as_opened_model_does(kind):
    model = tiny.changed(tiny.networks()[kind], block_lengths=(4,))
    tokens = torch.tensor(tiny.prompts([12, 12]))
    tokens[:, 8:] = model.card.mask_id
    seen = torch.ones_like(tokens, dtype=torch.bool)
    canvas = Canvas(tokens, tokens == model.card.mask_id, seen, model.card.mask_id)
    window = slice(8, 12)
    whole = model.denoise(tokens, window=window)
    assert whole.shape == (2, 4, model.card.vocab_size) and whole.dtype == torch.float32
    close(model.open(canvas, 4)(tokens, window=window), whole)
    banned = [model.card.mask_id, model.card.pad_id]
    assert (whole[..., banned] == -torch.inf).all()
    assert torch.isfinite(whole.logsumexp(-1)).all()


@pytest.mark.parametrize(
    ("kind", "sampler"),
    [("full-absorbing", "mdlm"), ("full-hybrid", "hybrid"), ("block-absorbing", "llada2")],
)
def test_wrapped_module_runs_as_same_network_in_checkpoint(kind, sampler):
    model = tiny.networks()[kind]
    wrapped = lab.wrap(model.network, model.card, model.tokenizer)
    for prompts in (["Once", "One day the dog"], tiny.prompts([3, 14])):
        runs = [record(sampler, one, prompts, gen_length=9, steps=5) for one in (model, wrapped)]
        for mine, theirs in zip(*[run.trajectories() for run in runs], strict=True):
            assert (mine.tokens == theirs.tokens).all() and mine.text == theirs.text


def test_mask_is_float32_while_another_model_loads():
    """Which changes torch's default dtype for as long as it reads weights."""
    torch.set_default_dtype(torch.bfloat16)
    try:
        mask = additive(torch.tensor([True, False]))
    finally:
        torch.set_default_dtype(torch.float32)
    assert mask.dtype == torch.float32
    assert mask.tolist() == [0, torch.finfo(torch.float32).min]


def test_attention_is_what_its_name_says():
    seen, columns = torch.ones(1, 6, dtype=torch.bool), torch.arange(6)
    seen[0, 0] = False
    full = allowed(seen, "full", None, columns, columns)[0, 0].int()
    assert full[1:].tolist() == [[0, 1, 1, 1, 1, 1]] * 5 and full[0].tolist() == [1] * 6
    block = allowed(seen, "block_causal", 2, columns, columns)[0, 0].int().tolist()
    assert block[1:4] == [[0, 1, 0, 0, 0, 0]] + [[0, 1, 1, 1, 0, 0]] * 2
    causal = allowed(seen, "causal", None, columns, columns)[0, 0].int().tolist()
    assert causal[3] == [0, 1, 1, 1, 0, 0] and causal[0] == [1, 0, 0, 0, 0, 0]
    assert additive(torch.tensor([True, False]))[1] < -1e38
    assert positions(seen).tolist() == [[0, 0, 1, 2, 3, 4]]
    with pytest.raises(ValueError, match=r"needs a block_length"):
        allowed(seen, "block_causal", None, columns, columns)


@pytest.fixture
def folder(tmp_path):
    return tiny.write(tmp_path / "network", "full-absorbing")


def test_folder_opens_as_it_was_saved(folder):
    model, known = lab.load(str(folder)), tiny.networks()["full-absorbing"]
    assert (
        model.card == replace(known.card, rewards=(), quality_head=False)
        and not model.network.training
    )
    tokens = torch.tensor(tiny.prompts([9]))
    assert torch.equal(model.denoise(tokens), known.denoise(tokens))
    assert model.tokenizer.decode(model.tokenizer("a dog").input_ids) == "a dog"


def test_tokenizer_beside_folder_serves(folder, tmp_path):
    (tmp_path / "tokenizer").mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.move(folder / file, tmp_path / "tokenizer" / file)
    assert lab.load(str(folder)).card.mask_id == 0


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickled_weights_are_refused_unread(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ValueError, match=r"pickled weights .* are not opened; convert them"):
        lab.load(str(folder))


def test_causal_folder_without_lab_json_is_autoregressive(folder):
    (folder / "lab.json").unlink()
    model = lab.load(str(folder))
    assert (model.card.attention, model.card.name) == ("causal", "network")
    (run,) = lab.run("autoregressive", model, "One day", gen_length=4)
    assert run.output
    with pytest.raises(ValueError, match=r"llada needs attention full, this model has causal"):
        lab.run("llada", model, "One day")


def test_folder_is_opened_once_until_its_files_change(folder, tmp_path):
    model = lab.load(str(folder))
    assert lab.load(str(folder)) is model and lab.load(f"{folder}/../{folder.name}") is model
    facts = json.loads((folder / "lab.json").read_text())
    (folder / "lab.json").write_text(json.dumps({**facts, "context": 32}))
    fresh = lab.load(str(folder))
    assert fresh is not model and fresh.card.context == 32
    others = [lab.load(str(shutil.copytree(folder, tmp_path / str(n)))) for n in range(KEPT)]
    assert lab.load(str(folder)) is not fresh, "the one used least lately was let go"
    assert lab.load(str(tmp_path / str(KEPT - 1))) is others[-1]


def test_two_that_ask_at_once_get_one_network(folder, monkeypatch):
    opened, honest = [], build.load_checkpoint

    def slow(path, device_map):
        opened.append(path)
        time.sleep(0.2)
        return honest(path, device_map)

    monkeypatch.setattr(build, "load_checkpoint", slow)
    with ThreadPoolExecutor() as pool:
        networks = list(pool.map(lab.load, [str(folder)] * 4))
    assert len(opened) == 1 and all(network is networks[0] for network in networks)


def test_folder_waits_for_network_that_loads(folder):
    thread = threading.Thread(target=lab.load, args=[str(folder)])
    with LOADING:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(30)
    assert not thread.is_alive()


def test_unknown_facts_do_not_hinder(folder):
    facts = json.loads((folder / "lab.json").read_text())
    (folder / "lab.json").write_text(json.dumps({**facts, "trained": "long", "context": None}))
    assert lab.load(str(folder)).card.context == tiny.CONTEXT


def test_unknown_model_lists_known_ones():
    for name in ("storys", "", "a\0b", "\ud800", "x" * 5000, "/no/such"):
        with pytest.raises(
            ValueError, match=r"no model .*; there are .*capitals.* tasks stories, "
        ):
            lab.load(name)


def test_beyond_context_only_by_sliding_it():
    model = tiny.networks()["block-absorbing"]
    most = tiny.CONTEXT
    with pytest.raises(ValueError, match=f"at most {most}, the context of block-absorbing"):
        record("bd3lm", model, [[50] * 250], gen_length=8)
    edge = record("bd3lm", model, [[50] * (most - 1)], gen_length=1)
    assert len(edge.trajectories()[0].output) == 1
    slid = record("bd3lm", model, [[50] * 250], gen_length=24, sliding_window=True, block_length=8)
    one = slid.trajectories()[0]
    assert len(one.output) == 24 or one.output[-1] in model.card.eos_ids
    assert len(slid.frames[0].tokens[0]) == 274
