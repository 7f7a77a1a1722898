"""What `python -m lab bench` compares: the same calls, the same tokens, ratios of one repeat."""

import pandas as pd
import pytest
import torch

import lab
import samplers
from lab.cli import main
from lab.run import bench
from lab.run.plan import plan
from lab.run.request import RunRequest
from tests.kit import refinement, tiny

BLOCK = "block-absorbing"
SETTINGS = {"gen_length": 12, "params": {"block_length": 4, "steps": 4}}


def planned(sampler, kind, **more):
    known = {**SETTINGS, **more}
    names = {param.name for param in samplers.get(sampler).params}
    params = {name: value for name, value in known.pop("params").items() if name in names}
    return plan(RunRequest(sampler, tiny.networks()[kind], "One day the", params=params, **known))


@pytest.mark.parametrize(
    ("sampler", "kind"),
    [("llada2", BLOCK), ("mdlm", "full-absorbing"), ("dflash", tiny.DRAFTED)],
)
def test_calls_alone_are_sampler_own(sampler, kind, monkeypatch):
    run_plan, heard = planned(sampler, kind, seed=4), []
    model = type(run_plan.model)

    def listen(name, real):
        def noted(self, tokens, visible, window, *more):
            heard.append((name, tokens.tolist(), window))
            return real(self, tokens, visible, window, *more)

        monkeypatch.setattr(model, name, noted)

    for name in ("forward", "draft"):
        listen(name, getattr(model, name))
    length = run_plan.values.get("block_length")
    tape = bench.Tape(run_plan.model.open(run_plan.canvas, length))
    tokens = bench._sample(run_plan, tape)
    first, heard[:] = list(heard), []
    bench._replay(run_plan.model.open(run_plan.canvas, length), tape)
    assert heard == first and len(first) == len(tape.calls) > 3
    assert sampler != "dflash" or {name for name, *_ in first} == {"forward", "draft"}
    (run,) = lab.run(
        sampler, run_plan.model, "One day the", gen_length=12, seed=4, **run_plan.values
    )
    assert run.tokens[-1].tolist() == tokens[0].tolist(), "the run that is timed is the run"


def test_ratio_is_median_of_repeats_own_and_each_side_goes_first(monkeypatch):
    clock, order = [0.0], []
    # Of the warm-up and three repeats: the machine slows down, and something gets in between once.
    seconds = {"alone": [7, 1, 10, 100], "sampling": [7, 50, 20, 200], "recording": [7, 3, 30, 300]}
    left = {side: iter(times) for side, times in seconds.items()}

    def passes(side):
        def run(plan, denoise=None):
            if side == "sampling" and isinstance(denoise, bench.Tape):
                denoise.calls += [("__call__", None, {}), ("draft", None, {})]
                return torch.zeros(1, 4)
            order.append(side)
            clock[0] += next(left[side])

        return run

    for side, name in (("alone", "_replay"), ("sampling", "_sample"), ("recording", "_record")):
        monkeypatch.setattr(bench, name, passes(side))
    monkeypatch.setattr(bench, "thread_time", lambda: clock[0])
    (cost,) = bench.costs([planned("mdlm", "full-absorbing")], 3)
    assert (cost.calls, cost.milliseconds, cost.sampling, cost.recording) == (1, 10_000, 2, 3)
    assert cost.diffusers != cost.diffusers and cost.same is None
    assert order[3:] == [*seconds, "sampling", "recording", "alone", "recording", "alone",
                         "sampling"]  # fmt: skip


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_diffusers_writes_same_tokens_where_it_can_be_compared(threshold):
    # A prompt of whole blocks: what is left of a block they share out otherwise (test L2). The
    # model is confident enough of other tokens to edit, were it asked to.
    model = lab.wrap(tiny.Fake(refinement.network(2)), tiny.card(refinement.V, eos_ids=()))
    params = {"block_length": 4, "steps": 4, "threshold": threshold}
    run_plan = plan(RunRequest("llada2", model, [[5, 6, 7, 8]], gen_length=12, params=params))
    (cost,) = bench.costs([run_plan], 1)
    assert cost.same is True and cost.diffusers > 0


@pytest.mark.parametrize(
    "more",
    [{"rows": 2}, {"params": {"block_length": 4, "temperature": 0.5}},
     {"params": {"block_length": 4, "editing_threshold": 0.9}}],
)  # fmt: skip
def test_what_diffusers_does_otherwise_is_not_compared(more):
    kind = "block-hybrid" if "editing_threshold" in more.get("params", {}) else BLOCK
    assert not bench.comparable(planned("llada2", kind, **more))
    masked = plan(RunRequest("llada2", tiny.networks()[BLOCK], template="One [MASK]*3 day",
                params={"block_length": 4}))  # fmt: skip
    assert not bench.comparable(masked) and bench.comparable(planned("llada2", BLOCK))


def test_command_prints_line_sampler_and_writes_it(tmp_path, capsys):
    file = tmp_path / "bench.csv"
    arguments = ["bench", "--task", "capitals", "--samplers", "mdlm,llada2", "--steps", "4",
             "--repeats", "1", "--csv", str(file)]  # fmt: skip
    assert main(arguments) == 0
    cost = pd.read_csv(file)
    assert cost["Sampler"].tolist() == ["mdlm", "llada2"] and (cost["Model calls"] > 0).all()
    assert (cost["Recording / calls alone"] > 0).all() and "mdlm" in capsys.readouterr().out
    for repeats in ("0", "x"):
        assert main([*arguments[:-4], "--repeats", repeats]) == 2
        assert "repeats must be a whole number from 1 to 1000" in capsys.readouterr().err
