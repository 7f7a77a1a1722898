"""The record: states, who wrote what when, equality, run ids, the frame of one line a cell."""

import json
import pickle
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab.record.history import STATES, follow
from lab.record.trajectory import Frame, Trajectory, canonical, run_id
from tests.kit.trajectories import EOS, MASK, make

SIGNS = dict(zip("pmncera", STATES, strict=True))  # the first letter of each state


def states(run: Trajectory) -> list[str]:
    letters = {name: letter for letter, name in SIGNS.items()}
    return ["".join(letters[STATES[code]] for code in line) for line in run.state]


def marked(where: np.ndarray) -> list[str]:
    return ["".join(".x"[int(cell)] for cell in line) for line in where]


def test_states_hold_until_next_change():
    run = make(["a___", "ab_c", "ad_c", "ad__", "adce"], prompt=1)
    assert states(run) == ["pmmm", "pcmc", "pemc", "pemr", "pecc"]
    assert marked(run.commits) == [".x.x", "....", "....", "..xx"]
    assert marked(run.edits) == ["....", ".x..", "....", "...."]
    assert marked(run.remasks) == ["....", "....", "...x", "...."]
    assert run.committed_step.tolist() == [
        [-1, -1, -1, -1],
        [-1, 1, -1, 1],
        [-1, 2, -1, 1],
        [-1, 2, -1, -1],
        [-1, 2, 4, 4],
    ]


def test_everything_after_first_settled_eos_is_after_eos():
    run = make(["a_____", "a__$__", "a_b$__", "acb$_d"], prompt=1)
    assert states(run) == ["pmmmmm", "pmmcmm", "pmccmm", "pcccaa"]


def test_eos_in_prompt_or_in_pinned_text_ends_nothing():
    writable = np.array([False, True, False, True])
    run = make(["$_$_", "$a$_", "$a$b"], writable=writable)
    assert states(run) == ["pmpm", "pcpm", "pcpc"]


def test_pinned_text_after_eos_stays_prompt():
    run = make(["__b_", "$_b_"], writable=np.array([True, True, False, True]))
    assert states(run)[-1] == "capa"


def test_hybrid_tokens_not_predicted_are_noise():
    run = make(
        ["____", "ab__", "cbd_", "cbde"],
        ["a---", "c-db", "cb-e"],
        corruption="hybrid",
    )
    assert states(run) == ["mmmm", "cnmm", "encm", "eccc"]
    assert marked(run.commits) == ["x...", "..x.", ".x.x"]
    assert marked(run.edits) == ["....", "x...", "...."]
    # Position 1 kept its token, and step 3 chose what noise had put there in step 1.
    assert run.committed_step[:, 1].tolist() == [-1, 1, 1, 3]


def test_absorbing_runs_have_no_noise_whatever_predicted_says():
    run = make(["__", "ab"], ["--"])
    assert states(run) == ["mm", "cc"]


def test_uniform_prior_is_noise_and_predictions_over_it_commit():
    run = make(
        ["abc", "dbe", "ebe", "ebc"], ["d--", "e--", "-bc"], corruption="uniform", mask_id=None
    )
    assert states(run) == ["nnn", "cnn", "enn", "ecc"]
    assert run.committed_step.tolist() == [[0, 0, 0], [1, 0, 1], [2, 0, 1], [2, 3, 3]]
    assert not run.remasks.any()


def test_renoised_token_is_noise_and_next_prediction_commits():
    run = make(["_", "a", "b", "c"], ["a", "-", "c"], corruption="hybrid")
    assert states(run) == ["m", "c", "n", "c"]
    assert marked(run.commits) == ["x", ".", "x"] and not run.edits.any()


def test_eos_among_noise_settles_nothing_before_last_line():
    run = make(
        ["$ab", "$ab", "c$b", "c$b"], ["---", "-$-", "---"], corruption="uniform", mask_id=None
    )
    assert states(run) == ["nnn", "nnn", "ncn", "nca"]


def test_trajectory_of_no_steps_has_its_first_line():
    run = make(["ab__"], prompt=2)
    assert states(run) == ["ppmm"] and run.edits.shape == (0, 4) and len(run.to_frame()) == 4


