"""The film of a run: every step, rebuilt in the browser as it was recorded."""

import json
from dataclasses import asdict

import numpy as np
import pytest

import lab
from lab.ui.film import Film, alternatives, whole_film
from tests.kit.pressing import recorder
from tests.kit.trajectories import make

CHANGES = {"tokens": 2, "state": 3, "written": 4, "confidence": 5, "predicted": 6}


def rebuild(steps: list[str], name: str, first: list) -> list[list]:
    """Apply the changes as film.js does."""
    lines = [first]
    for step in map(json.loads, steps):
        line, pairs = list(lines[-1]), step[CHANGES[name]]
        for position, value in zip(pairs[::2], pairs[1::2], strict=True):
            line[position] = value
        lines.append(line)
    return lines


@pytest.mark.parametrize("sampler", ["llada2", "mdlm", "hybrid", "bd3lm"])
def test_film_holds_every_step_of_trajectory(sampler):
    run = lab.run(sampler, "capitals", "The capital of", seed=1)[0]
    film, length = whole_film(run), run.tokens.shape[1]
    assert rebuild(film.steps, "tokens", film.first["tokens"]) == run.tokens.tolist()
    assert rebuild(film.steps, "state", film.first["state"]) == run.state.tolist()
    assert rebuild(film.steps, "written", [-1] * length) == run.committed_step.tolist()
    confidence = np.array(rebuild(film.steps, "confidence", [None] * length)[1:], float)
    np.testing.assert_allclose(confidence, run.confidence, atol=5e-4)
    assert {int(i) for i in film.pieces} >= set(run.tokens.ravel().tolist())
    calls, seconds = json.loads(film.steps[-1])[:2]
    assert calls == run.calls[-1] and seconds == round(float(run.model_seconds[-1]), 4)


def test_draft_is_latest_prediction_of_its_position():
    run = lab.run("hybrid", "capitals", "The capital of", seed=1, steps=40)[0]
    film, length = whole_film(run), run.tokens.shape[1]
    drafts = rebuild(film.steps, "predicted", [-1] * length)[1:]
    latest = np.full(length, -1)
    changes = (np.diff(np.array([[-1] * length, *drafts]), axis=0) != 0).sum()
    assert sum(len(json.loads(step)[6]) for step in film.steps) == 2 * changes, "each sent once"
    for line, predicted, first, stop in zip(
        drafts, run.predicted, run.start, run.stop, strict=True
    ):
        window = predicted[first:stop]
        latest[first:stop] = np.where(window >= 0, window, latest[first:stop])
        assert line == latest.tolist()


def test_parts_follow_on_one_another_and_any_can_be_had_again():
    film = whole_film(lab.run("mdlm", "capitals", "The capital of", seed=1)[0])
    first, second = film.next_part(), film.next_part()
    assert first["start"] == 0 and first["count"] == len(film.steps) and first["film"]
    assert second["start"] == second["count"] == len(film.steps)
    assert second["film"] is None and not second["pieces"]
    again = film.part(3)
    assert json.loads(again["steps"]) == [json.loads(step) for step in film.steps[3:]]
    assert again["pieces"] == film.pieces
    assert film.part(10**6)["steps"] == "[]"


def test_part_has_texts_of_its_steps_while_run_goes_on():
    """A panel asks on another thread: a step may come between the two."""
    film = whole_film(lab.run("mdlm", "capitals", "The capital of", seed=1)[0])

    class Growing(list):
        def __getitem__(self, key):
            film.pieces["99"] = "late"
            return [*list.__getitem__(self, key), "[1,0,[0,99],[],[],[],[]]"]

    film.steps = Growing(film.steps)
    part = film.part(0)
    assert json.loads(part["steps"])[-1][2] == [0, 99] and part["pieces"]["99"] == "late"


@pytest.mark.parametrize("sampler", ["hybrid", "uniform", "llada2"])
def test_film_that_grew_equals_film_of_whole(sampler):
    run, grown = recorder(sampler, "sudoku4", template="1[MASK]*15"), Film()
    grown.begin(run.steps_since(0, 0), "sudoku4", asdict(run.plan.model.card), run.pieces)
    assert grown.part(0)["pieces"].keys() >= {str(i) for i in grown.first["tokens"]}
    for number, _ in enumerate(run):
        if number % 3 == 0:
            grown.extend(run.steps_since(0, len(grown.steps)), run.pieces)
    grown.extend(run.steps_since(0, len(grown.steps)), run.pieces)
    (whole_run,) = run.trajectories()
    grown.settle(whole_run.state[-1])
    whole = whole_film(whole_run)
    strip = [json.loads(step)[:1] + json.loads(step)[2:] for step in grown.steps]
    assert strip[:-1] == [json.loads(s)[:1] + json.loads(s)[2:] for s in whole.steps][:-1]
    lines = rebuild(grown.steps, "state", grown.first["state"])
    for position, state in zip(grown.settled[::2], grown.settled[1::2], strict=True):
        lines[-1][position] = state
    assert lines == whole_run.state.tolist()
    assert grown.pieces.keys() >= whole.pieces.keys() and grown.edges == whole.edges


def test_last_step_is_read_as_last():
    run = make(["___", "a_b", "a$b"], corruption="uniform", mask_id=None)
    film, steps = Film(), run.steps_since(0)
    unsettled = steps._replace(state=steps.state.copy())
    unsettled.state[-1] = 3
    texts = whole_film(run).pieces
    film.begin(unsettled, "", run.card, lambda ids: {i: texts[str(i)] for i in ids})
    film.extend(unsettled, lambda ids: {i: texts[str(i)] for i in ids})
    film.settle(run.state[-1])
    assert film.settled == [
        x for i in np.flatnonzero(run.state[-1] != 3) for x in (i, run.state[-1, i])
    ]
    assert film.settled and film.part(2)["settled"] == film.settled


def test_block_edges_are_where_windows_begin():
    assert whole_film(lab.run("llada2", "capitals", "The capital of", block_length=4)[0]).edges == [
        4, 8
    ]  # fmt: skip
    for sampler in ("mdlm", "autoregressive"):
        assert whole_film(lab.run(sampler, "capitals", "The capital of")[0]).edges == []


def test_alternatives_are_those_of_latest_call_that_looked():
    run = lab.run("bd3lm", "capitals", "The capital of", block_length=4, seed=1)[0]
    last = len(run.predicted)
    position = int(run.stop[0]) - 1  # of the first block, settled long before the end
    early = alternatives(run, last, position, run.piece)
    assert 0 < early["step"] < last and early["entropy"] is not None
    text, probability, token = early["tokens"][0]
    at = early["step"] - 1
    assert token == int(run.top_ids[at, position, 0]) and text == run.piece(token)
    assert probability == round(float(run.top_probabilities[at, position, 0]), 3)
    assert alternatives(run, 0, position, run.piece) is None
    prompt = lab.run("mdlm", "capitals", "The capital of", seed=1)[0]
    assert alternatives(prompt, len(prompt.predicted), 0, prompt.piece) is None


def test_file_without_alternatives_has_none():
    run = make(["___", "a__", "ab_"])
    assert alternatives(run, 2, 0, run.piece)["tokens"] == []
