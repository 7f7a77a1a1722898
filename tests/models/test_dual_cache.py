"""The dual cache: held against frozen keys and values by hand, counted, named, and refused."""

import pytest
import torch
from transformers import DynamicCache

import lab
from lab.cli import main
from lab.models.errors import ModelError
from lab.models.model import Opened
from lab.models.transformers.dual_cache import with_dual_cache
from lab.models.transformers.key_value_cache import cache_argument
from samplers.canvas import Canvas
from tests.kit import published, tiny
from tests.kit.laws import check, only, record
from tests.models.test_checkpoint import canvas_of, filled

MODELS = {
    "qwen3": lambda: tiny.networks()[tiny.HEADED],
    "llada": lambda: published.load("llada"),
    "dream": lambda: published.load("dream"),
}
NAMED = "full-absorbing (approximate dual cache)"
LENGTHS = [3, 9, 1]
# The rows that ask, a call of a block after the other: all in the end, never all before.
ASKING = [[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]]


def close(left, right):
    torch.testing.assert_close(left, right, atol=5e-5, rtol=1e-4)


def exactly(model, canvas, x, window, **how):
    return Opened(model, canvas, caches=False)(x, window=window, **how)


class Frozen(DynamicCache):
    """Keys and values of all columns but these are, in every pass, those of the first."""

    def __init__(self, columns):
        super().__init__()
        self.columns, self.first = columns, {}

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        new = key_states, value_states
        first = self.first.setdefault(layer_idx, new)
        inside = torch.zeros(key_states.shape[2], 1, dtype=torch.bool)
        inside[self.columns] = True
        return tuple(torch.where(inside, *pair) for pair in zip(new, first, strict=True))

    def get_seq_length(self, layer_idx=0):
        return 0


class ByHand:
    """The network itself on one row without its pads, all of it in every pass."""

    def __init__(self, model, canvas, row, window):
        self.network, self.shifted = model.network, model.shifted
        self.seen = canvas.visible[row]
        pads = int((~self.seen).sum())
        self.window = slice(window.start - pads, window.stop - pads)
        self.cache = Frozen(slice(self.window.start - self.shifted, self.window.stop))
        ids = {model.card.mask_id, model.card.pad_id, *model.banned_ids} - {None}
        self.banned = torch.tensor(sorted(ids))

    def __call__(self, line):
        ids = line[self.seen][None]
        how = cache_argument(self.network, self.cache)
        mask = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
        with torch.no_grad():
            out = self.network(ids, attention_mask=mask, use_cache=True, **how).logits[0]
        out = torch.cat([out[:1], out[:-1]]) if self.shifted else out
        return out[self.window].index_fill(-1, self.banned, -torch.inf)


@pytest.mark.parametrize("name", MODELS)
def test_later_calls_see_keys_of_first_one_frozen(name):
    model = with_dual_cache(MODELS[name]())
    canvas = canvas_of(model, LENGTHS, layout="prompt")
    opened, x, moved = model.open(canvas, 4), canvas.tokens, 0.0
    for number, block in enumerate(canvas.blocks()):
        hands = {}
        for call, asking in enumerate(ASKING):
            rows = torch.tensor(asking).bool()
            logits = opened(x, window=block, rows=rows)
            exact = exactly(model, canvas, x, block, rows=rows)
            for row in rows.nonzero().flatten().tolist():
                if row not in hands:
                    hands[row] = ByHand(model, canvas, row, block)
                    close(logits[row], exact[row])
                close(logits[row], hands[row](x[row]))
                moved = max(moved, float((logits[row] - exact[row]).nan_to_num().abs().max()))
            column = block.start + call % 4
            x = filled(canvas, x, slice(column, column + 1), 10 * number + call)
        assert len(hands) == 3
    assert moved > 0.1, "what is tested is an approximation"


@pytest.mark.parametrize("name", MODELS)
def test_first_call_of_block_is_exact(name):
    model = with_dual_cache(MODELS[name]())
    canvas = canvas_of(model, LENGTHS, layout="prompt")
    opened, x = model.open(canvas, 4), canvas.tokens
    for number, block in enumerate(canvas.blocks()):
        assert torch.equal(opened(x, window=block), exactly(model, canvas, x, block))
        opened(filled(canvas, x, slice(block.start, block.start + 2)), window=block)
        x = filled(canvas, x, block, number)


@pytest.mark.parametrize("name", MODELS)
def test_block_of_whole_canvas_is_exact_at_every_call(name):
    model = with_dual_cache(MODELS[name]())
    x = torch.full((2, 10), model.card.mask_id)
    seen, block = torch.ones_like(x, dtype=torch.bool), slice(0, 10)
    canvas = Canvas(x, seen, seen, model.card.mask_id)
    opened = model.open(canvas)
    for call in range(4):
        close(opened(x, window=block), exactly(model, canvas, x, block))
        x = filled(canvas, x, slice(3 * call, 3 * call + 1), call)
    assert opened.columns_fed.tolist() == [40, 40]