def test_equality_ignores_run_id_and_extras_and_equates_nan():
    run = make(["a__", "ab_", "abc"], prompt=1)
    extra = np.zeros((2, 3, 5))
    assert np.isnan(run.confidence).any()
    assert run == replace(run, run_id="other", top_ids=extra, top_probabilities=extra)
    assert run == replace(run, card={**run.card, "eos_ids": (EOS,)})  # as JSON will hold it
    assert run != "a run"


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": [[0, 9, 9], [0, 1, 9], [0, 1, 3]]},
        {"confidence": [[np.nan, 0.1, 0.1], [np.nan, 0.1, 0.2]]},
        {"score": np.zeros((2, 3))},
        {"calls": [1, 3]},
        {"writable": [False, True, False]},
        {"output": [1]},
        {"pieces": {}},
        {"text": ""},
        {"seed": 4},
        {"row": 1},
        {"sampler": "llada2"},
        {"settings": {"steps": 4.0}},
        {"card": {}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_equality_sees_every_field(changes):
    run = make(["a__", "ab_", "abc"], prompt=1)
    assert run != replace(run, **changes) and not run.same_tokens(replace(run, **changes))


def test_same_tokens_leaves_out_clocks_alone():
    run = make(["__", "a_", "ab"])
    slow = replace(run, seconds=[3.0, 4.0], model_seconds=[1.0, 2.0])
    assert run != slow and run.same_tokens(slow)


def test_run_id_follows_everything_that_decides_run():
    base = run_id({"steps": 4, "prompt": "\ud800"}, sampler="mdlm", seed=1)
    assert base == run_id({"prompt": "\ud800", "steps": 4}, sampler="mdlm", seed=1)
    assert len(base) == 12 and int(base, 16) >= 0
    others = [
        run_id({"steps": 5, "prompt": "\ud800"}, sampler="mdlm", seed=1),
        run_id({"steps": 4.0, "prompt": "\ud800"}, sampler="mdlm", seed=1),
        run_id({"steps": 4, "prompt": "\ud800"}, sampler="mdlm", seed=2),
        run_id({"steps": 4, "prompt": "\ud800"}, sampler="mdlm", seed=1, row=1),
        run_id({"steps": 4, "prompt": "\ud800"}, sampler="mdlm", seed=1, model="m"),
        run_id({"steps": 4, "prompt": "\ud800"}, sampler="mdlm", seed=1, task="s"),
        run_id({"steps": 4, "prompt": "\ud800"}, sampler="bd3lm", seed=1),
    ]
    assert len({base, *others}) == len(others) + 1
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"threshold": float("nan")})


def test_frame_has_one_line_cell_in_contract_columns():
    run = make(["a__", "ab_", "abc"], prompt=1)
    frame = run.to_frame()
    assert ",".join(frame.columns) == (
        "run_id,task,model,sampler,seed,row,step,calls,seconds,model_seconds,block,position,"
        "token_id,token,state,confidence,entropy,committed_step,predicted_id,score"
    )
    assert len(frame) == 9 and frame.committed_step.dtype == "Int32"
    assert (
        frame.committed_step.isna().tolist()
        == [True] * 3 + [True, False, True] + [True] + [False] * 2
    )
    line = frame.iloc[4]
    assert (line.step, line.position, line.token_id, json.loads(line.token)) == (1, 1, 1, " b")
    assert line.state == "committed" and line.committed_step == 1
    assert line.confidence == run.confidence[0, 1] and line.calls == 1 and line.seconds == 0.1
    first = frame[frame.step == 0]
    assert (
        (first.calls == 0).all()
        and first.confidence.isna().all()
        and (first.predicted_id == -1).all()
    )
    assert isinstance(frame.state.dtype, pd.CategoricalDtype)


def test_frame_holds_texts_that_are_no_unicode():
    run = make(["_", "a"], pieces={0: '\ud800\x00,"\n'}, model="\ud800")
    frame = run.to_frame()
    assert json.loads(frame.token.iloc[1]) == '\ud800\x00,"\n' and frame.model.iloc[0] == "\ud800"


def test_arrays_get_their_dtype_whatever_recorder_hands_over():
    run = make(["__", "ab"])
    assert run.tokens.dtype == np.int32 and run.confidence.dtype == np.float32
    assert run.seconds.dtype == np.float64 and run.writable.dtype == bool
    assert run.piece(0) == " a" and run.piece(77) == "77"


def test_frames_and_trajectories_travel_between_processes():
    nothing = np.zeros(1)
    frame = Frame(0, np.zeros((1, 3)), slice(1, 3), *[nothing] * 3, *[None] * 6, *[nothing] * 4)
    assert pickle.loads(pickle.dumps(frame)).window == slice(1, 3)
    run = make(["__", "ab"])
    assert run.state.any() and pickle.loads(pickle.dumps(run)) == run


def test_long_run_is_followed_in_milliseconds():
    steps, length = 128, 256
    random = np.random.default_rng(0)
    tokens = np.full((steps + 1, length), MASK)
    for step in range(1, steps + 1):
        tokens[step] = tokens[step - 1]
        tokens[step, random.integers(0, length, 4)] = random.integers(0, 8, 4)
    card = {"mask_id": MASK, "eos_ids": [EOS], "corruption": "hybrid"}
    spent = []
    for _ in range(5):
        begun = time.perf_counter()
        follow(tokens, tokens[1:], np.ones(length, bool), card)
        spent.append(time.perf_counter() - begun)
    assert min(spent) < 0.1  # about 6 ms; a loop over cells takes seconds
