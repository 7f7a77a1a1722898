"""The recorder: what it records, read off the frames by plain loops, live and at the end."""

import tracemalloc

import numpy as np
import pytest
import torch

import lab
from lab.models.wrap import Wrapped
from lab.record.row_record import RecordedSteps
from lab.run.prompts import row_texts
from lab.run.recorder import Recorder
from tests.kit import tiny
from tests.kit.laws import record, start

RUNS = [
    ("llada2", "block-absorbing", {"block_length": 4, "editing_threshold": 0.1}),
    ("mdlm", "full-absorbing", {"steps": 5, "temperature": 1.0}),
    ("hybrid", "full-hybrid", {"steps": 6}),
    ("uniform", "full-uniform", {"steps": 4}),
    ("bd3lm", "block-absorbing", {"block_length": 4}),
    ("dflash", "causal-drafted", {}),
]
PROMPTS = [[60, 61, 62], [70]]


def expected(run, row: int) -> dict[str, np.ndarray]:
    """The arrays of a Trajectory, gathered from frames alone."""
    canvas, frames = run.plan.canvas, run.frames
    columns = np.flatnonzero(canvas.visible[row].numpy())
    writable = np.flatnonzero(canvas.writable[row].numpy())
    if canvas.layout == "first":
        writable = columns
    lines = {"tokens": [frames[0].tokens[row, columns]]}
    for frame in frames[1:]:
        if not frame.active[row]:
            continue
        lines["tokens"].append(frame.tokens[row, columns])
        for name, fill in (("predicted", -1), ("entropy", np.nan), ("score", np.nan)):
            line = np.full(canvas.tokens.shape[1], fill, np.float64)
            inside = [c for c in range(frame.window.start, frame.window.stop)
                      if writable[0] <= c <= writable[-1]]  # fmt: skip
            for column in inside:
                line[column] = getattr(frame, name)[row, column - frame.window.start]
            lines.setdefault(name, []).append(line[columns])
        for name in ("calls", "seconds", "model_seconds", "block"):
            lines.setdefault(name, []).append(getattr(frame, name)[row])
        lines.setdefault("start", []).append(inside[0] - columns[0])
        lines.setdefault("stop", []).append(inside[-1] + 1 - columns[0])
    return {name: np.array(values) for name, values in lines.items()}


@pytest.mark.parametrize(("sampler", "kind", "params"), RUNS, ids=lambda x: str(x)[:12])
def test_trajectory_is_what_frames_show(sampler, kind, params):
    run = record(sampler, tiny.networks()[kind], PROMPTS, gen_length=9, seed=2, **params)
    for row, trajectory in enumerate(run.trajectories()):
        for name, values in expected(run, row).items():
            mine = getattr(trajectory, name)
            assert mine.shape == values.shape, name
            assert np.allclose(mine, values, rtol=0, atol=1e-6, equal_nan=True), name


def test_window_of_shorter_template_ends_with_it():
    templates = [[60, 0, 0, 61], [60, 0, 62, 0, 0]]
    run = record("llada", tiny.networks()["full-absorbing"], template=templates, steps=2)
    shorter, longer = run.trajectories()
    assert set(shorter.stop) == {3} and set(longer.stop) == {5}
    for row, trajectory in enumerate((shorter, longer)):
        assert np.array_equal(trajectory.predicted, expected(run, row)["predicted"])


@pytest.mark.parametrize(("sampler", "kind", "params"), RUNS, ids=lambda x: str(x)[:12])
def test_live_steps_add_up_to_trajectory(sampler, kind, params):
    live = start(sampler, tiny.networks()[kind], PROMPTS, gen_length=9, seed=2, **params)
    parts: list[list[RecordedSteps]] = [[], []]
    for number, _ in enumerate(live):
        for row in range(live.rows):
            if number % (2 + row) == 0:
                since = sum(len(part.calls) for part in parts[row])
                parts[row].append(live.steps_since(row, since))
    for row, trajectory in enumerate(live.trajectories()):
        since = sum(len(part.calls) for part in parts[row])
        parts[row].append(live.steps_since(row, since))
        assert live.steps(row) == len(trajectory.calls)
        everything = trajectory.steps_since(0)
        for name in everything._fields:
            if name in ("since", "settled_state", "draws"):
                continue
            first = int(name in ("tokens", "state", "committed_step", "confidence"))
            lines = np.concatenate([getattr(p, name)[first:] for p in parts[row]])
            whole = getattr(everything, name)[first:]
            if name == "state":  # the last line alone is read otherwise while more may come
                lines, whole = lines[:-1], whole[:-1]
            assert np.array_equal(lines, whole, equal_nan=lines.dtype.kind == "f"), name
        assert np.array_equal(parts[row][-1].settled_state, trajectory.state[-1])
        assert live.texts(row) == (trajectory.output, trajectory.text, trajectory.filled)


