"""What else the bench measures: a draw, a call, a start; and the page that shows the results."""

import math

import pandas as pd
import pytest
import torch

import samplers
from docs import alternatives, measure, performance_page
from lab.bench import cache_error, calls, cost_table, draws, starts
from lab.bench import decoder as decoder_module
from lab.bench.costs import Tape, costs, opened, sample
from lab.bench.decoder import decoder
from lab.bench.handwritten import Handwritten
from lab.bench.pairs import pairs
from lab.bench.timing import spread
from lab.cli import main
from lab.models.load import load
from lab.run.plan import plan
from lab.run.request import RunRequest
from samplers.noise import inverse_cdf
from tests.kit import tiny


def test_draw_is_compared_with_diffusers_in_every_setting(capsys):
    assert main(["bench", "--measure", "draws", "--vocabulary", "300", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert "top-p 0.9" in out.replace("\n", " ") and "diffusers" in out
    lines = draws.draws(64, 1)
    assert lines["setting"].tolist() == list(draws.SETTINGS)
    assert (lines["milliseconds"] > 0).all() and (lines["diffusers_over_ours"] > 0).all()


def test_step_that_is_timed_commits_most_confident():
    logits = torch.zeros(1, draws.POSITIONS, 50)
    logits[0, 7, 3] = 9.0
    tokens = draws._ours(logits, {"temperature": 0.0})()
    assert tokens[0, 7] == 3 and (tokens == 49).sum() == draws.POSITIONS - 1
    theirs = draws._theirs(logits, {"temperature": 0.0})()
    assert theirs[0, 7] == 3 and (theirs == 49).sum() == draws.POSITIONS - 1


def test_random_weights_come_in_sizes_of_qwen(monkeypatch):
    tiny = decoder_module.Size(32, 2, 4, 2, 16, 48, tied=False)
    monkeypatch.setitem(decoder_module.SIZES, "0.6B", tiny)
    names = ["margin", "max_prob", "dflash", "prism"]
    models = pairs(names, vocabulary=40, size="0.6B")
    assert models["margin"] is models["max_prob"]  # one for all that need the same
    for name, model in models.items():
        config = model.network.config
        assert (config.hidden_size, config.num_key_value_heads, config.head_dim) == (32, 2, 16)
        assert model.network.dtype == torch.bfloat16 and not config.tie_word_embeddings
        (cost,) = costs([plan(RunRequest(name, model, prompts=[[5, 6]], gen_length=4))], 1)
        assert cost.calls > 0
    with pytest.raises(ValueError, match=r"size must be one of small, 0\.6B, 4B, 8B, got 'huge'"):
        pairs(names, vocabulary=40, size="huge")


@pytest.mark.parametrize("sampler", ["llada2", "llada"])
def test_handwritten_model_answers_as_transformers_class(sampler):
    network = decoder(samplers.get(sampler).needs, 40).network
    ids = torch.randint(40, (1, 20), generator=torch.Generator().manual_seed(0))
    written = Handwritten(network)
    mask = torch.zeros(1, 1, 20, 20)
    with torch.no_grad():
        whole = network(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(written(ids, 0)[0], whole, atol=1e-4, rtol=1e-4)
    _, past = written(ids[:, :12], 0)
    parts, pairs = written(ids[:, 12:], 12, past, keep=3)
    mask[..., :12, 12:] = torch.finfo(torch.float32).min
    with torch.no_grad():
        causal = network(input_ids=ids, attention_mask=mask).logits[:, -3:]
    torch.testing.assert_close(parts, causal, atol=1e-4, rtol=1e-4)
    assert pairs[0][0].shape[2] == 20


def test_call_is_compared_where_answers_agree():
    lines = calls.calls(64, 1)
    assert lines["attention"].tolist() == ["block_causal", "full"]
    assert (lines["over_handwritten"] > 0).all()


def test_dual_cache_is_judged_where_it_is_used(tmp_path, monkeypatch, capsys):
    folder = str(tiny.write(tmp_path / "network", "full-absorbing"))
    monkeypatch.setattr(cache_error, "PROMPTS", ["One day the dog"])
    monkeypatch.setattr(cache_error, "GEN_LENGTH", 12)
    monkeypatch.setattr(cache_error, "BLOCK_LENGTHS", (1, 4))
    single, line = cache_error.cache_error(folder, 1).to_dict("records")
    assert math.isnan(single["mean_difference"]), "a block of one token is never asked about twice"
    params = {"block_length": 4, "steps": 4, "temperature": 0.0}
    request = RunRequest("llada", load(folder, dual_cache=True), ["One day the dog"],
                         gen_length=12, params=params)  # fmt: skip
    tape = Tape(opened(run := plan(request)))
    sample(run, tape)
    with_cache, gaps, same = opened(run), [], []
    for number, (_, tokens, how) in enumerate(tape.calls):
        ours = with_cache(tokens, **how)[0]
        theirs = load(folder).denoise(tokens, window=how["window"])[0]
        for place, token in enumerate(tokens[0, how["window"]].tolist()):
            if number % 4 and token == run.canvas.mask_id:
                both = [each[place].softmax(-1) for each in (ours, theirs)]
                possible = both[1] > 0
                gaps.append((both[0].log() - both[1].log()).abs()[possible])
                same.append(float(ours[place].argmax() == theirs[place].argmax()))
    assert line["calls"] == len(tape.calls) > 4 and line["model"] == "full-absorbing"
    assert line["columns_fed"] == int(tape.denoise.columns_fed.sum())
    assert line["mean_difference"] == pytest.approx(float(torch.cat(gaps).mean()), rel=1e-3)
    assert line["largest_difference"] == pytest.approx(float(torch.cat(gaps).max()), rel=1e-3)
    assert line["same_prediction"] == pytest.approx(sum(same) / len(same), abs=1e-5)
    assert line["mean_difference"] > 0.001 and line["without_over_with"] > 0
    command = ["bench", "--measure", "dual-cache", "--model", folder, "--repeats", "1"]
    assert main(command) == 0 and "nats" in capsys.readouterr().out
    assert main([*command[:4], "capitals"]) == 2 and "capitals is none" in capsys.readouterr().err


def test_start_is_timed_in_process_of_its_own(monkeypatch):
    monkeypatch.setattr(starts, "_page", lambda: 0.5)
    monkeypatch.setattr(starts, "_process", lambda *arguments: len(arguments) / 10)
    lines = starts.starts(3)
    assert lines["start"].tolist()[0] == "nothing" and len(lines) == 5
    assert lines["seconds"].tolist() == pytest.approx([0.2, 0.2, 0.3, 0.2, 0.5])


@pytest.mark.parametrize("repeats", [0, "x"])
@pytest.mark.parametrize("what", ["draws", "calls", "starts", "dual-cache"])
def test_repeats_out_of_range_are_refused(what, repeats, capsys):
    assert main(["bench", "--measure", what, "--repeats", str(repeats)]) == 2
    assert "repeats must be a whole number from 1 to 1000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("starts", "--vocabulary=64"),
        ("draws", "--rows=2"),
        ("calls", "--steps=4"),
        ("dual-cache", "--dual-cache"),
    ],
)
def test_option_that_measure_ignores_is_refused(what, more, capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "--measure", what, more])
    flag = more.split("=")[0]
    assert end.value.code == 2
    assert f"{flag} is not looked at by --measure {what}; it takes --" in capsys.readouterr().err


