"""What `python -m lab bench` compares: the same calls, the same tokens, ratios of one repeat."""

import json
from importlib.metadata import version

import pandas as pd
import pytest
import torch

import lab
import samplers
from lab.bench import cost_table, costs, pairs, peers, timing
from lab.cli import main
from lab.run.plan import plan
from lab.run.request import RunRequest
from tests.kit import published, refinement, tiny

BLOCK = "block-absorbing"
SETTINGS = {"gen_length": 12, "params": {"block_length": 4, "steps": 4}}


def planned(sampler, kind, **more):
    known = {**SETTINGS, **more}
    names = {param.name for param in samplers.get(sampler).params}
    params = {name: value for name, value in known.pop("params").items() if name in names}
    return plan(RunRequest(sampler, tiny.networks()[kind], "One day the", params=params, **known))


@pytest.mark.parametrize(
    ("sampler", "kind"),
    [("llada2", BLOCK), ("mdlm", "full-absorbing"), ("dflash", tiny.DRAFTED),
     ("self_speculation", tiny.JOINT), ("freedave", "full-absorbing")],
)  # fmt: skip
def test_calls_alone_are_sampler_own(sampler, kind, monkeypatch):
    run_plan, heard = planned(sampler, kind, seed=4), []
    model = type(run_plan.model)

    def listen(name, real):
        def noted(self, tokens, visible, window, *more):
            heard.append((name, tokens.tolist(), window))
            return real(self, tokens, visible, window, *more)

        monkeypatch.setattr(model, name, noted)

    for name in ("forward", "draft", "block_mode"):
        listen(name, getattr(model, name))
    length = run_plan.values.get("block_length")
    tape = costs.Tape(run_plan.model.open(run_plan.canvas, length))
    tokens = costs.sample(run_plan, tape)
    first, heard[:] = list(heard), []
    costs.replay(run_plan.model.open(run_plan.canvas, length), tape)
    assert heard == first and len(first) == len(tape.calls) > 3
    drafts = {"dflash": {"draft"}, "self_speculation": {"block_mode"}}.get(sampler, set())
    assert {name for name, *_ in first} == {"forward"} | drafts
    (run,) = lab.run(
        sampler, run_plan.model, "One day the", gen_length=12, seed=4, **run_plan.values
    )
    assert run.tokens[-1].tolist() == tokens[0].tolist(), "the run that is timed is the run"


def test_every_canvas_of_pass_is_call():
    run_plan = planned("freedave", "full-absorbing", seed=4)
    (cost,) = costs.costs([run_plan], 1)
    (run,) = lab.run("freedave", run_plan.model, "One day the", gen_length=12, seed=4,
                     **run_plan.values)  # fmt: skip
    assert cost.calls == run.calls[-1] > len(run.calls)


def test_ratio_is_median_of_repeats_own_and_each_side_goes_first(monkeypatch):
    clock, order = [0.0], []
    # Of the warm-up and three repeats: the machine slows down, and something gets in between once.
    seconds = {"alone": [7, 1, 10, 100], "sampling": [7, 50, 20, 200], "recording": [7, 3, 30, 300]}
    left = {side: iter(times) for side, times in seconds.items()}

    def passes(side):
        def run(plan, denoise=None):
            if side == "sampling" and isinstance(denoise, costs.Tape):
                denoise.calls += [("__call__", None, {}), ("draft", None, {})]
                return torch.zeros(1, 4)
            order.append(side)
            clock[0] += next(left[side])

        return run

    for side, name in (("alone", "replay"), ("sampling", "sample"), ("recording", "_record")):
        monkeypatch.setattr(costs, name, passes(side))
    monkeypatch.setattr(timing, "thread_time", lambda: clock[0])
    (cost,) = costs.costs([planned("mdlm", "full-absorbing")], 3)
    assert cost.calls == 1 and cost.milliseconds == (10_000, 5500, 55_000)
    assert cost.sampling == (2, 2, 26) and cost.recording == (3, 3, 3)
    assert cost.peer == timing.NOTHING and cost.same is None
    assert order[3:] == [*seconds, "sampling", "recording", "alone", "recording", "alone",
                         "sampling"]  # fmt: skip


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_diffusers_writes_same_tokens_where_it_can_be_compared(threshold):
    # A prompt of whole blocks: what is left of a block they share out otherwise (test L2). The
    # model is confident enough of other tokens to edit, were it asked to.
    model = lab.wrap(tiny.Fake(refinement.network(2)), tiny.card(refinement.V, eos_ids=()))
    params = {"block_length": 4, "steps": 4, "threshold": threshold}
    run_plan = plan(RunRequest("llada2", model, [[5, 6, 7, 8]], gen_length=12, params=params))
    (cost,) = costs.costs([run_plan], 1, peers.peers([run_plan], "diffusers"))
    assert cost.same is True and cost.peer.median > 0 and cost.peer_name == "diffusers"


@pytest.mark.parametrize("sampler", ["autoregressive", "dflash"])
def test_transformers_writes_same_tokens_where_compared(sampler):
    run_plan = planned(sampler, tiny.DRAFTED, params={"temperature": 0.0})
    (cost,) = costs.costs([run_plan], 1, peers.peers([run_plan], "transformers"))
    assert cost.same is True and cost.peer.median > 0


def test_transformers_decodes_shipped_models_with_cache():
    """Their configs leave the cache out, as training has none."""
    for sampler in ("autoregressive", "dflash"):
        request = RunRequest(sampler, "stories", "One day", gen_length=8, params={"temperature": 0})
        (cost,) = costs.costs([plan(request)], 1, peers.peers([plan(request)], "transformers"))
        assert cost.same is True


