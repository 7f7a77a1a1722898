"""What became of every position, worked out from the tokens and predictions of a run's steps."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

STATES = ("prompt", "mask", "noise", "committed", "edited", "remasked", "after_eos")
PROMPT, MASK, NOISE, COMMITTED, EDITED, REMASKED, AFTER_EOS = range(len(STATES))


class History(NamedTuple):
    """What became of every position; state and committed_step [S+1, L], the rest bool [S, L]."""

    state: ndarray  # int8, an index into STATES
    committed_step: ndarray  # int32, -1 for none
    commits: ndarray
    edits: ndarray
    remasks: ndarray


def follow(
    tokens: ndarray, predicted: ndarray, writable: ndarray, card: Mapping[str, Any]
) -> History:
    """Work out the states of tokens [S+1, L] from the predictions [S, L] and writable [L].

    Under absorbing corruption the sampler chose every written token, those of a draft excepted,
    which are committed in step 0. Under hybrid and
    uniform corruption one that is not the step's prediction (-1 included) was placed by the
    corruption: `noise`, until a step predicts or writes a token there. Noise is to those
    processes what a mask is to absorbing: a choice in its place is a commit, and an EOS is not
    settled while noise stands before it, the last line excepted, which follows Canvas.finished as
    `output` does.
    """
    follower = Follower(tokens[0], writable, card)
    first, first_step = follower.state, follower.committed_step
    lines = follower.advance(tokens[1:], predicted)
    state = np.concatenate([first[None], lines.state])
    state[-1] = follower.settled_state()
    step = np.concatenate([first_step[None], lines.committed_step])
    return lines._replace(state=state, committed_step=step)


class Follower:
    """The history of one row as it grows: `advance` costs what is new, however long the run is.

    state, committed_step [L]: those of the latest line. As long as more lines may come, an EOS
    behind noise settles nothing; `settled_state` reads the latest line as the last one.
    """

    def __init__(self, tokens: ndarray, writable: ndarray, card: Mapping[str, Any]):
        mask_id = card.get("mask_id")
        self._mask_id = -1 if mask_id is None else mask_id
        self._eos_ids = list(card.get("eos_ids") or ())
        self._absorbing = card.get("corruption", "absorbing") == "absorbing"
        self._writable = writable
        self._tokens = tokens
        masked = self._masked(tokens)
        self._noise = writable & ~masked & (not self._absorbing)
        self._written = np.zeros(len(writable), np.int32)  # the latest step with an event
        written = COMMITTED if self._absorbing else NOISE
        self._before_eos = np.where(writable, np.where(masked, MASK, written), PROMPT).astype(
            np.int8
        )
        self.steps = 0
        self.state = self._with_eos(tokens[None], self._before_eos[None], self._noise[None])[0]
        self.committed_step = self._committed(self._written[None], masked[None])[0]

    def advance(self, tokens: ndarray, predicted: ndarray) -> History:
        """The history [n, L] of n more lines, from their tokens and predictions [n, L]."""
        writable, before = self._writable, np.concatenate([self._tokens[None], tokens[:-1]])
        if not len(tokens):
            return History(*(np.zeros(tokens.shape, t) for t in (np.int8, np.int32, *[bool] * 3)))
        masked, was_masked = self._masked(tokens), self._masked(before)
        changed = writable & (tokens != before)
        agrees = predicted == tokens
        choice = agrees | self._absorbing

        noise = _hold(changed | agrees, self._noise, ~masked & ~choice & writable)
        was_noise = np.concatenate([self._noise[None], noise[:-1]])
        event = changed | (was_noise & ~noise)
        fresh = np.where(was_masked | was_noise, COMMITTED, EDITED)
        fresh = np.where(masked, REMASKED, np.where(noise, NOISE, fresh)).astype(np.int8)
        state = _hold(event, self._before_eos, fresh)
        number = np.arange(self.steps + 1, self.steps + len(tokens) + 1, dtype=np.int32)[:, None]
        written = _hold(event, self._written, number)

        self._tokens, self._noise = tokens[-1], noise[-1]
        self._before_eos, self._written = state[-1], written[-1]
        self.steps += len(tokens)
        lines = History(
            self._with_eos(tokens, state, noise),
            self._committed(written, masked),
            event & (fresh == COMMITTED),
            event & (fresh == EDITED),
            event & (fresh == REMASKED),
        )
        self.state, self.committed_step = lines.state[-1], lines.committed_step[-1]
        return lines

    def settled_state(self) -> ndarray:
        """The state [L] of the latest line if the run ends with it."""
        if not self.steps:
            return self.state
        nothing = np.zeros_like(self._noise)
        return self._with_eos(self._tokens[None], self._before_eos[None], nothing[None])[0]

    def _masked(self, tokens: ndarray) -> ndarray:
        return self._writable & (tokens == self._mask_id)

    def _with_eos(self, tokens: ndarray, state: ndarray, noise: ndarray) -> ndarray:
        """`state` [n, L] with AFTER_EOS behind the first EOS that nothing unsettled precedes."""
        if not self._eos_ids:
            return state.astype(np.int8)
        unsettled = self._masked(tokens) | noise
        eos = self._writable & ~noise & np.isin(tokens, self._eos_ids)
        end = eos & (unsettled.cumsum(1) == 0)
        after = self._writable & (end.cumsum(1) - end > 0)
        return np.where(after, np.int8(AFTER_EOS), state)

    def _committed(self, written: ndarray, masked: ndarray) -> ndarray:
        return np.where(self._writable & ~masked, written, np.int32(-1))


def _hold(event: ndarray, first: ndarray, value: ndarray) -> ndarray:
    """The value [n, L] of the latest event [n, L], `first` [L] before any: [n, L]."""
    index = np.where(event, np.arange(1, len(event) + 1, dtype=np.int32)[:, None], 0)
    np.maximum.accumulate(index, out=index)
    values = np.concatenate([first[None], np.broadcast_to(value, event.shape)])
    return np.take_along_axis(values, index, 0)