@pytest.mark.parametrize("name", MODELS)
def test_columns_that_are_counted_are_those_fed(name, monkeypatch):
    model, widths = with_dual_cache(MODELS[name]()), []
    plain = model.network.forward

    def forward(**inputs):
        widths.append(tuple(inputs["input_ids"].shape))
        return plain(**inputs)

    monkeypatch.setattr(model.network, "forward", forward)
    canvas = canvas_of(model, [3, 9], layout="prompt")
    opened, (first, second, *_) = model.open(canvas, 4), canvas.blocks()
    width = 5 if name == "dream" else 4  # whose output for a column is that of the one before
    for rows in ([1, 1], [1, 1], [0, 1]):
        opened(canvas.tokens, window=first, rows=torch.tensor(rows).bool())
    assert widths == [(2, 21), (2, width), (1, width)]
    assert opened.columns_fed.tolist() == [15 + width, 21 + 2 * width]
    for _ in range(2):
        opened(canvas.tokens, window=second)
    assert widths[3:] == [(2, 21), (2, width)]
    assert opened.columns_fed.tolist() == [2 * (15 + width), 2 * 21 + 3 * width]


def test_row_is_read_whole_where_token_outside_changes():
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, LENGTHS, layout="prompt")
    _, block, _ = canvas.blocks()
    opened, other = model.open(canvas, 4), model.open(canvas, 4)
    for each in (opened, other):
        each(canvas.tokens, window=block)
    x = filled(canvas, canvas.tokens, slice(block.start, block.start + 1))
    expected, y = other(x, window=block), x.clone()
    y[0, block.stop] = 99
    before = opened.columns_fed.clone()
    logits = opened(y, window=block)
    close(logits[0], exactly(model, canvas, y, block)[0])
    close(logits[1:], expected[1:])
    assert (opened.columns_fed - before).tolist() == [15, 4, 4]


def test_token_written_in_place_is_noticed():
    """No sampler does so; a loop of one's own may."""
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, LENGTHS, layout="prompt")
    opened, x, (block, *_) = model.open(canvas, 4), canvas.tokens.clone(), canvas.blocks()
    opened(x, window=block)
    x[1, -1] = 98
    close(opened(x, window=block)[1], exactly(model, canvas, x, block)[1])


def test_row_that_misses_first_call_of_block_is_read_whole():
    """Nothing stands otherwise than when it asked about the block before."""
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, [3, 9], layout="prompt")
    opened, (first, second, _), x = model.open(canvas, 4), canvas.blocks(), canvas.tokens
    opened(x, window=first)
    opened(x, window=second, rows=torch.tensor([True, False]))
    x = filled(canvas, x, slice(second.start, second.start + 1))
    close(opened(x, window=second)[1], exactly(model, canvas, x, second)[1])


def test_canvas_among_several_is_read_by_its_own_tokens():
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, LENGTHS, layout="prompt")
    _, block, _ = canvas.blocks()
    opened, other, x = model.open(canvas, 4), model.open(canvas, 4), canvas.tokens
    for each in (opened, other):
        each(x, window=block)
    inside, outside = filled(canvas, x, slice(block.start, block.start + 1)), x.clone()
    outside[:, block.stop] = 99
    canvases = torch.stack([outside, inside])
    answers = opened.each(canvases, window=block, rows=torch.ones(2, 3, dtype=torch.bool))
    close(answers[0], exactly(model, canvas, outside, block))
    close(answers[1], other(inside, window=block))
    assert opened.columns_fed.tolist() == [2 * 15 + 4, 2 * 21 + 4, 2 * 13 + 4]


def test_guidance_freezes_keys_of_each_of_its_passes():
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, [3, 9], layout="prompt")
    opened, block, x = model.open(canvas, 4), canvas.blocks()[0], canvas.tokens
    close(opened(x, window=block, guidance=1.5), exactly(model, canvas, x, block, guidance=1.5))
    y = filled(canvas, x, slice(block.start, block.start + 1))
    blind = (canvas.visible & ~canvas.writable, model.card.mask_id)
    passes = []
    for first, then in ((x, y), (x.masked_fill(*blind), y.masked_fill(*blind))):
        one = model.open(canvas, 4)
        one(first, window=block)
        passes.append(one(then, window=block))
    own, free = (each.nan_to_num(neginf=0) for each in passes)
    guided = opened(y, window=block, guidance=1.5).nan_to_num(neginf=0)
    close(guided, free + 2.5 * (own - free))
    assert opened.columns_fed.tolist() == [2 * (15 + 4), 2 * (21 + 4)]