@pytest.mark.parametrize("sampler", ["uniform", "renoise"])
def test_another_algorithm_is_compared_by_call(sampler):
    model = published.load(published.GEMMA)
    request = RunRequest(sampler, model, "One day", gen_length=model.most, params={"steps": 3})
    (peer,) = peers.peers([plan(request)], "transformers")
    peer.run()
    assert 1 <= peer.calls() <= 3
    (cost,) = costs.costs([plan(request)], 1, [peer])
    assert cost.same is None and cost.peer.median > 0


def test_call_of_peer_that_makes_fewer_is_what_counts(monkeypatch):
    run_plan, clock = planned("mdlm", "full-absorbing"), [0.0]

    def takes(seconds):
        def side(*_):
            clock[0] += seconds
            return torch.zeros(1, run_plan.canvas.tokens.shape[1], dtype=torch.int64)

        return side

    plain = costs.sample
    monkeypatch.setattr(costs, "replay", takes(1.0))
    monkeypatch.setattr(timing, "thread_time", lambda: clock[0])
    monkeypatch.setattr(costs, "sample", lambda *arguments: (takes(1.0)(), plain(*arguments))[1])
    peer = peers.Peer("another", takes(6.0), lambda: 2)
    (cost,) = costs.costs([run_plan], 1, [peer])
    assert cost.calls == 4 and cost.peer.median == pytest.approx(6 / 2 * 4)


@pytest.mark.parametrize(
    "more",
    [{"rows": 2}, {"params": {"block_length": 4, "temperature": 0.5}},
     {"params": {"block_length": 4, "editing_threshold": 0.9}}],
)  # fmt: skip
def test_what_diffusers_does_otherwise_is_not_compared(more):
    kind = "block-hybrid" if "editing_threshold" in more.get("params", {}) else BLOCK
    with pytest.raises(ValueError, match="diffusers has nothing to compare with these runs"):
        peers.peers([planned("llada2", kind, **more)], "diffusers")
    masked = plan(RunRequest("llada2", tiny.networks()[BLOCK], template="One [MASK]*3 day",
                params={"block_length": 4}))  # fmt: skip
    mine = planned("llada2", BLOCK)
    assert [each is None for each in peers.peers([masked, mine], "diffusers")] == [True, False]


@pytest.mark.parametrize("library", ["nope", "", "spaces_not_there"])
def test_unknown_library_is_refused(library):
    with pytest.raises(ValueError, match="--against must be"):
        peers.peers([planned("llada2", BLOCK)], library)


def test_every_sampler_has_model_with_and_without_weights():
    for each in (pairs.pairs(), pairs.pairs(vocabulary=64)):
        assert list(each) == list(samplers.SAMPLERS)
        for name, model in each.items():
            assert samplers.get(name).misfit(model.card) is None
    assert {model.card.vocab_size for model in each.values()} == {64}
    ids = pairs.prompt_for(model, 50, None)[0]
    special = {model.card.mask_id, *model.card.eos_ids}
    assert len(ids) == 50 and len(set(ids)) > 20 and not special & set(ids)
    assert pairs.prompt_for(model, 50, None) == [ids]
    assert pairs.prompt_for(model, None, "a text") == "a text"


def test_random_decoder_runs_under_its_sampler():
    for name in ("llada2", "dflash", "self_speculation", "hybrid", "uniform"):
        (model,) = pairs.pairs([name], vocabulary=32).values()
        (run,) = lab.run(name, model, [[5, 6, 7]], gen_length=4)
        assert run.calls[-1] > 0 and 1 not in run.output


def test_command_prints_line_sampler_and_writes_it(tmp_path, capsys):
    files = [tmp_path / "bench.csv", tmp_path / "bench.parquet"]
    arguments = ["bench", "--task", "capitals", "--samplers", "mdlm,llada2", "--steps", "4",
             "--csv", str(files[0]), "--parquet", str(files[1]), "--repeats", "1"]  # fmt: skip
    assert main(arguments) == 0
    out = capsys.readouterr().out
    cost = pd.read_csv(files[0], keep_default_na=False, na_values=["nan"])
    assert cost["sampler"].tolist() == ["mdlm", "llada2"] and (cost["calls"] > 0).all()
    assert (cost["recording"] > 0).all() and (cost["columns_fed"] > cost["calls"]).all()
    assert json.loads(cost["settings"][0]) == {"steps": 4} and cost["device"][0] == "cpu"
    assert "mdlm" in out and f"torch {version('torch')}" in out
    columns = ["sampler", "settings", "calls", "columns_fed", "processor", "torch", "cores"]
    pd.testing.assert_frame_equal(pd.read_parquet(files[1])[columns], cost[columns],
                                  check_dtype=False)  # fmt: skip
    for repeats in ("0", "x"):
        assert main([*arguments[:-6], "--repeats", repeats]) == 2
        assert "repeats must be a whole number from 1 to 1000" in capsys.readouterr().err


def test_model_of_fixed_length_keeps_it_among_others(capsys, monkeypatch):
    monkeypatch.setattr(costs, "costs", lambda plans, repeats, peers: [print(plans[0].canvas)])
    monkeypatch.setattr(cost_table, "lines", lambda costs: pd.DataFrame())
    monkeypatch.setattr(cost_table, "readable", lambda lines: lines)
    monkeypatch.setattr(cost_table, "one_machine", lambda lines: "")
    monkeypatch.setattr("lab.cli._aligned", str)
    lengths = ["--gen-length", "100", "--prompt-length", "100"]
    assert main(["bench", "--samplers", "uniform", *lengths]) == 0
    assert main(["bench", "--samplers", "uniform", "--task", "capitals", *lengths]) == 2
    assert "the length of capitals-uniform" in capsys.readouterr().err
