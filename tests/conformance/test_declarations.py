"""What a sampler declares about its parameters is all that the lab knows of them.

`second_look` is registered by these tests alone: it edits under `revise_below`, makes two calls a
round, and ends rows at an EOS under `halt`, names that no other code has heard of.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
import pytest
import torch

import lab
import samplers
from lab.record.figure_data import confidence_info, order_info
from lab.record.figures import plot_confidence, plot_order
from lab.run import limits
from lab.run.plan import plan
from lab.run.request import RunRequest
from samplers import kernels
from samplers.canvas import Canvas, Denoiser, Step, write
from samplers.noise import Noise
from samplers.registry import SAMPLERS, Flag, Needs, Range, sampler
from tests.kit import tiny
from tests.kit.laws import check, record

V, EOS, MASK = 8, 6, 7
FIRST, SECOND = 1, 2  # what the model predicts of a masked position, and of a written one


def second_look(
    denoise: Denoiser,
    canvas: Canvas,
    noise: Noise,
    *,
    rounds: Annotated[int, Range(1, 64, 1, "Rounds of two calls.")] = 2,
    revise_below: Annotated[float, Range(0, 1, 0.01, "Doubt below this.")] | None = 0.5,
    reach: Annotated[bool, Flag("Go past the context.")] = False,
    halt: Annotated[bool, Flag("End at the first EOS.")] = True,
) -> Iterator[Step]:
    """Fill a share, then look at every written token again."""
    x = canvas.tokens
    (window,) = canvas.blocks()
    count = canvas.masked(x, window).sum(-1)
    ends = halt and revise_below is None
    for number in range(rounds):
        masked = canvas.masked(x, window, canvas.finished(x) & ends)
        rows = masked.any(-1)
        predicted = denoise(x, window=window, rows=rows).argmax(-1)
        place = torch.arange(masked.shape[1]).expand_as(masked)
        leftmost = (-place).double().where(masked, -torch.inf)
        commit = kernels.top_k(leftmost, kernels.share(count, rounds, number))
        x = write(x, window, commit, predicted)
        yield Step(x, window, predicted)
        rows = rows & ~(canvas.finished(x) & ends)
        if not rows.any():
            return
        logits = denoise(x, window=window, rows=rows)
        here = x[:, window]
        standing = logits.softmax(-1).gather(-1, here[..., None])[..., 0]
        change = (here != canvas.mask_id) & rows[:, None] & canvas.writable[:, window]
        change = change & (standing < (revise_below or 0.0))
        x = write(x, window, change, logits.argmax(-1))
        yield Step(x, window, logits.argmax(-1))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The registry holds `second_look` during a test of this file."""
    register = sampler(
        title="Second look",
        paper="",
        guarantee="deterministic",
        needs=Needs(frozenset({"absorbing"}), frozenset({"full"})),
        layout="whole",
        revises=lambda values: None if values["revise_below"] is None else "edits",
        budget=lambda values, masked, cached, columns: 2 * values["rounds"] * len(masked),
        eos_rule=lambda values: values["halt"] and values["revise_below"] is None,
        slides=lambda values: values["reach"],
    )
    register(second_look)
    yield
    del SAMPLERS["second_look"]


def model(**facts):
    """Of masks it predicts an EOS in column 2 and FIRST elsewhere; of what is written, SECOND."""

    def answer(ids):
        best = torch.where(ids == MASK, FIRST, SECOND)
        best[:, 2:3] = torch.where(ids[:, 2:3] == MASK, EOS, SECOND)
        return torch.nn.functional.one_hot(best, V).float() * 3

    return lab.wrap(answer, tiny.card(V, attention="full", eos_ids=(EOS,), **facts))


def run(**values):
    result = record("second_look", model(), [[0]], gen_length=4, **values)
    check(result)
    return result


def standing_probability(ahead=0.0):
    """The softmax at temperature 1 of a token `ahead` of all others by 3, or of one of them."""
    return math.exp(ahead) / (math.exp(3) + V - 2)  # the mask has no share


def test_budget_is_declared_one():
    columns, rows = 5, 3
    planned = plan(
        RunRequest("second_look", model(), [[0]] * rows, gen_length=4, params={"rounds": 4})
    )
    assert planned.work == 2 * 4 * columns * rows
    assert run(rounds=2).frames[-1].calls.tolist() == [4]