def test_table_in_words_hides_machine_and_empty_columns():
    one = {"sampler": "mdlm", "settings": "{}", "peer_name": "", "device": "cpu", "cores": 2}
    lines = pd.DataFrame([one | spread([1.5]).columns("sampling")
                          | {f"peer{end}": math.nan for end in ("", "_low", "_high")}])  # fmt: skip
    table = cost_table.readable(lines)
    assert table.columns.tolist() == ["Sampler", "Sampling / calls alone"]
    assert table.iloc[0].tolist() == ["mdlm", "1.500 [1.500, 1.500]"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results; each call writes one."""
    monkeypatch.setattr(performance_page, "FOLDER", tmp_path)
    performance_page.result.cache_clear()
    yield lambda name, lines: pd.DataFrame(lines).to_csv(tmp_path / f"{name}.csv", index=False)
    performance_page.result.cache_clear()


def test_alternatives_do_what_ours_do(results):
    two = {"argmax", "full sort"}
    for way in alternatives.ways(3000):
        if any(word in way.text for word in two):
            torch.testing.assert_close(way.theirs(), way.ours())
            two = {word for word in two if word not in way.text}
    assert not two
    weights, u = torch.rand(9, 50).double(), torch.rand(9).double()
    assert torch.equal(alternatives.narrow_sums(weights, u), inverse_cdf(weights, u))
    lines = alternatives.alternatives(64, 1)
    assert len(lines) == 6 and (lines["over_ours"] > 0).all()
    results("alternatives", lines)
    assert performance_page.alternatives().count("\n| ") == 7


def stories(**ratios):
    """Lines of a table of runs, {sampler: ratio}."""
    return [
        {"sampler": name, "model": "stories-mdlm", **spread([value]).columns("sampling"),
         **spread([value + 0.1]).columns("recording")} for name, value in ratios.items()
    ]  # fmt: skip


def test_page_says_which_goals_are_reached(results):
    assert "Not measured yet" in performance_page.by_sampler()
    results("stories-greedy", stories(llada2=1.02, mdlm=1.09))
    performance_page.result.cache_clear()
    lines = performance_page.goals().splitlines()
    few, every = (next(line for line in lines if text in line)
                  for text in ("alone, T = 0, llada2", "every sampler"))  # fmt: skip
    assert few.endswith("| at most 1.03 | 1.02 | yes |")
    assert every.endswith("| at most 1.06 | 1.09 (mdlm) | no |")
    assert "| `llada2` | 1.020 / 1.120 |  |  |  |" in performance_page.by_sampler()
    assert performance_page.figure().count("<circle") == 4


def test_measurements_are_commands_that_parse(monkeypatch, tmp_path, capsys):
    commands = []
    monkeypatch.setattr(measure, "FOLDER", tmp_path)
    monkeypatch.setattr(measure, "command", lambda words: commands.append(words) or 0)
    for name in measure.TABLES:
        monkeypatch.setitem(measure.TABLES, name, lambda: pd.DataFrame([{"table": "a"}]))
    assert measure.main([]) == 0 and len(commands) == len(measure.RUNS)
    assert {file.stem for file in tmp_path.iterdir()} == set(measure.TABLES)
    assert measure.main(["nope"]) == 2 and "no measurement 'nope'" in capsys.readouterr().out
    known = {goal.name for goal in performance_page.GOALS} | set(performance_page.COLUMNS.values())
    assert known <= {*measure.RUNS, *measure.TABLES}