def test_trajectory_of_run_that_goes_on_keeps_what_it_has():
    live = start("mdlm", tiny.networks()["full-absorbing"], [[60]], gen_length=30, steps=30)
    frames = iter(live)
    for _ in range(9):
        next(frames)
    (early,) = live.trajectories()
    copies = early.tokens.copy(), early.entropy.copy()
    for _ in frames:
        pass
    assert np.array_equal(early.tokens, copies[0]) and live.steps(0) > len(early.calls)
    assert np.array_equal(early.entropy, copies[1], equal_nan=True)
    (late,) = live.trajectories()
    assert np.array_equal(late.tokens[: len(early.tokens)], early.tokens)


def test_closed_run_keeps_its_record():
    live = start("mdlm", tiny.networks()["full-absorbing"], [[60]], gen_length=9, steps=9)
    next(iter(live))
    assert live.started and live.steps(0) == 0
    next(iter(live))
    live.close()
    (one,) = live.trajectories()
    assert len(one.calls) == live.steps(0) == 1 and list(live) == []


def test_template_comes_back_whole_with_what_was_filled_in():
    (one,) = lab.run("threshold", "capitals", template="The capital of [MASK] is Paris.")
    assert one.text == "The capital of France is Paris." and one.filled == ["France"]
    (two,) = lab.run("threshold", "capitals", template="[MASK]*3 France is [MASK]*2")
    assert len(two.filled) == 2 and two.text == f"{two.filled[0]} France is {two.filled[1]}"
    (three,) = lab.run("threshold", "capitals", "The capital of France")
    assert three.text == "is Paris." and three.filled == [three.text]


def test_what_lies_behind_eos_is_filled_with_nothing():
    model = tiny.networks()["full-absorbing"]
    eos = model.card.eos_ids[0]
    ids = [60, 0, 61, eos, 0, 62]  # an EOS in pinned text ends nothing
    (one,) = lab.run("llada", model, template=ids, steps=1)
    assert len(one.filled) == 2 and one.filled[1] in one.text
    assert model.tokenizer.decode([62]) in one.text
    tokens, writable = np.array([60, 61, eos, 62, 63]), np.array([0, 1, 1, 0, 1], bool)
    texts = row_texts(model, tokens, writable, whole=True)
    assert texts.output == [61, eos] and texts.filled == [model.tokenizer.decode([61]), ""]
    assert texts.text == model.tokenizer.decode([60, 61])


@pytest.mark.parametrize("top_p", [None, 0.9])
def test_record_takes_at_most_64_bytes_step_and_position(top_p):
    steps, length = 400, 250
    model = lab.wrap(lambda tokens, t: tokens.new_zeros((*tokens.shape, 8)).float(),
                     tiny.card(8, mask_id=7, context=300, attention="full"))  # fmt: skip
    live = start("mdlm", model, [[1]], gen_length=length - 1, steps=steps, temperature=1.0,
                 schedule="loglinear", top_p=top_p)  # fmt: skip
    frames = iter(live)
    next(frames)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in frames:
            pass
        (one,) = live.trajectories()
        size, peak = (memory - before for memory in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    cells = len(one.calls) * length
    assert size / cells < 64, size / cells
    assert peak / cells < 72, peak / cells  # an eighth to spare while it grows


def test_recorder_passes_frames_on_without_keeping_them():
    live = start("mdlm", tiny.networks()["full-absorbing"], [[60]], gen_length=4, steps=4)
    assert isinstance(live, Recorder) and not hasattr(live, "frames")
    steps = [frame.step for frame in live]
    assert steps == list(range(len(steps)))


@pytest.mark.parametrize("call", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_broken_answer_ends_run_and_keeps_its_steps(value, call):
    calls = []

    def broken(ids):
        calls.append(1)
        return torch.full((*ids.shape, 10), value if len(calls) == call else 0.0)

    model = Wrapped(broken, tiny.card(10, attention="full"))
    run = start("max_prob", model, [[0]], gen_length=6)
    with pytest.raises(ValueError, match="answered with NaN, infinity or no possible token"):
        list(run)
    assert run.steps(0) == call - 1