def test_budget_beyond_limit_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "WORK", replace(limits.WORK, most=39))
    with pytest.raises(ValueError, match="got 8 x 5 x 1 = 40"):
        plan(RunRequest("second_look", model(), [[0]], gen_length=4, params={"rounds": 4}))
    plan(RunRequest("second_look", model(), [[0]], gen_length=4, params={"rounds": 3}))


def test_edits_settle_eos_at_end():
    result = run()
    (one,) = result.trajectories()
    assert one.tokens[1].tolist() == [0, FIRST, EOS, MASK, MASK]
    assert one.output == [SECOND] * 4 and one.edits.sum() == 4 and one.commits.sum() == 4
    assert not any(frame.finished.any() for frame in result.frames), "an EOS that may go again"


def test_final_eos_ends_row_at_once():
    result = run(revise_below=None)
    (one,) = result.trajectories()
    assert one.output == [FIRST, EOS] and not one.edits.any()
    assert [bool(frame.finished[0]) for frame in result.frames] == [False, True]


def test_eos_is_passed_by_where_rows_do_not_stop():
    result = run(revise_below=None, halt=False)
    assert result.frames[-1].tokens.tolist() == [[0, FIRST, EOS, FIRST, FIRST]]
    assert not any(frame.finished.any() for frame in result.frames)
    assert result.trajectories()[0].output == [FIRST, EOS]


def test_standing_tokens_are_judged_again_where_edits_may_come():
    judged = run(revise_below=0.01).trajectories()[0].confidence
    cached = run(revise_below=None, halt=False).trajectories()[0].confidence
    first, again = standing_probability(3), standing_probability()
    assert judged[0, 1] == cached[0, 1] == pytest.approx(first)
    assert judged[1, 1] == pytest.approx(again), "the second call doubts what the first wrote"
    assert cached[1, 1] == pytest.approx(first)


def test_figures_show_edits_and_new_confidence():
    (one,) = run().trajectories()
    (heatmap,), (order,) = confidence_info([one]).panels, order_info([one]).panels
    assert not np.isnan(heatmap.confidence[-1]).any()
    assert heatmap.text[1][0].endswith("edited") and heatmap.text[0][0].endswith("committed")
    assert order.step.tolist() == [2, 2, 4, 4]
    assert plot_confidence(confidence_info([one])).data and plot_order(order_info([one])).data


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_export_reads_back_equal(tmp_path, suffix):
    runs = run().trajectories()
    lab.save(runs, tmp_path / f"run.{suffix}")
    (back,) = lab.read(tmp_path / f"run.{suffix}")
    assert back == runs[0] and back.settings["params"] == runs[0].settings["params"]
    assert back.settings["params"]["revise_below"] == 0.5


def test_context_may_slide_only_where_it_is_declared():
    short = model(context=4)
    with pytest.raises(ValueError, match="at most 4, the context of"):
        plan(RunRequest("second_look", short, [[0]], gen_length=4))
    assert plan(RunRequest("second_look", short, [[0]], gen_length=4, params={"reach": True}))


# What the samplers that ship declare: plain numbers for two blocks of 3 and 4 masked positions.