def test_calls_for_more_than_logits_are_exact():
    model = with_dual_cache(MODELS["qwen3"]())
    canvas = canvas_of(model, [3, 9], layout="prompt")
    opened, block, x = model.open(canvas, 4), canvas.blocks()[0], canvas.tokens
    opened(x, window=block)
    y = filled(canvas, x, slice(block.start, block.start + 2))
    how = {"window": block, "leave_one_out": True}
    close(opened(y, **how), Opened(model, canvas, caches=False)(y, **how))
    exact = Opened(model, canvas, caches=False).with_quality(y, window=block)
    for mine, theirs in zip(opened.with_quality(y, window=block), exact, strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("sampler", ["llada", "threshold", "klass", "freedave", "prism", "mdlm"])
def test_runs_keep_laws_and_rows_stand_alone(sampler):
    model, prompts = with_dual_cache(MODELS["qwen3"]()), tiny.prompts([3, 11])
    how = {"gen_length": 12, "seed": 3}
    how |= only(sampler, block_length=4, steps=4, temperature=1.0, eos_early_stop=True)
    both = record(sampler, tiny.eos_rich(model), prompts, **how)
    check(both)
    for number, run in enumerate(both.trajectories()):
        alone = record(sampler, tiny.eos_rich(model), [prompts[number]], first_row=number, **how)
        assert run.same_tokens(alone.trajectories()[0])
        assert run.columns_fed[-1] == alone.trajectories()[0].columns_fed[-1]


def test_name_and_card_say_so_in_every_file(tmp_path):
    folder = str(tiny.write(tmp_path / "network", "full-absorbing", dual_cache=True))
    plain, model = lab.load(folder), lab.load(folder, dual_cache=True)
    assert not plain.card.dual_cache and plain.card.name == "full-absorbing", "off by default"
    assert plain.note == "" and "answers are approximate" in model.note
    assert lab.load(folder) is plain and model.network is plain.network
    (run,) = lab.run("llada", model, "One day", gen_length=8, block_length=4)
    for name in ("a.csv", "a.json"):
        lab.save([run], tmp_path / name)
        (read,) = lab.read(tmp_path / name)
        assert read.model == run.model == NAMED and read.card["dual_cache"] is True
    (exact,) = lab.run("llada", plain, "One day", gen_length=8, block_length=4)
    assert exact.run_id != run.run_id and exact.columns_fed[-1] > run.columns_fed[-1]
    assert exact.model == "full-absorbing" and exact.card["dual_cache"] is False


OTHERS = {
    "bert": lambda: published.load("bert"),
    "mdlm": lambda: published.load("mdlm"),
    "gemma": lambda: published.load(published.GEMMA),
    "table": lambda: lab.load("capitals"),
    "wrapped": lambda: lab.wrap(tiny.constant(1, 9), tiny.card(9, attention="full")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_model_without_keys_to_hold_is_refused(name):
    with pytest.raises(ModelError, match=r"needs a causal-LM class .* is none; leave dual_cache"):
        with_dual_cache(OTHERS[name]())


@pytest.mark.parametrize("kind", ["block-absorbing", "causal-absorbing", tiny.DRAFTED, tiny.JOINT])
def test_model_whose_cache_is_exact_is_refused(kind):
    with pytest.raises(ModelError, match=r"is for full attention, .* has (block_)?causal: what"):
        with_dual_cache(tiny.networks()[kind])


def test_loading_refuses_as_well(bert):
    with pytest.raises(ModelError, match="needs a causal-LM class"):
        lab.load("capitals", dual_cache=True)
    name = "google-bert/bert-base-uncased"
    with pytest.raises(ModelError, match=f"{name} is none"):
        lab.load(name, dual_cache=True)
    assert not bert.fetched("model.safetensors"), "before anything large moves"


def test_commands_take_it_with_model_alone(tmp_path, capsys):
    folder = str(tiny.write(tmp_path / "network", "full-absorbing"))
    run = ["--model", folder, "--gen-length", "8", "--block-length", "4", "--dual-cache"]
    for command in (
        ["generate", "--sampler", "llada"],
        ["compare", "--samplers", "llada,threshold"],
        ["bench", "--samplers", "llada", "--repeats", "1"],
    ):
        assert main([*command, *run]) == 0
        assert NAMED in capsys.readouterr().out
    for command in ("compare", "bench"):
        with pytest.raises(SystemExit) as end:
            main([command, "--dual-cache"])
        assert end.value.code == 2
        assert "--dual-cache goes with --model, which says whose" in capsys.readouterr().err