MASKED = [3, 4]
CALLS = [  # sampler, parameters, most calls (answers kept, answers not kept)
    ("llada2", {"steps": 2}, 4, 4),
    ("llada2", {"steps": 32}, 7, 64),
    ("llada2", {"steps": 2, "editing_threshold": 0.0, "max_post_steps": 5}, 14, 14),
    ("mdlm", {"steps": 128}, 7, 256),
    ("mdlm", {"steps": 2, "sampling_eps": 1e-5}, 5, 5),
    ("mdlm", {"steps": 2, "stride": 3}, 12, 12),
    ("mdlm", {"steps": 2, "stride": 3, "sampling_eps": 1e-5}, 15, 15),
    ("remdm", {"steps": 8}, 16, 16),
    ("remdm", {"steps": 8, "sampling_eps": 1e-5}, 17, 17),
    ("hybrid", {"steps": 8}, 16, 16),
    ("hybrid", {"steps": 8, "self_correction": True}, 32, 32),
    ("uniform", {"steps": 8}, 16, 16),
    ("uniform", {"steps": 8, "corrector": 2}, 32, 32),
    ("bd3lm", {"steps": 5000}, 7, 7),
    ("bd3lm", {"steps": 8, "first_hitting": False}, 7, 16),
    ("first_hitting", {"steps": 2}, 4, 4),
    ("first_hitting", {}, 7, 7),
    ("llada", {"steps": 2}, 4, 4),
    ("llada", {"steps": 2, "guidance": 0.0}, 4, 4),
    ("llada", {"steps": 2, "guidance": 1.5}, 8, 8),
    ("sdar", {"steps": 3}, 6, 6),
    ("sdar", {"steps": 1, "block_length": 4, "sub_block": 2}, 4, 4),
    ("dream", {"steps": 512}, 7, 1024),
    ("threshold", {}, 7, 7),
    ("entropy_bound", {}, 7, 7),
    ("margin", {"steps": 2}, 4, 4),
    ("max_prob", {}, 7, 2048),
    ("autoregressive", {}, 7, 7),
    ("dflash", {}, 7, 7),
    ("renoise", {"steps": 8}, 16, 16),
    ("adaptive_parallel", {}, 7, 7),
    ("fk_steering", {"steps": 8}, 64, 64),
    ("fk_steering", {"steps": 2, "particles": 3}, 12, 12),
    ("self_speculation", {}, 10, 10),
    ("self_speculation", {"width": 2, "threshold": 0.9}, 10, 10),
    ("self_speculation", {"threshold": 0.9}, 11, 11),
    ("freedave", {"drafts": 1}, 7, 7),
    ("freedave", {"drafts": 2}, 10, 10),
    ("freedave", {}, 11, 11),
    ("pc", {"steps": 2}, 4, 4),
    ("prism", {"steps": 2}, 4, 4),
    ("prism", {"steps": 3, "remask_count": 0}, 6, 6),
    ("prism", {}, 7, 7),
    ("wino", {}, 7, 7),
    ("saber", {}, 7, 7),
    ("psi", {"steps": 8}, 16, 16),
    ("klass", {}, 7, 7),
    ("p2", {"steps": 8}, 16, 16),
    ("p2", {"steps": 8, "eta": 0.0}, 7, 7),
]


def test_budget_of_every_sampler_is_in_table():
    assert {name for name, *_ in CALLS} == set(SAMPLERS) - {"second_look"}


@pytest.mark.parametrize(("name", "values", "cached", "fresh"), CALLS, ids=str)
def test_budget_of_shipped_sampler_in_plain_numbers(name, values, cached, fresh):
    entry = samplers.get(name)
    bound = entry.bind(values)
    columns = sum(MASKED) + 1  # one pinned position between
    assert entry.most_calls(bound, MASKED, True, columns) == cached
    assert entry.most_calls(bound, MASKED, False, columns) == fresh


REVISIONS = [
    ("llada2", {}, None),
    ("llada2", {"editing_threshold": 0.0}, "edits"),
    ("mdlm", {}, None),
    ("mdlm", {"stride": 8}, "remasks"),
    ("remdm", {}, "remasks"),
    ("remdm", {"eta": 0.0}, "remasks"),
    ("renoise", {}, "edits"),
    ("fk_steering", {}, "remasks"),
    ("prism", {}, "remasks"),
    ("wino", {}, "remasks"),
    ("saber", {}, "remasks"),
    ("hybrid", {}, "edits"),
    ("uniform", {}, "edits"),
    ("bd3lm", {"sliding_window": True}, None),
]


@pytest.mark.parametrize(("name", "values", "revision"), REVISIONS, ids=str)
def test_revision_of_shipped_sampler(name, values, revision):
    entry = samplers.get(name)
    assert entry.revision(entry.bind(values)) == revision


def test_eos_rule_and_context_of_shipped_samplers():
    stops = {name: one.stops_at_eos(one.bind()) for name, one in SAMPLERS.items()}
    assert {name for name, stop in stops.items() if not stop} == {
        "remdm", "hybrid", "uniform", "second_look", "p2", "psi", "fk_steering",
    }  # fmt: skip
    for name, one in SAMPLERS.items():
        values = {key: value for key, value in (("sliding_window", True), ("eos_early_stop", False))
                  if key in {param.name for param in one.params}}  # fmt: skip
        assert not one.exceeds_context(one.bind())
        assert one.exceeds_context(one.bind(values)) == (name == "bd3lm")
        if "eos_early_stop" in values:
            assert not one.stops_at_eos(one.bind(values))
